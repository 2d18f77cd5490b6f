"""Blender 5.2 in a real window: Xvfb, a mouse and a keyboard (xdotool) and screenshots, all inside the Debian folder.

The network is the machine's own, so Blender reaches a backend that runs outside, on the loopback address.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
from tests.blender.rigs.debian import SYSTEM_PATH, ensure_debian, enter
from tests.blender.rigs.processes import TimedOut
from tests.blender.rigs.reports import read_report
from tests.blender.rigs.work_folder import ENVIRONMENT, SHARED, new_work_folder

WIDTH, HEIGHT = 1280, 800


@dataclass(frozen=True)
class WindowRig:
    """A Debian folder with a Blender that can draw."""

    folder: Path

    @property
    def version(self) -> str:
        """For example ``5.2.2``."""
        done = subprocess.run(
            enter(self.folder, ["blender", "--version"]),
            env={"PATH": SYSTEM_PATH, "HOME": "/tmp"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.split()[1]

    @contextmanager
    def open(
        self,
        script: str = "",
        *,
        zip: Path | None = None,
        extension_id: str = "kiss3d",
        screenshots: Path,
        env: Mapping[str, str] | None = None,
        files: Mapping[str, Path] | None = None,
        timeout: float = 90.0,
    ) -> Iterator[Window]:
        """Start Blender with empty resources, install the zip, run the script's source, and wait for the window.

        ``files`` are copied to ``/kiss3d/NAME`` inside. Screenshots (PNG) and Blender's output (``blender.log``) are
        kept in ``screenshots``. Everything ends with the context, whatever state it is in.
        """
        work = new_work_folder()
        screenshots.mkdir(parents=True, exist_ok=True)
        (work / "questions").mkdir()
        (work / "script.py").write_text(script, encoding="utf-8")
        for name, source in (files or {}).items():
            shutil.copy(source, work / name)
        setup: dict[str, str] = {"extension_id": extension_id}
        if zip is not None:
            shutil.copy(zip, work / zip.name)
            setup["zip"] = f"{SHARED}/{zip.name}"
        (work / "setup.json").write_text(json.dumps(setup), encoding="utf-8")
        namespace = subprocess.Popen(
            enter(self.folder, ["sleep", "infinity"], {work: SHARED}),
            env={"PATH": SYSTEM_PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        started = [namespace]
        try:
            with (screenshots / "blender.log").open("wb") as log:
                window = Window(work, screenshots, _first_process(namespace), started, log, dict(env or {}))
                window.wait_until_drawn(timeout)
                yield window
        finally:
            namespace.kill()  # the kernel ends everything else in its namespaces
            for process in started:
                process.wait()
            shutil.rmtree(work, ignore_errors=True)


class Window:
    """A running Blender. Pixels count from the top left corner of the screen, which Blender fills."""

    def __init__(
        self,
        work: Path,
        screenshots: Path,
        process_1: int,
        started: list[subprocess.Popen[bytes]],
        log: IO[bytes],
        env: dict[str, str],
    ) -> None:
        self.work = work
        self._screenshots = screenshots
        self._log = screenshots / "blender.log"
        self._enter = ["nsenter", f"--target={process_1}", "--mount", "--pid", "--root", "--wd", "--"]
        self._started = started
        self._env = ENVIRONMENT | {"LIBGL_ALWAYS_SOFTWARE": "1"}
        self._env["DISPLAY"] = f":{self._start_screen()}"
        geometry = ["--window-geometry", "0", "0", str(WIDTH), str(HEIGHT)]
        command = ["blender", "--factory-startup", "-noaudio", *geometry, "--python-exit-code", "3"]
        command += ["--python", f"{SHARED}/inside/window_start.py"]
        self._blender = self._start(command, log, self._env | env)

    def _start_screen(self) -> str:
        command = ["Xvfb", "-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "+extension", "GLX"]
        server = self._start([*command, "-nolisten", "tcp"], subprocess.PIPE, self._env)
        assert server.stdout is not None
        with server.stdout as told:
            display = told.readline().decode().strip()
        assert display.isdigit(), "Xvfb did not start"
        return display

    def _start(self, command: list[str], output: IO[bytes] | int, env: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*self._enter, *command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL if output is subprocess.PIPE else subprocess.STDOUT,
        )
        self._started.append(process)
        return process

    @property
    def output(self) -> str:
        """All that Blender has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def report(self) -> dict[str, Any]:
        """What scripts in it handed to ``kiss3d_inside.report`` so far."""
        return read_report(self.output)

    def wait_until_drawn(self, timeout: float) -> None:
        """Wait until the script has run and the window has been drawn."""
        self.evaluate("inside.drawn()", timeout=timeout)
        self.wait_until("inside.drawn()", timeout=timeout)

    def wait_until(self, expression: str, *, timeout: float = 30.0, every: float = 0.1) -> Any:
        """Ask until the expression is true in Blender; return its value."""
        end = time.monotonic() + timeout
        while True:
            value = self.evaluate(expression, timeout=max(end - time.monotonic(), 1.0))
            if value:
                return value
            if time.monotonic() > end:
                self.screenshot("timed-out")
                raise TimedOut(f"not true after {timeout:g} s: {expression}\n{self.output}")
            time.sleep(every)

    def evaluate(self, expression: str, *, timeout: float = 20.0) -> Any:
        """The value (what JSON can say) of a Python expression in Blender's main loop.

        It can use ``bpy`` and ``inside`` (the module kiss3d_inside). An exception in it is
        raised here as :class:`AssertionError` with its traceback.
        """
        return self._ask({"expression": expression}, timeout)

    def execute(self, source: str, *, timeout: float = 60.0) -> None:
        """Run Python statements in Blender's main loop."""
        self._ask({"source": source}, timeout)

    def _ask(self, question: dict[str, str], timeout: float) -> Any:
        name = uuid.uuid4().hex
        questions = self.work / "questions"
        partial = questions / f"{name}.partial"
        partial.write_text(json.dumps(question), encoding="utf-8")
        partial.replace(questions / f"{name}.question")
        answer = questions / f"{name}.answer"
        end = time.monotonic() + timeout
        while not answer.exists():
            if self._blender.poll() is not None:
                raise AssertionError(f"Blender ended with {self._blender.returncode}:\n{self.output}")
            if time.monotonic() > end:
                raise TimedOut(f"Blender did not answer within {timeout:g} s: {question}\n{self.output}")
            time.sleep(0.01)
        said = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        assert "error" not in said, said.get("error")
        return said.get("value")

    def settle(self) -> None:
        """Wait until the window shows things as they are now."""
        # A first frame with a new material takes long where the processor draws it and has other work.
        before = self.evaluate("inside.redraw()", timeout=120)
        self.wait_until(f"inside.drawn_since({before})", timeout=120)

    def screenshot(self, name: str) -> Path:
        """Take a picture of the whole screen now; it is ``NAME.png`` in the screenshots folder."""
        self._tool("import", "-window", "root", f"png:{SHARED}/{name}.png")
        return Path(shutil.move(self.work / f"{name}.png", self._screenshots / f"{name}.png"))

    def move(self, x: int, y: int) -> None:
        self._tool("xdotool", "mousemove", str(x), str(y))

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Press and release a mouse button there, as slowly as a hand, so that Blender sees the button under it."""
        self.move(x - 2, y)
        time.sleep(0.1)
        self.move(x, y)
        time.sleep(0.2)
        self._tool("xdotool", "mousedown", str(button))
        time.sleep(0.05)
        self._tool("xdotool", "mouseup", str(button))

    def key(self, name: str) -> None:
        """Press a key where the mouse is, for example ``ctrl+z``."""
        self._tool("xdotool", "key", name)

    def drop(self, x: int, y: int, *files: str) -> None:
        """Drag files (paths inside) from another program over the window and drop them there; the mouse ends there."""
        self.move(x, y)
        self._tool("python3", f"{SHARED}/inside/drag_files.py", str(x), str(y), *files)

    def show_panel(self, category: str) -> None:
        """Open the sidebar of the 3D View at this tab."""
        self.wait_until(f"inside.show_panel({category!r})")

    def sidebar(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the 3D View's sidebar."""
        left, top, right, bottom = self.evaluate("inside.sidebar()")
        return left, HEIGHT - top, right, HEIGHT - bottom

    def find_button(self, operator: str, *, across: float = 0.5, step: int = 8) -> tuple[int, int]:
        """Where in the sidebar the button of an operator (``kiss3d.generate``) is.

        Found as a person could: the mouse goes down the sidebar, and Ctrl C over a button copies its command.
        ``across``: where to look, 0 the left edge of the sidebar, 1 the right one.
        """
        left, top, right, bottom = self.sidebar()
        x = round(left + (right - left) * across)
        for y in range(top + step, bottom, step):
            self.move(x, y)
            time.sleep(0.06)
            self.execute("bpy.context.window_manager.clipboard = ''")
            self.key("ctrl+c")
            time.sleep(0.06)
            if f"bpy.ops.{operator}(" in self.evaluate("bpy.context.window_manager.clipboard"):
                return x, y + step // 2
        self.screenshot("button-not-found")
        raise AssertionError(f"no button of {operator} in the sidebar; see button-not-found.png")

    def quit(self, timeout: float = 30.0) -> int:
        """Let Blender quit as from its menu; return its exit code."""
        self.execute("inside.quit_soon()")
        try:
            return self._blender.wait(timeout)
        except subprocess.TimeoutExpired as slow:
            raise TimedOut(f"Blender did not quit within {timeout:g} s\n{self.output}") from slow

    def _tool(self, *command: str) -> None:
        done = subprocess.run(
            [*self._enter, *command], env=self._env, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"


def _first_process(namespace: subprocess.Popen[bytes]) -> int:
    """The process inside, once all mounts are there and it has become ``sleep``."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert namespace.poll() is None, f"the namespace could not be made (exit code {namespace.returncode})"
        for child in psutil.Process(namespace.pid).children():
            if child.name() == "sleep":
                return child.pid
        time.sleep(0.02)
    raise TimedOut("the Debian folder was not entered within 20 s")


def ensure_window_rig() -> WindowRig:
    """Set the rig up, once. Raises :class:`~tests.blender.rigs.cache.RigUnavailable`."""
    return WindowRig(ensure_debian())
