"""From any triangles to closed, manifold, outward-facing ones."""

from kiss3d_backend.mesh.cleanup.clean import Cleaned, CleanUp, clean

__all__ = ["CleanUp", "Cleaned", "clean"]
