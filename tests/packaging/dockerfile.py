"""packaging/Dockerfile, read as the builder reads it, as far as is needed to check it without one."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.architecture.source_tree import ROOT

BASICS = ("FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE")
INSTRUCTIONS = (*BASICS, "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD")


@dataclass
class Stage:
    """One FROM and what follows it: (instruction, rest of the line), in order."""

    name: str
    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def all(self, instruction: str) -> list[str]:
        return [rest for what, rest in self.lines if what == instruction]

    def words(self, instruction: str) -> list[str]:
        """The words of an instruction that stands once, in the form of a JSON list."""
        (rest,) = self.all(instruction)
        words: list[str] = json.loads(rest[rest.index("[") :])
        return words


def read_dockerfile(path: Path = ROOT / "packaging" / "Dockerfile") -> list[Stage]:
    """The stages. Raises ValueError for a line that is no instruction."""
    text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    stages = [Stage("")]
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        what, _, rest = line.partition(" ")
        if what not in INSTRUCTIONS:
            raise ValueError(f"no instruction: {line}")
        if what == "FROM":
            stages.append(Stage(rest.partition(" AS ")[2]))
        stages[-1].lines.append((what, rest.strip()))
    return stages[1:]


def copied_from_the_checkout(stage: Stage) -> list[str]:
    """What a stage takes of the checkout, by its names there."""
    sources: list[str] = []
    for rest in stage.all("COPY"):
        if not rest.startswith("--from="):
            sources += rest.split()[:-1]
    return sources


def set_up_arguments(stage: Stage) -> list[str]:
    """The arguments of packaging/setup_backend.py in the stage's RUN, with the default of its ARG."""
    (rest,) = (rest for rest in stage.all("RUN") if "setup_backend.py" in rest)
    for default in stage.all("ARG"):
        name, _, value = default.partition("=")
        rest = rest.replace("${" + name + "}", value)
    words = shlex.split(rest)
    return words[words.index("packaging/setup_backend.py") + 1 :]
