"""The loop: draw, compare, step, remesh."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kiss3d_backend.mesh.raster.torch_api import Rasterizer, TorchFragments
from kiss3d_backend.mesh.refine.kernels import surface_area
from kiss3d_backend.mesh.refine.losses import Goal, loss
from kiss3d_backend.mesh.refine.neighbours import neighbours_of
from kiss3d_backend.mesh.refine.optimiser import Moments, stepped
from kiss3d_backend.mesh.refine.settings import RefineSettings, Stage
from kiss3d_backend.mesh.refine.surface import sum_at, vertex_normals
from kiss3d_backend.mesh.refine.targets import explicit_targets
from kiss3d_backend.mesh.refine.views import Views
from kiss3d_backend.mesh.refine.window import cut
from kiss3d_backend.mesh.remesh.remesh import WorkingMesh, remesh
from kiss3d_backend.mesh.types import Mesh
from kiss3d_protocol.errors import MeshEmpty

_LONGEST_EDGE = 1 / 8
"""Of the longest side of the mesh's bounding box."""
_ROOM = 1.02
_EQUILATERAL = math.sqrt(3) / 4
_POSITION, _FIRST, _SECOND, _TARGET = slice(0, 3), slice(3, 6), slice(6, 7), slice(7, 10)
_COLUMNS = 10


@attrs.frozen
class Progress:
    """``step`` of ``steps`` are done."""

    step: int
    steps: int


def refine(
    mesh: Mesh,
    views: Views,
    settings: RefineSettings,
    rasterizer: Rasterizer,
    *,
    start: Literal["coarse", "hull"] = "coarse",
    on_mesh: Callable[[Mesh, Progress], None] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    check_cancelled: Callable[[], None] | None = None,
) -> Mesh:
    """``mesh`` with the normals and silhouettes of ``views``, as positions and triangles only.

    ``start`` tells what ``mesh`` is: "coarse" runs the fine stage, "hull" (or a ball) both stages. A closed manifold
    mesh stays so. ``on_mesh`` gets a mesh every ``settings.mesh_every`` steps; ``on_step`` is told every step.
    ``check_cancelled`` is called a few times in each step, and may raise.

    Raises BundleInvalid or ViewEmpty, which name the view, and MeshEmpty.
    """
    cancelled = check_cancelled or (lambda: None)
    views.check()
    if len(mesh.triangles) == 0 or not np.isfinite(mesh.positions).all():
        raise MeshEmpty("The mesh to refine has no triangles, or positions that are not numbers.")
    # What starts outside the cube is meant to be there: pulling it in would outweigh every other part of the loss.
    settings = attrs.evolve(settings, box=max(settings.box, _ROOM * float(np.abs(mesh.positions).max())))
    goal = _goal(views, settings, mesh.positions, rasterizer.choice.device)
    stages = (settings.rough, settings.fine) if start == "hull" else (settings.fine,)
    stages = tuple(_fitted(stage, mesh.positions) for stage in stages)
    steps = sum(stage.steps for stage in stages)
    vertices = np.zeros((len(mesh.positions), _COLUMNS), dtype=np.float32)
    vertices[:, _POSITION] = mesh.positions
    working = WorkingMesh.of(vertices, mesh.triangles, stages[0].longest_edge)
    done = 0
    for stage in stages:
        working.vertices[:, 3:] = 0.0
        working = remesh(_with_lengths(working, stage, 0, settings), most_faces=_room(settings))
        for step in range(stage.steps):
            cancelled()
            working = _stepped(working, goal, stage, step, settings, rasterizer, cancelled)
            working = remesh(_with_lengths(working, stage, step + 1, settings), most_faces=_room(settings))
            done += 1
            if on_step is not None:
                on_step(Progress(done, steps))
            if on_mesh is not None and done % settings.mesh_every == 0 and done < steps:
                on_mesh(_mesh(working), Progress(done, steps))
    return _mesh(working)


def _fitted(stage: Stage, positions: NDArray[np.float32]) -> Stage:
    """The stage with edges that a mesh of this size can have: longer ones than itself would leave nothing of it."""
    longest = min(stage.longest_edge, _LONGEST_EDGE * float(np.ptp(positions, axis=0).max()))
    if longest <= 0:
        return stage
    return attrs.evolve(stage, longest_edge=longest, shortest_edge=min(stage.shortest_edge, longest))


def _mesh(working: WorkingMesh) -> Mesh:
    return Mesh(working.vertices[:, _POSITION].copy(), working.triangles)


def _room(settings: RefineSettings) -> int:
    """Targets aim at the wanted number of triangles; this is only a bound against their excesses."""
    return settings.most_faces + settings.most_faces // 4


def _goal(views: Views, settings: RefineSettings, positions: NDArray[np.float32], device: str) -> Goal:
    windows = cut(views, positions)
    normals = torch.from_numpy(windows.normals)
    length = normals.norm(dim=-1, keepdim=True)
    normals = torch.where(length > 0.1, normals / length.clamp(min=1e-6), 0.0)
    eyes = np.stack([camera.eye for camera in views.cameras]).astype(np.float32)
    return Goal(
        *(
            part.to(device)
            for part in (
                torch.from_numpy(windows.clip),
                torch.from_numpy(eyes),
                normals,
                torch.from_numpy(windows.masks),
                torch.tensor(settings.view_weights, dtype=torch.float32),
            )
        )
    )


