"""From what the broker stored to what a recipe starts from."""

from __future__ import annotations

from kiss3d_backend.intake.mesh import read_mesh_input
from kiss3d_backend.jobs.artifacts import Blobs
from kiss3d_backend.jobs.inputs import StoredInputs, mesh_blobs
from kiss3d_backend.pipeline.recipe import JobInputs
from kiss3d_protocol.params import GenerateParams


def read_inputs(params: GenerateParams, stored: StoredInputs, artifacts: Blobs) -> JobInputs:
    """Reads everything back. Raises :class:`ArtifactLost`, and what :func:`read_mesh_input` raises."""
    mesh = stored.mesh
    return JobInputs(
        picture=b"" if stored.picture is None else artifacts.read(stored.picture),
        seed=params.seed,
        mesh=None if mesh is None else read_mesh_input(mesh, mesh_blobs(mesh, artifacts)),
        views=tuple(artifacts.read(view) for view in stored.views),
        prompt=params.prompt.strip(),
        faces=params.faces,
        texture_size=params.texture_size,
        bundle_seed=params.bundle_seed,
        bundles=params.bundles,
        choose=params.choose,
        write_prompt=params.write_prompt,
        redraw=params.redraw,
    )
