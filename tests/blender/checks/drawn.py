"""Pictures of a result as the backend would draw it, for a comparison outside."""

import bpy
import numpy as np
from mathutils import Matrix

SIDE = 256
AZIMUTHS = (0, 90)


def draw_as_the_backend(made, folder):
    """Writes ``drawn-AZIMUTH.png``: the object alone, its middle at the origin, in its texture's own colours."""
    from bl_ext.user_default.kiss3d.capture.framing import SENSOR_WIDTH, Frame
    from bl_ext.user_default.kiss3d.capture.png import encode_png
    from bl_ext.user_default.kiss3d.importer.scratch import Look, render_alone

    made.location = (0, 0, -made.dimensions.z / 2)
    bpy.context.view_layer.update()
    # The backend's camera (kiss3d_backend/mesh/camera.py): 30 degrees, 5 degrees above the ground, 4.5 away.
    lens = SENSOR_WIDTH / 2 / np.tan(np.radians(15))
    elevation = np.radians(5)
    for azimuth in AZIMUTHS:
        turn = Matrix.Rotation(np.radians(azimuth), 4, "Z") @ Matrix.Rotation(np.pi / 2 - elevation, 4, "X")
        eye = turn @ Matrix.Translation((0, 0, 4.5))
        shown = Frame(lens, 0.0, 0.0, 0.0, 0.1, 10.0)
        pixels = render_alone([made], eye, shown, Look("FLAT", "TEXTURE"), SIDE)
        (folder / f"drawn-{azimuth}.png").write_bytes(encode_png(pixels))
