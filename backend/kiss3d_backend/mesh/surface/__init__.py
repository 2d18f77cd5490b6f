"""Colours for a surface from pictures of it: projection, and diffusion into what no picture shows."""
