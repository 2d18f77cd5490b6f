"""The Kiss3D backend: a torch-free broker, a worker process, and the pipeline that the worker runs."""

__version__ = "0.1.0"
