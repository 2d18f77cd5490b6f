"""The image is what docs/install.md promises. It is not built here; tests/e2e/test_set_up.py runs what it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.architecture.source_tree import ROOT
from tests.packaging.dockerfile import copied_from_the_checkout, read_dockerfile, set_up_arguments
from typer.main import get_command

from kiss3d_backend.cli import app
from kiss3d_setup.cli import parser
from kiss3d_setup.torch_builds import build_of

SETUP, IMAGE = read_dockerfile()


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    ignored = (ROOT / "packaging" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    sources = copied_from_the_checkout(SETUP)
    assert set(sources) == let_in
    assert all((ROOT / source).exists() for source in sources)
    assert copied_from_the_checkout(IMAGE) == [], "the image has the environment alone"
    assert IMAGE.all("COPY") == ["--from=setup /opt/kiss3d /opt/kiss3d"]


def test_the_set_up_understands_its_arguments() -> None:
    chosen = parser().parse_args(set_up_arguments(SETUP))
    assert chosen.into == Path("/opt/kiss3d") and chosen.tool == "venv"
    assert build_of(chosen.torch).tag == "cu130"
    assert "/opt/kiss3d/env/bin:" in IMAGE.all("ENV")[0]


def test_it_runs_as_a_user_whose_home_is_the_volume() -> None:
    order = [what for what, _ in IMAGE.lines]
    assert order.index("USER") < order.index("ENTRYPOINT")
    (user,) = IMAGE.all("USER")
    (added,) = (rest for rest in IMAGE.all("RUN") if rest.startswith("useradd"))
    assert added.split()[-1] == user != "root"
    (home,) = re.findall(r"--home-dir (\S+)", added)
    assert IMAGE.words("VOLUME") == [home]
    assert f"HOME={home} " in IMAGE.all("ENV")[0]


@pytest.mark.parametrize("instruction", ["CMD", "HEALTHCHECK"])
def test_what_it_runs_is_understood(instruction: str) -> None:
    words = IMAGE.words(instruction)
    if instruction == "HEALTHCHECK":
        assert words.pop(0) == "kiss3d"
    command = get_command(app).commands[words[0]]  # pyright: ignore[reportAttributeAccessIssue]
    command.make_context(words[0], words[1:], resilient_parsing=False)
    assert words[0] == ("serve" if instruction == "CMD" else "status")
    assert IMAGE.words("ENTRYPOINT") == ["kiss3d"] and IMAGE.all("STOPSIGNAL") == ["SIGTERM"]


def test_no_secret_is_in_a_layer() -> None:
    for stage in (SETUP, IMAGE):
        for what, rest in stage.lines:
            assert what not in ("ARG", "ENV") or not re.search(r"TOKEN|KEY|SECRET|PASSWORD", rest)
            assert "kiss3d pair" not in rest and "keys" not in rest


def test_a_line_that_is_no_instruction_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x\nRUM y\n", encoding="utf-8")
    with pytest.raises(ValueError, match="RUM"):
        read_dockerfile(tmp_path / "Dockerfile")
