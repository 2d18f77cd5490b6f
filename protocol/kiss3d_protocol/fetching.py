"""The messages by which results are fetched (SPEC.md, sections 4 to 6): blobs in chunks, and meshes of earlier jobs."""

from __future__ import annotations

from attrs import field, frozen, validators

from kiss3d_protocol.payloads import MAX_BLOB_TO_CLIENT, MeshRef, PieceRef, Quality
from kiss3d_protocol.validation import long_text, name_text, not_negative, sha256_text, uuid_text

MAX_CHUNK = 1 << 20


@frozen
class Fetch:
    """Asks for at most ``length`` bytes from ``offset`` on of a blob that an event of ``job`` refers to."""

    job: str = field(validator=uuid_text)
    sha256: str = field(validator=sha256_text)
    offset: int = field(validator=not_negative)
    length: int = field(validator=[validators.ge(1), validators.le(MAX_CHUNK)])


@frozen
class Chunk:
    """The answer to :class:`Fetch`. ``total``: bytes of the whole blob; the piece is empty at its end only."""

    job: str = field(validator=uuid_text)
    sha256: str = field(validator=sha256_text)
    offset: int = field(validator=not_negative)
    total: int = field(validator=[validators.ge(0), validators.le(MAX_BLOB_TO_CLIENT)])
    piece: PieceRef


@frozen
class FetchFailed:
    """A blob that cannot be had, and why."""

    job: str = field(validator=uuid_text)
    sha256: str = field(validator=sha256_text)
    code: str = field(validator=name_text)
    message: str = field(validator=long_text)
    remedy: str = field(default="", validator=long_text)


@frozen
class GetResults:
    """Asks for a :class:`JobResult` for each mesh that a job has made, without following the job."""

    job: str = field(validator=uuid_text)


@frozen
class JobResult:
    """The newest mesh of one bundle of a job. Its place is ``index`` of ``count``; see :class:`MeshReady`."""

    job: str = field(validator=uuid_text)
    index: int = field(validator=not_negative)
    count: int = field(validator=validators.ge(1))
    quality: Quality
    mesh: MeshRef
    bundle: int = field(default=0, validator=not_negative)
