"""What clients of an older minor version are told instead of what they do not know (SPEC.md, section 2)."""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve

from kiss3d_backend.broker.outbox import Letter
from kiss3d_protocol.framing import structure, unpack_map
from kiss3d_protocol.messages import TAGS, BundlesReady, MeshReady, Preview
from kiss3d_protocol.payloads import ArrayRef, ImageRef

E = TypeVar("E", BundlesReady, MeshReady)
R = TypeVar("R", ArrayRef, ImageRef)


def in_older_words(letter: Letter, minor: int) -> Letter:
    """The letter itself, or for a client of version 1.0 what it understands: a preview of the first bundle in place of
    all of them, and a mesh without its normal map.

    The preview keeps the number, without which such a client would wait for the missing event for ever. The blob of a
    normal map is left out too: the client would refuse it as one that the message does not describe.
    """
    if minor > 0:
        return letter
    bundles = _event(letter, BundlesReady)
    if bundles is not None and bundles.bundles:
        return _first_bundle(bundles, letter)
    mesh = _event(letter, MeshReady)
    if mesh is not None and mesh.mesh.normal_map is not None:
        return _without_normal_map(mesh, mesh.mesh.normal_map.blob, letter)
    return letter


def _first_bundle(event: BundlesReady, letter: Letter) -> Letter:
    image = event.bundles[0].image
    alone = ImageRef(0, image.media_type, image.width, image.height, image.sha256)
    preview = Preview(job=event.job, number=event.number, time=event.time, stage=event.stage, image=alone)
    return Letter(preview, letter.artifacts[image.blob : image.blob + 1])


def _without_normal_map(event: MeshReady, gone: int, letter: Letter) -> Letter:
    def moved(ref: R | None) -> R | None:
        return None if ref is None else evolve(ref, blob=ref.blob - (ref.blob > gone))

    mesh = event.mesh
    plain = evolve(
        mesh,
        positions=moved(mesh.positions),
        triangles=moved(mesh.triangles),
        uvs=moved(mesh.uvs),
        uv_triangles=moved(mesh.uv_triangles),
        colours=moved(mesh.colours),
        texture=moved(mesh.texture),
        normal_map=None,
    )
    return Letter(evolve(event, mesh=plain), letter.artifacts[:gone] + letter.artifacts[gone + 1 :])


def _event(letter: Letter, wanted: type[E]) -> E | None:
    """The content as an event of that class, or None when it is another message."""
    if not isinstance(letter.content, bytes):
        return letter.content if isinstance(letter.content, wanted) else None
    fields = unpack_map(letter.envelope)
    return structure(fields, wanted) if fields["type"] == TAGS[wanted] else None
