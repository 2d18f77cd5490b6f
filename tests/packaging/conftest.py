"""A set-up with stand-ins for everything that takes long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.setup_tools import FakePython

from kiss3d_protocol.installation import Installation
from kiss3d_setup.install import Wish, install
from kiss3d_setup.payload import Payload
from kiss3d_setup.process import Stop
from kiss3d_setup.pythons import Maker
from kiss3d_setup.torch_builds import TorchBuild, build_of


@dataclass
class SetupBench:
    """Runs set-ups into ``folder``; ``events`` are those of the last one."""

    folder: Path
    python: FakePython
    version: str = "1.0.0"
    torch: TorchBuild = field(default_factory=lambda: build_of("cpu"))
    stop: Stop = field(default_factory=Stop)
    events: list[dict[str, Any]] = field(default_factory=list)

    def payload(self, scratch: Path) -> Payload:
        constraints = scratch / "constraints.txt"
        constraints.write_text("pip==26.3\nnumpy==2.0\nscipy==1.0\n", encoding="utf-8")
        return Payload(scratch / f"kiss3d-{self.version}-py3-none-any.whl", constraints, self.version, self.version)

    def install(self, on_event: Callable[[dict[str, Any]], None] | None = None) -> Installation:
        self.events.clear()

        def say(event: dict[str, Any]) -> None:
            self.events.append(event)
            if on_event is not None:
                on_event(event)

        wish = Wish(self.folder, Maker(str(self.python.path)), self.torch)
        return install(wish, say, self.stop, self.payload)

    @property
    def log(self) -> str:
        return (self.folder / "setup.log").read_text(encoding="utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> SetupBench:
    tools = tmp_path / "tools"
    tools.mkdir()
    return SetupBench(tmp_path / "with space" / "backend", FakePython(tools))
