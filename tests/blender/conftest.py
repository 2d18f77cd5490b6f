"""Fixtures for tests in real Blenders. A Blender that this machine cannot have is a visible skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.blender.rigs.bpy_env import BpyEnv, bpy_versions, ensure_bpy_env
from tests.blender.rigs.cache import RigUnavailable
from tests.blender.rigs.extension import build_extension
from tests.blender.rigs.headless import HeadlessRig, ensure_headless_rig
from tests.blender.rigs.window import WindowRig, ensure_window_rig

HERE = Path(__file__).parent
SETUP_TIMEOUT = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.blender)
            # The first test of a rig also waits for its set-up.
            item.add_marker(pytest.mark.timeout(SETUP_TIMEOUT), append=False)


@pytest.fixture(scope="session")
def _rigs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """Every rig that the collected tests need, set up side by side: most of the time goes into waiting."""
    scratch = tmp_path_factory.mktemp("bpy")
    wanted: dict[str, Callable[[], Any]] = {}
    for item in request.session.items:
        version = _parameters(item).get("bpy_env")
        if version:
            wanted.setdefault(version, lambda version=version: ensure_bpy_env(version, scratch))
        if "window_rig" in getattr(item, "fixturenames", ()):
            wanted["window"] = ensure_window_rig
        if "headless_rig" in getattr(item, "fixturenames", ()):
            wanted["headless"] = ensure_headless_rig
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {name: pool.submit(set_up) for name, set_up in wanted.items()}


def _parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec else {}


def _ready(rigs: dict[str, Future[Any]], name: str) -> Any:
    try:
        return rigs[name].result()
    except RigUnavailable as reason:
        pytest.skip(f"Blender {name} is not available here: {reason}")


@pytest.fixture(scope="session", params=bpy_versions())
def bpy_env(request: pytest.FixtureRequest, _rigs: dict[str, Future[Any]]) -> BpyEnv:
    """Each supported Blender that exists as a Python module, newest of its series (``$KISS3D_BLENDERS``)."""
    return _ready(_rigs, request.param)


@pytest.fixture(scope="session")
def window_rig(_rigs: dict[str, Future[Any]]) -> WindowRig:
    """Blender 5.2 with a window, on a screen in memory."""
    return _ready(_rigs, "window")


@pytest.fixture(scope="session")
def headless_rig(_rigs: dict[str, Future[Any]]) -> HeadlessRig:
    """Blender 5.2 at a terminal."""
    return _ready(_rigs, "headless")


@pytest.fixture(scope="session")
def extension_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension as people get it for Blender 4.2 to 5.0, built from this tree."""
    return build_extension("py311", tmp_path_factory.mktemp("extension"))


@pytest.fixture(scope="session")
def window_extension_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension for the Python of the Blender in the window rig, built from this tree."""
    return build_extension("py314", tmp_path_factory.mktemp("extension"))
