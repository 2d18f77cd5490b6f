"""Zero123++ (arXiv 2310.15110): a picture of an object to four pictures of it, from all sides.

A Stable Diffusion 2.1 UNet denoises one large picture of 2 x 2 tiles; its self-attention also looks at the given
picture, which goes through the same UNet at the same noise level ("reference attention").
"""
