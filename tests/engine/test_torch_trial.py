"""The trials of torch: on this machine, and with parts of torch that fail as they do on others."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the trials are of torch")

from kiss3d_backend.torch_trial import allocator, answer, attention  # noqa: E402
from kiss3d_backend.torch_trial.products import product_problem  # noqa: E402
from kiss3d_backend.torch_trial.triton_kernel import LENGTH, triton_problem  # noqa: E402

CPU = torch.device("cpu")


class TestAttention:
    def test_the_plain_one_works_everywhere(self) -> None:
        assert attention.working_attention(CPU)[-1] == "math"

    @pytest.mark.parametrize("offset", [0.0, 0.1])
    def test_one_that_is_wrong_is_left_out(self, monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
        right = attention.scaled_dot_product_attention

        def wrong(*arguments: Any) -> Any:
            return right(*arguments) + offset

        monkeypatch.setattr(attention, "scaled_dot_product_attention", wrong)
        assert ("math" in attention.working_attention(CPU)) == (offset == 0.0)

    def test_one_that_fails_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> Any:
            raise RuntimeError("No available kernel. Aborting execution.")

        monkeypatch.setattr(attention, "scaled_dot_product_attention", refuse)
        assert attention.working_attention(CPU) == ()


def test_products() -> None:
    assert product_problem(CPU) == ""
    assert "meta" in product_problem(torch.device("meta")), "a device that computes nothing"


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Installs a triton whose only kernel multiplies by the given factor."""

    def install(factor: float) -> None:
        def launch(values: Any, found: Any, length: int, BLOCK: int) -> None:
            assert BLOCK >= length == LENGTH
            found.copy_(values * factor)

        language = ModuleType("triton.language")
        language.constexpr = int  # pyright: ignore[reportAttributeAccessIssue]
        module = ModuleType("triton")
        module.language = language  # pyright: ignore[reportAttributeAccessIssue]
        module.jit = lambda function: {(1,): launch}  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "triton", module)
        monkeypatch.setitem(sys.modules, "triton.language", language)

    monkeypatch.delitem(sys.modules, "kiss3d_backend.torch_trial.doubling", raising=False)
    yield install  # pyright: ignore[reportReturnType]
    sys.modules.pop("kiss3d_backend.torch_trial.doubling", None)


class TestTriton:
    def test_it_works(self, triton: Callable[[float], None]) -> None:
        triton(2.0)
        assert triton_problem(CPU) == ""

    def test_a_wrong_answer(self, triton: Callable[[float], None]) -> None:
        triton(2.5)
        assert triton_problem(CPU) == "its kernel computes something else"

    def test_a_kernel_that_fails(self, triton: Callable[[float], None]) -> None:
        triton(2.0)
        assert "its kernel fails" in triton_problem(torch.device("meta"))

    def test_none(self, triton: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "triton", None)
        assert triton_problem(CPU) == "it is not installed"


class TestAllocator:
    @pytest.fixture
    def linux(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(allocator.sys, "platform", "linux")
        monkeypatch.setattr(allocator.platform, "release", lambda: "6.8.0-generic")
        monkeypatch.setattr(allocator, "_set_allocator", lambda setting: None)

    @staticmethod
    def zeros(said: str | Exception) -> Any:
        def zeros(*_: Any, **__: Any) -> Any:
            if isinstance(said, Exception):
                raise said
            if said:
                warnings.warn(said, stacklevel=1)
            return torch.Tensor([0.0])

        return SimpleNamespace(zeros=zeros)

    @pytest.mark.parametrize(
        ("said", "works"),
        [
            ("", True),
            ("expandable_segments not supported on this platform (Triggered internally)", False),
            ("something else is deprecated", True),
            (RuntimeError("CUDA driver error: out of memory"), False),
        ],
    )
    def test_it_is_believed_when_nothing_is_said(
        self, linux: None, monkeypatch: pytest.MonkeyPatch, said: str | Exception, works: bool
    ) -> None:
        monkeypatch.setattr(allocator, "torch", self.zeros(said))
        assert allocator.expandable_segments() is works

    @pytest.mark.parametrize(("system", "release"), [("win32", "11"), ("linux", "5.15.153.1-microsoft-standard-WSL2")])
    def test_it_is_not_even_tried(
        self, linux: None, monkeypatch: pytest.MonkeyPatch, system: str, release: str
    ) -> None:
        monkeypatch.setattr(allocator, "_set_allocator", lambda setting: pytest.fail("it was tried"))
        monkeypatch.setattr(allocator.sys, "platform", system)
        monkeypatch.setattr(allocator.platform, "release", lambda: release)
        assert allocator.expandable_segments() is False


class TestAnswer:
    def test_a_build_without_cuda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.version, "cuda", None)
        told = answer.torch_answer()
        assert told.device in ("cpu", "mps") and told.build.problem == "" and not told.triton_works
        assert told.build.version == torch.__version__ and "math" in told.attention

    @pytest.mark.parametrize("words", ["The NVIDIA driver on your system is too old", "No CUDA GPUs are available"])
    def test_a_build_for_cuda_that_cannot_start_it(self, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
        def refuse() -> None:
            raise RuntimeError(f"{words}\n  (found version 11040)")

        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.cuda, "init", refuse)
        told = answer.torch_answer()
        assert (told.device, told.gpu, told.build.cuda) == ("cpu", None, "13.0")
        assert told.build.problem == f"{words} (found version 11040)"

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_a_gpu(self) -> None:
        """In a process of its own, as always: the allocator's setting is for good."""
        from kiss3d_backend.devices.torch_answer import ask_torch

        told = ask_torch()
        assert told is not None and told.device == "cuda" and told.build.problem == ""
        assert told.gpu is not None and told.gpu.compute_capability == torch.cuda.get_device_capability(0)
        assert told.uuid and {"math", "efficient"} <= set(told.attention) and told.pinned_memory
