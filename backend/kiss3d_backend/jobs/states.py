"""The states of a job and the legal ways from one to another (SPEC.md, section 4)."""

from __future__ import annotations

from kiss3d_protocol.messages import JobState

LEGAL: dict[JobState, frozenset[JobState]] = {
    "queued": frozenset({"running", "cancelled", "failed"}),
    "running": frozenset({"finished", "failed", "cancelled", "queued"}),
    "finished": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

ENDED: frozenset[JobState] = frozenset(state for state, following in LEGAL.items() if not following)


def check_transition(old: JobState, new: JobState) -> None:
    """Raises :class:`ValueError` for an illegal transition: a mistake in the backend, never a user's."""
    if new not in LEGAL[old]:
        raise ValueError(f"a {old} job cannot become {new}")
