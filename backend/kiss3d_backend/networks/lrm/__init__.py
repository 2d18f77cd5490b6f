"""The large reconstruction model: four views to triplanes, and triplanes to a coloured mesh."""

from kiss3d_backend.networks.lrm.field import TriplaneField
from kiss3d_backend.networks.lrm.geometry import LrmSurface, extract_mesh, in_bundle_world
from kiss3d_backend.networks.lrm.load import LRM_FILE, load_lrm
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.lrm.shape import LrmShape

__all__ = [
    "LRM_FILE",
    "Lrm",
    "LrmShape",
    "LrmSurface",
    "TriplaneField",
    "extract_mesh",
    "in_bundle_world",
    "load_lrm",
]
