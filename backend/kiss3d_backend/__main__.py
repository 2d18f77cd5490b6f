"""``python -m kiss3d_backend`` is the ``kiss3d`` command."""

from kiss3d_backend.cli import main

if __name__ == "__main__":
    main()
