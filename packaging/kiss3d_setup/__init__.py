"""Sets up a backend: an environment of its own, torch for the machine, the pinned set, a check (standard library only).

It runs before anything is installed, under the Python of Blender as well as under that of a bare server, so it uses
nothing but the standard library and the two modules of kiss3d_protocol that do the same (errors, installation).
"""
