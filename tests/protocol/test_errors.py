"""The tree of errors: what the docstring draws, what the classes are, what travels."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from tests.protocol import samples

import kiss3d_protocol
from kiss3d_protocol import errors
from kiss3d_protocol.errors import ERRORS, JobCancelled, Kiss3DError, RemoteError, error_from_wire
from kiss3d_protocol.framing import decode_server, encode
from kiss3d_protocol.messages import Refused

CLASSES = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, Kiss3DError)}
LEAVES = [cls for cls in CLASSES.values() if "code" in vars(cls) and cls is not Kiss3DError]


def _drawn() -> dict[str, tuple[str, str]]:
    """Each class of the docstring's tree with its parent and its code (empty for branches)."""
    assert errors.__doc__ is not None
    tree: dict[str, tuple[str, str]] = {}
    branch = ""
    for line in errors.__doc__.splitlines():
        match = re.fullmatch(r"    (│   |    )?[├└]── (\w+) *(\S*)(.*)", line)
        if match is None:
            continue
        parent = branch if match[1] else "Kiss3DError"
        branch = branch if match[1] else match[2]
        tree[match[2]] = (parent, match[3] if "." in match[3] else "")
    return tree


def test_the_drawing_is_the_tree() -> None:
    code = {
        name: (cls.__bases__[0].__name__, vars(cls).get("code", ""))
        for name, cls in CLASSES.items()
        if cls is not Kiss3DError
    }
    assert _drawn() == code


def test_codes_and_exit_codes_are_distinct() -> None:
    assert len({cls.code for cls in LEAVES}) == len(LEAVES)
    exits = [cls.exit_code for cls in [*LEAVES, RemoteError]]
    assert len(set(exits)) == len(exits)
    assert all(10 <= number <= 99 for number in exits)
    assert {cls.code: cls for cls in LEAVES} == ERRORS


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.code)
def test_codes_are_well_formed_and_remedies_are_sentences(cls: type[Kiss3DError]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", cls.code)
    if cls is not JobCancelled:
        assert re.fullmatch(r"[A-Z].*\.", cls.default_remedy)


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.code)
def test_an_error_is_the_same_class_on_the_other_side(cls: type[Kiss3DError]) -> None:
    error = cls("It is so.", "Do this.")
    sent = Refused("submit", samples.JOB, error.code, error.message, error.remedy)
    came, _ = decode_server(encode(sent))
    assert isinstance(came, Refused)
    again = error_from_wire(came.code, came.message, came.remedy)
    assert type(again) is cls
    assert (again.code, again.message, again.remedy, again.exit_code) == (
        cls.code,
        "It is so.",
        "Do this.",
        cls.exit_code,
    )
    assert str(again) == "It is so. Do this."


@pytest.mark.parametrize("code", ["job.from_the_future", "", "error", "Kiss3DError"])
def test_an_unknown_code_keeps_its_sentences(code: str) -> None:
    error = error_from_wire(code, "It is new.", "Update.")
    assert type(error) is RemoteError
    assert (error.code, error.exit_code, str(error)) == (code, 99, "It is new. Update.")
    assert RemoteError.code == Kiss3DError.code


def test_an_empty_remedy_stays_empty_and_none_is_the_classs_own() -> None:
    assert errors.PictureMissing("It is so.", "").remedy == ""
    assert errors.PictureMissing("It is so.").remedy == errors.PictureMissing.default_remedy
    assert str(errors.PictureMissing("It is so.", "")) == "It is so."


def _messages_in(path: Path) -> list[str]:
    """The first argument of every error that is made in a file, with X for what is put in."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES):
            continue
        match node.args[:1]:
            case [ast.Constant(value=str(text))]:
                found.append(text)
            case [ast.JoinedStr(values=parts)]:
                found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts))
    return found


def test_every_message_made_in_the_package_is_a_sentence() -> None:
    root = Path(kiss3d_protocol.__file__).parent
    messages = [text for path in sorted(root.rglob("*.py")) for text in _messages_in(path)]
    assert len(messages) > 15
    for text in messages:
        assert re.fullmatch(r"[A-Z'].*\.", text), text
