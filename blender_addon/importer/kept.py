"""What became of a result that was kept in a file (no bpy)."""

from attrs import frozen


@frozen
class Kept:
    """``output``: the file, relative to the folder where the batch's manifest is, with ``/``; ``triangles`` of it."""

    output: str
    triangles: int
