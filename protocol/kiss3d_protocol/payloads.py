"""Descriptors of pictures, arrays and meshes whose bytes travel as blobs (SPEC.md, section 7)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from math import prod
from typing import Literal

from attrs import field, frozen, validators

from kiss3d_protocol.errors import MessageMalformed, MessageTooLarge

Blob = bytes | memoryview
"""Raw bytes of one frame (a C-contiguous buffer)."""

MAX_BLOBS = 16
MAX_VERTICES = 10_000_000
MAX_TRIANGLES = 20_000_000
MAX_PIXELS = 100_000_000
MAX_BLOB_TO_SERVER = 64 << 20
MAX_BLOB_TO_CLIENT = 256 << 20

Quality = Literal["coarse", "refined", "final"]

ITEM_SIZES = {"<f4": 4, "<u4": 4, "|u1": 1}
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff", "image/gif")
BACKEND_IMAGE_TYPES = ("image/png", "image/webp")
"""What a backend sends; a client reads no other."""

_blob_index = [validators.ge(0), validators.lt(MAX_BLOBS)]
_sha256 = validators.matches_re(r"[0-9a-f]{64}")
_SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def sha256_of(blob: Blob) -> str:
    """The hex sha256 of a blob."""
    return hashlib.sha256(blob).hexdigest()


@frozen
class ImageRef:
    """An encoded picture. ``width`` and ``height`` in pixels, 0 when the sender does not know."""

    blob: int = field(validator=_blob_index)
    media_type: str = field(validator=validators.in_(IMAGE_TYPES))
    width: int = field(validator=[validators.ge(0), validators.le(MAX_PIXELS)])
    height: int = field(validator=[validators.ge(0), validators.le(MAX_PIXELS)])
    sha256: str = field(validator=_sha256)

    def __attrs_post_init__(self) -> None:
        if self.width * self.height > MAX_PIXELS:
            raise MessageTooLarge(
                f"A picture of {self.width:,} x {self.height:,} pixels is over the limit of {MAX_PIXELS:,}."
            )


@frozen
class ArrayRef:
    """A typed array in C order. ``dtype`` is a key of :data:`ITEM_SIZES`; ``shape`` has two entries."""

    blob: int = field(validator=_blob_index)
    dtype: str = field(validator=validators.in_(ITEM_SIZES))
    shape: tuple[int, ...] = field(
        validator=validators.deep_iterable(
            validators.ge(0), validators.and_(validators.min_len(2), validators.max_len(2))
        )
    )
    sha256: str = field(validator=_sha256)

    @property
    def nbytes(self) -> int:
        """The length that the blob must have."""
        return prod(self.shape) * ITEM_SIZES[self.dtype]


@frozen
class MeshRef:
    """A mesh: see SPEC.md, section 7, for the frame, the winding and the meaning of each array."""

    positions: ArrayRef
    triangles: ArrayRef
    uvs: ArrayRef | None = None
    uv_triangles: ArrayRef | None = None
    colours: ArrayRef | None = None
    texture: ImageRef | None = None
    normal_map: ImageRef | None = None

    def __attrs_post_init__(self) -> None:
        vertices, triangles = self.positions.shape[0], self.triangles.shape[0]
        _expect("positions", self.positions, "<f4", (None, 3), MAX_VERTICES)
        _expect("triangles", self.triangles, "<u4", (None, 3), MAX_TRIANGLES)
        if self.uvs is not None:
            rows = vertices if self.uv_triangles is None else None
            _expect("uvs", self.uvs, "<f4", (rows, 2), MAX_VERTICES)
        if self.uv_triangles is not None:
            if self.uvs is None:
                raise MessageMalformed("A mesh has indices of UVs but no UVs.")
            _expect("uv_triangles", self.uv_triangles, "<u4", (triangles, 3), MAX_TRIANGLES)
        if self.colours is not None:
            _expect("colours", self.colours, "|u1", (vertices, 4), MAX_VERTICES)
        if self.texture is not None:
            expect_backend_image(self.texture)
        if self.normal_map is not None:
            if self.uvs is None:
                raise MessageMalformed("A mesh has a normal map but no UVs.")
            expect_backend_image(self.normal_map)

    def refs(self) -> list[ArrayRef | ImageRef]:
        """All descriptors that are there."""
        arrays = (self.positions, self.triangles, self.uvs, self.uv_triangles, self.colours)
        return [ref for ref in (*arrays, self.texture, self.normal_map) if ref is not None]


@frozen
class FileRef:
    """A file as it lies on the disk, in UTF-8. ``size`` in bytes."""

    blob: int = field(validator=_blob_index)
    format: Literal["json", "html"]
    size: int = field(validator=validators.ge(0))
    sha256: str = field(validator=_sha256)

    @property
    def nbytes(self) -> int:
        """The length that the blob must have."""
        return self.size


@frozen
class PieceRef:
    """A piece of a blob. ``size`` in bytes."""

    blob: int = field(validator=_blob_index)
    size: int = field(validator=validators.ge(0))
    sha256: str = field(validator=_sha256)

    @property
    def nbytes(self) -> int:
        """The length that the blob must have."""
        return self.size


BlobRef = ArrayRef | ImageRef | FileRef | PieceRef
"""What describes a blob."""


def expect_backend_image(ref: ImageRef) -> None:
    """Raises :class:`MessageMalformed` for a picture of a type that backends do not send."""
    if ref.media_type not in BACKEND_IMAGE_TYPES:
        raise MessageMalformed(f"A backend sends PNG or WebP, not {ref.media_type}.")


def _expect(name: str, ref: ArrayRef, dtype: str, shape: tuple[int | None, int], most_rows: int) -> None:
    rows, columns = shape
    if ref.dtype != dtype or ref.shape[1] != columns or (rows is not None and ref.shape[0] != rows):
        wanted = f"({'any' if rows is None else rows}, {columns})"
        raise MessageMalformed(f"The mesh's {name} should be {dtype} {wanted}, not {ref.dtype} {ref.shape}.")
    if ref.shape[0] > most_rows:
        raise MessageTooLarge(f"The mesh's {name} have {ref.shape[0]:,} rows; at most {most_rows:,} are allowed.")


class BlobWriter:
    """Collects blobs for one message and hands out their descriptors."""

    def __init__(self) -> None:
        self.blobs: list[Blob] = []

    def image(self, data: Blob, media_type: str, width: int = 0, height: int = 0) -> ImageRef:
        """Adds an encoded picture."""
        return ImageRef(self._add(data), media_type, width, height, sha256_of(data))

    def array(self, data: Blob, dtype: str, shape: Sequence[int]) -> ArrayRef:
        """Adds the bytes of a C-contiguous array of ``shape``."""
        length = memoryview(data).nbytes
        if dtype in ITEM_SIZES and prod(shape) * ITEM_SIZES[dtype] != length:
            raise ValueError(f"{length} bytes do not make an array {dtype} of shape {tuple(shape)}")
        return ArrayRef(self._add(data), dtype, tuple(shape), sha256_of(data))

    def piece(self, data: Blob) -> PieceRef:
        """Adds a piece of a blob."""
        return PieceRef(self._add(data), memoryview(data).nbytes, sha256_of(data))

    def _add(self, data: Blob) -> int:
        if len(self.blobs) == MAX_BLOBS:
            raise MessageTooLarge(f"A message carries at most {MAX_BLOBS} blobs.")
        self.blobs.append(data)
        return len(self.blobs) - 1


def is_absent(ref: BlobRef, blob: Blob) -> bool:
    """Whether an empty frame stands for bytes that are to be fetched."""
    return memoryview(blob).nbytes == 0 and ref.sha256 != _SHA256_OF_NOTHING


def check_blobs(refs: Iterable[BlobRef], blobs: Sequence[Blob], *, may_be_absent: bool = False) -> None:
    """Checks that each blob is described once, is there, has its length and its sha256.

    With ``may_be_absent`` empty frames may stand for some. Raises :class:`MessageMalformed`. Lengths are compared
    before anything is hashed.
    """
    refs = list(refs)
    if sorted(ref.blob for ref in refs) != list(range(len(blobs))):
        raise MessageMalformed("The blobs of a message are not those that it describes.")
    for ref in refs:
        if not (may_be_absent and is_absent(ref, blobs[ref.blob])):
            _check_length(ref, memoryview(blobs[ref.blob]).nbytes)
    for ref in refs:
        if not (may_be_absent and is_absent(ref, blobs[ref.blob])) and sha256_of(blobs[ref.blob]) != ref.sha256:
            raise MessageMalformed("A blob was changed on its way: its sha256 is not the announced one.")


def _check_length(ref: BlobRef, length: int) -> None:
    if not isinstance(ref, ImageRef) and ref.nbytes != length:
        what = "An array" if isinstance(ref, ArrayRef) else "A file"
        raise MessageMalformed(f"{what} of {ref.nbytes} bytes was announced, but {length} came.")
