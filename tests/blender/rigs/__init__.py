"""Rigs that run tests in real Blenders: bpy wheels in environments of their own, and a window under Xvfb."""
