"""What clients of an older minor version are told instead of what they do not know (SPEC.md, section 2)."""

from __future__ import annotations

from kiss3d_backend.broker.outbox import Letter
from kiss3d_protocol.framing import structure, unpack_map
from kiss3d_protocol.messages import TAGS, BundlesReady, Preview
from kiss3d_protocol.payloads import ImageRef


def in_older_words(letter: Letter, minor: int) -> Letter:
    """The letter itself, or for a client of version 1.0 a preview of the first bundle in place of all of them.

    It keeps the number, without which such a client would wait for the missing event for ever.
    """
    if minor > 0:
        return letter
    event = _bundles_ready(letter)
    if event is None or not event.bundles:
        return letter
    image = event.bundles[0].image
    alone = ImageRef(0, image.media_type, image.width, image.height, image.sha256)
    preview = Preview(job=event.job, number=event.number, time=event.time, stage=event.stage, image=alone)
    return Letter(preview, letter.artifacts[image.blob : image.blob + 1])


def _bundles_ready(letter: Letter) -> BundlesReady | None:
    if not isinstance(letter.content, bytes):
        return letter.content if isinstance(letter.content, BundlesReady) else None
    fields = unpack_map(letter.content)
    return structure(fields, BundlesReady) if fields["type"] == TAGS[BundlesReady] else None
