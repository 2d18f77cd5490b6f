"""The messages between Kiss3D backends and their clients. SPEC.md beside this file is the authority."""
