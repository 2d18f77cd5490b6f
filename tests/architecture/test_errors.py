"""The errors that people meet: every code, exit code and remedy is its own and is there."""

from __future__ import annotations

import re
from collections import Counter

from kiss3d_protocol import errors


def test_exit_codes_are_distinct_and_leave_room_for_the_shell() -> None:
    codes = Counter(error.exit_code for error in errors.ERRORS.values())
    codes[errors.RemoteError.exit_code] += 1
    assert [code for code, count in codes.items() if count > 1] == []
    assert all(10 <= code <= 99 for code in codes)


def test_codes_are_distinct() -> None:
    def classes(cls: type[errors.Kiss3DError]) -> list[type[errors.Kiss3DError]]:
        return [cls, *(below for child in cls.__subclasses__() for below in classes(child))]

    own = [cls.code for cls in classes(errors.Kiss3DError) if "code" in vars(cls)]
    assert [code for code, count in Counter(own).items() if count > 1] == []
    assert {code for code in own if code != "error"} == set(errors.ERRORS)


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = dict(re.findall(r"── (\w+) +([a-z_]+\.[a-z_]+)", errors.__doc__ or ""))
    assert drawn == {cls.__name__: code for code, cls in errors.ERRORS.items()}


def test_every_error_says_what_to_do() -> None:
    without = {code for code, cls in errors.ERRORS.items() if not cls.default_remedy}
    assert without == {"job.cancelled"}, "only a cancelled job, which the person wanted, needs no remedy"


def test_remedies_are_sentences() -> None:
    for code, cls in errors.ERRORS.items():
        if cls.default_remedy:
            assert re.fullmatch(r"[A-Z].*\.", cls.default_remedy), code
