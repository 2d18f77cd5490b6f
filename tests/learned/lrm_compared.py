"""How far the LRM is from its definition: each result beside that of :mod:`tests.learned.lrm_by_hand`."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from tests.learned import lrm_by_hand as by_hand
from torch import Tensor

from kiss3d_backend.mesh.camera import lrm_camera_vectors
from kiss3d_backend.networks.lrm.field import TriplaneField
from kiss3d_backend.networks.lrm.geometry import extract_mesh
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.lrm.shape import LrmShape

POINTS = 2000


def random_lrm(shape: LrmShape, seed: int) -> Lrm:
    """Every tensor is random, norms and biases too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Lrm(shape).requires_grad_(False).eval()
        for parameter in model.parameters():
            parameter += (0.2 if parameter.dim() == 1 else 0.02) * torch.randn_like(parameter)
    return model


def error(found: Tensor, expected: Tensor) -> float:
    """The relative one, of all numbers together."""
    return float((found.double() - expected).norm() / expected.norm())


@torch.inference_mode()
def compared(model: Lrm, side: int, resolution: int, seed: int = 0) -> dict[str, float]:
    """Relative errors in float32 of all that the model makes of four random pictures of ``side`` pixels.

    ``mesh``: of its vertices; infinite when the quads differ. ``diagonals``: float32 may split a quad along the other
    one where both are as good; the most that the definition prefers one that was not taken, 0 when all are taken. The
    field's level is moved first, so that it has both signs.
    """
    random = torch.Generator().manual_seed(seed)
    images = torch.rand(1, 4, 3, side, side, generator=random)
    cameras = torch.from_numpy(lrm_camera_vectors())[None]
    points = (torch.rand(POINTS, 3, generator=random) - 0.5) * by_hand.SCALE
    state = model.state_dict()
    tokens = [by_hand.image_tokens(state, *pair) for pair in zip(images[0], cameras[0], strict=True)]
    planes = by_hand.triplanes(state, torch.cat(tokens))
    level = by_hand.read(state, "net_sdf", by_hand.samples(planes, by_hand.grid(resolution)))[:, 0]
    state["synthesizer.decoder.net_sdf.6.bias"] -= between(level)
    expected = by_hand.shape(state, planes, resolution)
    features = by_hand.samples(planes, points)

    found_planes = model.forward_planes(images, cameras)
    field = TriplaneField(model, found_planes)
    grid = by_hand.grid(resolution).float()
    mesh = extract_mesh(field, resolution)
    same = quads_of(mesh.faces.numpy()) == quads_of(expected.faces)
    otherwise = (mesh.faces.numpy() != expected.faces).reshape(-1, 6).any(axis=1) if same else None
    return {
        "tokens": error(model.encoder(images[0], cameras[0], lambda: None).flatten(0, 1), torch.cat(tokens)),
        "planes": error(found_planes[0], planes),
        "sdf": error(field.values(grid), expected.values),
        "deformation": error(field.deformations(grid), expected.deformations),
        "weights": error(field.weights(grid, by_hand.corners(resolution)), expected.weights),
        "colours": error(field.colours(points), by_hand.colours(state, features)),
        "sdf_at_points": error(field.values(points), by_hand.read(state, "net_sdf", features)[:, 0]),
        "mesh": error(mesh.vertices, torch.from_numpy(expected.vertices)) if same else math.inf,
        "diagonals": math.inf if otherwise is None else float(expected.sure[otherwise].max(initial=0.0)),
    }


def quads_of(faces: NDArray[np.int64]) -> list[frozenset[int]]:
    """The corners of each, of which the triangles come in pairs."""
    return [frozenset(pair) for pair in faces.reshape(-1, 6).tolist()]


def between(values: Tensor) -> float:
    """A level about the median, in the widest gap there: rounding turns no sign."""
    ordered = values.sort().values
    middle = ordered[int(0.4 * len(ordered)) : int(0.6 * len(ordered))]
    widest = int(middle.diff().argmax())
    return float(middle[widest : widest + 2].mean())
