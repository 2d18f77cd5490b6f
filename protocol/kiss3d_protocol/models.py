"""The messages about model files (SPEC.md, sections 5 to 7): what there is, and getting what is missing."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from kiss3d_protocol.validation import amount, long_text, name_text, not_negative

ModelState = Literal["missing", "partial", "present", "ready"]
PullStep = Literal["describe", "verify", "download", "convert"]
HashState = Literal["known", "pinned", "unknown"]

MAX_PULLED = 256


@frozen
class ModelInfo:
    """One entry of the backend's catalogue. Sizes in bytes.

    ``title``: what it is for. ``presets``: the presets that need it. ``have``: how much of ``size`` lies on the
    backend's disk. ``state``: ``present`` means that all is there but has not been hashed yet. ``sha256``: whether its
    hashes are published ones, were recorded at the first download (trust on first use), or are not known yet.
    ``local``: the user pointed the entry to a file of their own.
    """

    name: str = field(validator=name_text)
    title: str = field(validator=name_text)
    repository: str = field(validator=name_text)
    revision: str = field(validator=name_text)
    licence: str = field(validator=name_text)
    gated: bool
    presets: tuple[str, ...]
    size: int = field(validator=not_negative)
    have: int = field(validator=not_negative)
    state: ModelState
    sha256: HashState
    local: bool = False


@frozen
class ListModels:
    """Asks for :class:`ModelList`."""


@frozen
class PullModels:
    """Gets what is missing of a preset and of the named entries, and follows the pull."""

    preset: str | None = field(default=None, validator=validators.optional(validators.max_len(64)))
    entries: tuple[str, ...] = field(default=(), validator=validators.max_len(MAX_PULLED))


@frozen
class CancelPull:
    """Stops the pull, for everybody; what has come stays and is continued by the next one."""


@frozen
class ModelList:
    """The answer to :class:`ListModels`. ``pulling``: the entries of the pull that runs, if one does."""

    models: tuple[ModelInfo, ...]
    pulling: tuple[str, ...] = ()


@frozen
class PullProgress:
    """How far a step of the pull is: ``bytes`` of ``total`` of all its files. ``file`` of ``entry`` is in work.

    The steps, each left out when it has nothing to do: asking the hub for descriptions (no bytes), hashing what is here
    already, downloading, converting pickles.
    """

    step: PullStep
    entry: str = field(validator=name_text)
    file: str = field(validator=name_text)
    bytes: int = field(validator=not_negative)
    total: int = field(validator=not_negative)
    bytes_per_second: float = field(validator=amount)
    eta_seconds: float | None = field(default=None, validator=validators.optional(amount))


@frozen
class PullFinished:
    """All files of ``entries`` are there and were checked."""

    entries: tuple[str, ...]


@frozen
class PullFailed:
    """The pull ended with an error."""

    code: str = field(validator=name_text)
    message: str = field(validator=long_text)
    remedy: str = field(default="", validator=long_text)


@frozen
class PullCancelled:
    """The pull was cancelled, or none ran when somebody cancelled it."""


PULL_ENDS = (PullFinished, PullFailed, PullCancelled)
"""Exactly one of these ends a pull."""
