"""Set up a Kiss3D backend in an environment of its own: the same on a server as from Blender.

    python3 packaging/setup_backend.py install --into DIR

Run from a checkout it installs that checkout. Packed as kiss3d_setup.pyz by packaging/build_setup.py it brings the
backend along, and is all that is needed. It uses the standard library only, and must parse on older Pythons to be able
to say that they are too old.
"""

import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)

if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            "The set-up of Kiss3D needs Python {}.{} or newer, and this is Python {}.{} ({}). Run it with a newer one, "
            "or with 'uv run --python 3.12 {}'.".format(
                *OLDEST_PYTHON, *sys.version_info[:2], sys.executable, sys.argv[0]
            )
        )
    packaging = Path(__file__).resolve().parent
    if packaging.is_dir():  # in the packed one, all is in the archive, which Python has put on the path
        sys.path[:0] = [str(packaging), str(packaging.parent / "protocol")]
    from kiss3d_setup.cli import main

    sys.exit(main())
