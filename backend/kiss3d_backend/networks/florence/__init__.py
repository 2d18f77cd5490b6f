"""Florence-2 (Xiao et al., arXiv 2311.06242) describes a picture in words; the classes are transformers' own."""
