"""Calls that must not be anywhere in the product, found in the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from tests.architecture.source_tree import PRODUCT, parsed, python_files

UNPICKLING_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def forbidden(tree: ast.AST) -> Iterator[str]:
    """What in this source could run code that came from outside, or depends on the machine's encoding."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    if name.name.split(".")[0] in UNPICKLING_MODULES:
                        yield f"line {node.lineno}: imports {name.name}"
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNPICKLING_MODULES:
                yield f"line {node.lineno}: imports from {module}"
            case ast.Call():
                yield from _forbidden_call(node)


def _forbidden_call(call: ast.Call) -> Iterator[str]:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    match ast.unparse(call.func):
        case "torch.load" if not _is_constant(keywords.get("weights_only"), True):
            yield f"line {call.lineno}: torch.load without weights_only=True"
        case "np.load" | "numpy.load" if not _is_constant(keywords.get("allow_pickle"), False):
            yield f"line {call.lineno}: numpy.load without allow_pickle=False"
        case "eval" | "exec" | "os.system" | "os.popen":
            yield f"line {call.lineno}: {ast.unparse(call.func)}"
        case name if name.endswith((".read_text", ".write_text")) and "encoding" not in keywords:
            yield f"line {call.lineno}: {name} without encoding"
    if _is_constant(keywords.get("shell"), True):
        yield f"line {call.lineno}: shell=True"


def _is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_product_has_none() -> None:
    found = [f"{path}: {what}" for path in python_files(*PRODUCT) for what in forbidden(parsed(path))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path)",
        "eval(text)",
        "subprocess.run(line, shell=True)",
        "os.system(line)",
        "path.read_text()",
    ],
)
def test_the_check_sees(source: str) -> None:
    assert list(forbidden(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    ["torch.load(path, weights_only=True)", "np.load(path, allow_pickle=False)", "path.read_text(encoding='utf-8')"],
)
def test_the_check_allows(source: str) -> None:
    assert not list(forbidden(ast.parse(source)))
