"""The differentiable rasteriser: everything that its users need. See ``torch_interface`` for how it is used."""

from kiss3d_backend.mesh.raster.choose import BACK_ENDS, NoRasterizer, choose
from kiss3d_backend.mesh.raster.torch_interface import Choice, Rasterizer, TorchFragments

__all__ = ["BACK_ENDS", "Choice", "NoRasterizer", "Rasterizer", "TorchFragments", "choose"]
