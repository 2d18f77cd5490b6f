"""A command from its arguments to its exit code."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Generator, Sequence

import bpy

from kiss3d_protocol.errors import Kiss3DError, ParamsInvalid

from ..translations.errors import told
from .batch import run_batch
from .generate import run_generate
from .importing import run_import
from .options import BatchOptions, GenerateOptions, ImportOptions, Options
from .parser import parse

INTERRUPTED = 130
"""What shells say of a program that Ctrl-C has ended."""


def run(argv: Sequence[str]) -> int:
    """Runs ``generate``, ``batch`` or ``import`` with its options, without a window; the file that is open is replaced.

    Returns 0, the error's own exit code, 2 for wrong options, or 130 after Ctrl-C. Errors are told on stderr, with
    ``--json`` as a line on stdout too.
    """
    try:
        with _interruptible():
            _run(parse(argv))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Kiss3DError as error:
        if "--json" in argv:
            answer = {"event": "error", "code": error.code, "message": error.message, "remedy": error.remedy}
            print(json.dumps(answer), flush=True)
        print(f"Error: {told(error)}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr, flush=True)
        return INTERRUPTED
    return 0


def _run(options: Options) -> None:
    if not bpy.app.background:
        raise ParamsInvalid(
            "The command would replace the file that is open in this window.",
            "Run it as 'blender --command kiss3d', or in a script of 'blender --background'.",
        )
    match options:
        case GenerateOptions():
            run_generate(options)
        case BatchOptions():
            run_batch(options)
        case ImportOptions():
            run_import(options)


@contextlib.contextmanager
def _interruptible() -> Generator[None]:
    """Ctrl-C raises KeyboardInterrupt, also in Blender, which only takes a note of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        # None: it was set by Blender, which Python cannot set again.
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
