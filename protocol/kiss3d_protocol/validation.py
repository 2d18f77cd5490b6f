"""What the fields of the messages may hold, beyond their types (SPEC.md, section 2)."""

from __future__ import annotations

import math
import re
import uuid
from typing import Any

from attrs import validators

MAX_NAME = 256
MAX_TEXT = 16_384

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _finite(_: object, attribute: Any, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be finite: {value}")


uuid_text = validators.matches_re(_UUID)
sha256_text = validators.matches_re(r"[0-9a-f]{64}")
key_text = validators.matches_re(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
"""The letters of a key of 32 bytes in Z85 (ZeroMQ's RFC 32)."""
name_text = validators.max_len(MAX_NAME)
long_text = validators.max_len(MAX_TEXT)
not_negative = validators.ge(0)
finite = _finite
fraction = validators.and_(validators.ge(0.0), validators.le(1.0))
amount = validators.and_(not_negative, _finite)
"""A finite number that is not negative: seconds, or a rate."""


def new_job_id() -> str:
    """A job id: a random UUID in its canonical lower-case form."""
    return str(uuid.uuid4())


def is_job_id(text: str) -> bool:
    """Whether a text is a UUID in that form."""
    return _UUID.fullmatch(text) is not None
