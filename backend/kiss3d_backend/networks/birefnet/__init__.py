"""BiRefNet lite: a soft matte of the object in a picture (Zheng et al., arXiv 2401.03407), run by onnxruntime."""

from kiss3d_backend.networks.birefnet.load import load_birefnet
from kiss3d_backend.networks.birefnet.matting import BiRefNet

__all__ = ["BiRefNet", "load_birefnet"]
