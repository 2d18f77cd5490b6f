"""Whether finished objects stand where they should, upright, with their front to the front (bpy and numpy only)."""

import bpy
import numpy as np

SIZE = 3.0
STEP = SIZE * 0.75 + SIZE * 0.25
"""Between two on a grid: the scripts' sphere is three quarters as wide and deep as high, and a quarter is between."""


def world_positions(thing):
    flat = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get("co", flat)
    matrix = np.array(thing.matrix_basis)
    return flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def opened(path):
    """The file as somebody opens it, and its finished objects by name."""
    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False)
    assert list(bpy.data.scenes) == [bpy.context.scene]
    return {thing.name: thing for thing in bpy.context.scene.objects if "_LOD" not in thing.name}


def assert_stands(thing, x, y, size=SIZE):
    """Upright on the floor, with the middle of its base at (x, y) as its origin, its front towards -Y."""
    assert np.allclose(thing.location, (x, y, 0), atol=1e-4), (thing.name, tuple(thing.location))
    assert tuple(thing.scale) == (1, 1, 1) and not any(thing.rotation_euler)
    positions = world_positions(thing) - (x, y, 0)
    low, high = positions.min(axis=0), positions.max(axis=0)
    assert np.allclose(high - low, (0.75 * size, 0.75 * size, size), atol=0.02), high - low
    assert abs(low[2]) < 1e-4 and np.allclose((low + high)[:2] / 2, 0, atol=0.02)
    assert (positions[:, 1] < low[1] + 0.2 * size).sum() == 1, "the nose is not in front"
