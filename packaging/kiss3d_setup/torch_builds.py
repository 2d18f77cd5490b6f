"""Which build of torch suits a machine: pure, from what nvidia-smi says."""

from __future__ import annotations

from dataclasses import dataclass

TORCH = "2.13.0"
"""The pinned release; constraints.txt has the same."""

INDEX = "https://download.pytorch.org/whl/{tag}"
"""Where PyTorch's own builds are. PyPI has one build for each platform, without the processor's for Linux."""


@dataclass(frozen=True)
class Card:
    """An NVIDIA card. ``driver``: such as (580, 65, 6). ``capability``: such as (8, 9); None when it is not known."""

    name: str
    driver: tuple[int, ...]
    capability: tuple[int, int] | None = None


@dataclass(frozen=True)
class TorchBuild:
    """``tag``: PyTorch's name of the build, "" for the only one there is on PyPI. ``why``: a sentence for people."""

    tag: str
    why: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"torch=={TORCH}+{self.tag}" if self.tag else f"torch=={TORCH}"

    @property
    def index(self) -> str:
        """PyTorch's index of this build, "" when PyPI has it."""
        return INDEX.format(tag=self.tag) if self.tag else ""

    @property
    def packages(self) -> int:
        """How many packages come with it, about: a CUDA build brings NVIDIA's libraries."""
        return 30 if self.tag.startswith("cu") else 10

    @property
    def room(self) -> int:
        """Bytes that environment and downloads take at their peak, measured and rounded up."""
        return 14_000_000_000 if self.tag.startswith("cu") else 4_000_000_000


@dataclass(frozen=True)
class CudaBuild:
    """What a CUDA build needs: the oldest driver of each platform, and the range of cards it was compiled for."""

    tag: str
    linux_driver: tuple[int, ...]
    windows_driver: tuple[int, ...]
    oldest_card: tuple[int, int]
    newest_card: tuple[int, int]


CUDA_BUILDS = (
    CudaBuild("cu130", (580,), (580,), (7, 5), (99, 9)),
    CudaBuild("cu126", (525, 60, 13), (528, 33), (5, 0), (9, 0)),
)
"""The CUDA builds of torch 2.13.0 that are used, the preferred one first.

Drivers: NVIDIA's CUDA toolkit release notes, table of the minimum driver for minor version compatibility (12.x, 13.x).
Cards: CUDA 13 has dropped those before Turing (7.5); PyTorch compiles its CUDA 12.6 build for 5.0 to 9.0. There is a
build for CUDA 13.2 too, which needs the same driver as the one for 13.0 and brings nothing that Kiss3D uses.
"""


def choose_torch(platform: str, machine: str, card: Card | None) -> TorchBuild:
    """The build for this machine. ``platform``: as ``sys.platform``; ``machine``: as ``platform.machine()``."""
    if platform == "darwin":
        return TorchBuild("", f"macOS on {machine}: there is one build.")
    if card is None:
        return TorchBuild("cpu", "No NVIDIA card was found: the build for the processor.")
    driver = ".".join(map(str, card.driver))
    for build in CUDA_BUILDS:
        oldest_driver = build.windows_driver if platform == "win32" else build.linux_driver
        fits = card.capability is None or build.oldest_card <= card.capability <= build.newest_card
        if fits and card.driver >= oldest_driver:
            return TorchBuild(build.tag, f"{card.name} with driver {driver}: the build for CUDA {_cuda(build.tag)}.")
    return TorchBuild(
        "cpu",
        f"{card.name} with driver {driver} is too old for every CUDA build: the build for the processor. "
        f"With driver {CUDA_BUILDS[0].linux_driver[0]} or newer, set up again.",
    )


def build_of(tag: str) -> TorchBuild:
    """The build that a person has chosen. Raises ValueError when there is none of that name."""
    known = ("cpu", *(build.tag for build in CUDA_BUILDS), "pypi")
    if tag not in known:
        raise ValueError(f"'{tag}' is none of {', '.join(known)}")
    return TorchBuild("" if tag == "pypi" else tag, "It was chosen.")


def _cuda(tag: str) -> str:
    return f"{tag[2:-1]}.{tag[-1]}"
