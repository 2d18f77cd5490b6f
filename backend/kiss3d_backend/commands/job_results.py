"""What a job of the command line leaves: meshes, pictures of them, and the bundles that they were made of."""

from __future__ import annotations

from pathlib import Path

from attrs import define, field, frozen

from kiss3d_backend.commands.files import write_atomically
from kiss3d_protocol.messages import BundlesReady, JobReport, MeshReady
from kiss3d_protocol.payloads import Blob


@define
class JobResult:
    """What has come so far. ``finals``: the final meshes by the bundle that they were made of, with their blobs."""

    finals: dict[int, tuple[MeshReady, tuple[Blob, ...]]] = field(factory=dict[int, tuple[MeshReady, tuple[Blob, ...]]])
    bundles: BundlesReady | None = None
    bundle_blobs: tuple[Blob, ...] = ()
    report: JobReport | None = None


@frozen
class WrittenMesh:
    """One mesh on the disk. ``bundle``: which, from 1. ``render``: a picture of it, if one was asked for."""

    bundle: int
    output: Path
    render: Path | None
    vertices: int
    triangles: int


def write_meshes(result: JobResult, output: Path, render: Path | None) -> list[WrittenMesh]:
    """Writes every final mesh; several get the number of their bundle behind the name.

    Raises :class:`OutputUnwritable`.
    """
    from kiss3d_backend.mesh.glb import write_glb
    from kiss3d_backend.mesh.payload import encoded_picture, read_mesh

    written: list[WrittenMesh] = []
    for bundle, (ready, blobs) in sorted(result.finals.items()):
        alone = len(result.finals) == 1
        path = output if alone else _numbered(output, bundle)
        picture = render if render is None or alone else _numbered(render, bundle)
        mesh = read_mesh(ready.mesh, blobs)
        texture = encoded_picture(ready.mesh.texture, blobs)
        normal_map = encoded_picture(ready.mesh.normal_map, blobs)
        data = write_glb(mesh, texture, normal_map)
        write_atomically(path, lambda data=data: data)
        if picture is not None:
            from kiss3d_backend.commands.contact_sheet import contact_sheet_png

            write_atomically(picture, lambda mesh=mesh, texture=texture: contact_sheet_png(mesh, texture))
        vertices, triangles = ready.mesh.positions.shape[0], ready.mesh.triangles.shape[0]
        written.append(WrittenMesh(bundle + 1, path, picture, vertices, triangles))
    return written


def write_bundles(result: JobResult, output: Path) -> list[Path]:
    """Writes the bundles beside the output, where there were several. Raises :class:`OutputUnwritable`."""
    if result.bundles is None or len(result.bundles.bundles) < 2:
        return []
    paths: list[Path] = []
    for number, bundle in enumerate(result.bundles.bundles, start=1):
        suffix = bundle.image.media_type.removeprefix("image/")
        path = output.with_name(f"{output.stem}-bundle-{number}.{suffix}")
        data = bytes(result.bundle_blobs[bundle.image.blob])
        write_atomically(path, lambda data=data: data)
        paths.append(path)
    return paths


def _numbered(path: Path, bundle: int) -> Path:
    return path.with_stem(f"{path.stem}-{bundle + 1}")
