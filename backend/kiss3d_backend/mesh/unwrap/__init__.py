"""UV unwrapping by xatlas, in a process of its own that can be stopped at any moment."""

from kiss3d_backend.mesh.unwrap.unwrap import Unwrapped, unwrap

__all__ = ["Unwrapped", "unwrap"]
