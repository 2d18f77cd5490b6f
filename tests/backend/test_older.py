"""Clients of version 1.0 get meshes that they can read: no normal map, and no blob that is not described."""

from __future__ import annotations

import attrs
import pytest
from tests.protocol.samples import mesh_ready

from kiss3d_backend.broker.older import in_older_words
from kiss3d_backend.broker.outbox import Letter
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import MeshReady
from kiss3d_protocol.payloads import ImageRef, MeshRef, check_blobs


def reordered(mesh: MeshRef, order: list[int]) -> MeshRef:
    """The mesh with blob ``n`` at the place ``order[n]``."""
    refs = {
        name: attrs.evolve(ref, blob=order[ref.blob])
        for name, ref in attrs.asdict(mesh, recurse=False).items()
        if ref is not None
    }
    return attrs.evolve(mesh, **refs)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [1, 0, 2, 5, 4, 6, 3]])
def test_a_client_of_1_0_gets_no_normal_map(order: list[int], packed: bool) -> None:
    event, blobs = mesh_ready()
    by_place = dict(zip(order, blobs, strict=True))
    event = attrs.evolve(event, mesh=reordered(event.mesh, order))
    names = {f"artifact {place}": by_place[place] for place in sorted(by_place)}
    letter = Letter(bytes(encode(event)[1]) if packed else event, tuple(names))

    plain = in_older_words(letter, 0)

    assert isinstance(plain.content, MeshReady) and plain.content.number == event.number
    mesh = plain.content.mesh
    assert mesh.normal_map is None and isinstance(mesh.texture, ImageRef)
    # The rule by which a client of 1.0 judges what comes: every blob is described once, with its length and sum.
    check_blobs(mesh.refs(), [names[name] for name in plain.artifacts])
    assert len(plain.artifacts) == 6
    before = [ref.sha256 for ref in event.mesh.refs() if ref != event.mesh.normal_map]
    assert [ref.sha256 for ref in mesh.refs()] == before


def test_others_and_meshes_without_one_are_left_alone() -> None:
    event, blobs = mesh_ready()
    names = tuple(f"artifact {number}" for number in range(len(blobs)))
    letter = Letter(event, names)
    assert in_older_words(letter, 1) is letter
    bare = Letter(attrs.evolve(event, mesh=attrs.evolve(event.mesh, normal_map=None)), names[:-1])
    assert in_older_words(bare, 0) is bare
