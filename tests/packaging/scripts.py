"""Loads the scripts of packaging/, which are no package: people start them by their path."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.architecture.source_tree import ROOT


def packaging_script(name: str) -> ModuleType:
    """``packaging/NAME.py`` as a module."""
    spec = importlib.util.spec_from_file_location(f"kiss3d_{name}", ROOT / "packaging" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module
