"""What a job was made from, as it is kept: the bytes lie in the artifacts, by their sha256."""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import fields, frozen

from kiss3d_backend.jobs.artifacts import Blobs
from kiss3d_protocol.framing import CONVERTER
from kiss3d_protocol.messages import Submit, blob_refs
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob, MeshRef


@frozen
class StoredInputs:
    """``picture`` and ``views``: sha256s of picture files. ``mesh``: its arrays are found by their sha256s."""

    picture: str | None = None
    views: tuple[str, ...] = ()
    mesh: MeshRef | None = None

    @property
    def fingerprint(self) -> str:
        """A sha256 that stands for the job's picture in its report: of the picture, or of the first view, or zeros."""
        return self.picture or next(iter(self.views), "0" * 64)

    def blobs(self) -> list[str]:
        """The sha256s of everything that it is made of."""
        pictures = self.views if self.picture is None else (self.picture, *self.views)
        return [*pictures, *(sha256 for sha256 in _shas(self.mesh) if sha256 is not None)]

    def same_content(self, other: StoredInputs) -> bool:
        """Whether both are made of the same bytes, whichever frames these came in."""
        return (self.picture, self.views, _shas(self.mesh)) == (other.picture, other.views, _shas(other.mesh))


def _shas(mesh: MeshRef | None) -> list[str | None]:
    if mesh is None:
        return []
    parts = [getattr(mesh, field.name) for field in fields(MeshRef)]
    return [None if part is None else part.sha256 for part in parts]


def inputs_of(submit: Submit) -> StoredInputs:
    """The inputs of a submit, without their bytes."""
    return StoredInputs(
        picture=None if submit.picture is None else submit.picture.sha256,
        views=tuple(view.sha256 for view in submit.views),
        mesh=submit.mesh,
    )


def store_inputs(submit: Submit, blobs: Sequence[Blob], artifacts: Blobs) -> StoredInputs:
    """Puts the bytes of a submit where the worker finds them."""
    for ref in blob_refs(submit):
        artifacts.put(blobs[ref.blob])
    return inputs_of(submit)


def mesh_blobs(mesh: MeshRef, artifacts: Blobs) -> dict[int, bytes]:
    """The bytes of a stored mesh by blob index. Raises :class:`ArtifactLost`."""
    return {ref.blob: artifacts.read(ref.sha256) for ref in mesh.refs()}


def params_to_text(params: GenerateParams) -> str:
    """The settings as JSON, for the database."""
    return json.dumps(CONVERTER.unstructure(params))


def params_from_text(text: str) -> GenerateParams:
    """The settings from JSON; what an older version did not know yet has its default."""
    return CONVERTER.structure(json.loads(text), GenerateParams)


def inputs_to_text(inputs: StoredInputs) -> str:
    """The inputs as JSON, for the database."""
    return json.dumps(CONVERTER.unstructure(inputs))


def inputs_from_text(text: str) -> StoredInputs:
    """The inputs from JSON."""
    return CONVERTER.structure(json.loads(text), StoredInputs)