def _stepped(
    working: WorkingMesh,
    goal: Goal,
    stage: Stage,
    step: int,
    settings: RefineSettings,
    rasterizer: Rasterizer,
    cancelled: Callable[[], None],
) -> WorkingMesh:
    """One step of the optimiser; the topology stays."""
    device = goal.matrices.device
    vertices = torch.from_numpy(working.vertices).to(device)
    triangles = torch.from_numpy(working.triangles).to(device)
    corners = triangles.long()
    adjacency = torch.from_numpy(working.twins.reshape(-1, 3) // 3).to(device)
    positions = vertices[:, _POSITION].clone().requires_grad_()
    normals = vertex_normals(positions, corners)
    clip = goal.clip(positions)
    fragments = rasterizer.rasterize(clip.detach(), triangles, tuple(goal.masks.shape[1:]))  # pyright: ignore[reportArgumentType]
    cancelled()
    targets = None
    if stage.explicit_targets:
        if step < settings.refresh_until or step % settings.refresh_every == 0:
            targets = _targets(goal, working, positions.detach(), normals.detach(), clip.detach(), fragments)
        else:
            targets = vertices[:, _TARGET]
    of_all = loss(
        goal=goal,
        rasterizer=rasterizer,
        settings=settings,
        positions=positions,
        normals=normals,
        targets=targets,
        triangles=triangles,
        adjacency=adjacency,
        clip=clip,
        fragments=fragments,
    )
    cancelled()
    (gradient,) = torch.autograd.grad(of_all, positions)
    cancelled()
    moved, moments = stepped(
        positions.detach(),
        gradient,
        Moments(vertices[:, _FIRST], vertices[:, _SECOND]),
        neighbours=neighbours_of(corners, len(vertices)),
        smoothing=_smoothing(stage, step, _known(stage, goal, fragments, targets, corners, len(vertices))),
        edge_lengths=torch.from_numpy(working.targets).to(device),
        normals=normals.detach(),
        stage=stage,
        step=step,
    )
    kept = torch.zeros_like(moved) if targets is None else targets
    columns = torch.cat([moved, moments.first, moments.second, kept], dim=1)
    return attrs.evolve(working, vertices=np.ascontiguousarray(columns.cpu().numpy()))


def _smoothing(stage: Stage, step: int, known: Tensor) -> Tensor:
    """(V,): the part of the way to its neighbours' mean that each vertex goes; more where no view sees it."""
    base = stage.laplacian + stage.opening_laplacian * max(0.0, 1.0 - step / max(stage.ramp, 1))
    return known * base + (1 - known) * max(base, stage.unseen_laplacian)


def _known(
    stage: Stage, goal: Goal, fragments: TorchFragments, targets: Tensor | None, corners: Tensor, count: int
) -> Tensor:
    """(V,) in [0, 1]: how much the views tell about each vertex."""
    if targets is not None:
        return (targets * targets).sum(-1).clamp(max=1.0)
    inside = (fragments.triangle >= 0) & (goal.masks > 0.5)
    pixels = torch.bincount(fragments.triangle[inside].long(), minlength=len(corners)).to(goal.masks.dtype) / 3
    of_vertex = sum_at(corners.T.reshape(-1), pixels.repeat(3)[:, None], count)[:, 0]
    return (of_vertex / stage.seen_pixels).clamp(max=1.0)


def _targets(
    goal: Goal, working: WorkingMesh, positions: Tensor, normals: Tensor, clip: Tensor, fragments: TorchFragments
) -> Tensor:
    """(V, 3): target normals, as long as the root of how sure they are."""
    direction, sure = explicit_targets(
        matrices=goal.matrices,
        clip=clip,
        normals=normals,
        eyes=goal.eyes,
        positions=positions,
        fragments=fragments,
        view_normals=goal.normals,
        view_masks=goal.masks,
        view_weights=goal.weights,
        thickness=2.0 * float(working.targets.max()),
    )
    return torch.where(sure[:, None] > 0, direction, 0.0)


def _with_lengths(working: WorkingMesh, stage: Stage, step: int, settings: RefineSettings) -> WorkingMesh:
    """Edges shrink geometrically from the stage's longest to its shortest, within two thirds of its steps.

    No shorter than what makes ``settings.most_faces`` triangles of the mesh's area.
    """
    affordable = math.sqrt(surface_area(working.vertices, working.triangles) / (_EQUILATERAL * settings.most_faces))
    shortest = min(max(stage.shortest_edge, affordable), stage.longest_edge)
    part = min(1.0, step / max(1.0, stage.steps * 2 / 3))
    length = stage.longest_edge * (shortest / stage.longest_edge) ** part
    return attrs.evolve(working, targets=np.full(len(working.vertices), length, dtype=np.float32))
