"""ISOMER: a mesh is refined until its normals and silhouettes are those of a bundle's views (arXiv 2405.20343)."""
