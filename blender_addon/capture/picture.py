"""A picture as the bytes that go to the backend, and pictures from files (no bpy)."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from kiss3d_protocol.errors import PictureIsDirectory, PictureMissing, PictureTooLarge, PictureUnreadable
from kiss3d_protocol.framing import MAX_BLOB_TO_SERVER

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"GIF8", "image/gif"),
)
NEEDED_BYTES = 12


@frozen
class Picture:
    """An encoded picture. ``name`` is for people; ``width`` and ``height`` are 0 when they are not known.

    ``path``: the file that it is all of, or ""; ``image_uid``: the id of the image of the .blend that it shows, or 0.
    """

    data: bytes
    media_type: str
    name: str
    width: int = 0
    height: int = 0
    path: str = ""
    image_uid: int = 0


def picture_from_file(path: Path) -> Picture:
    """The picture in a file, as it is. Raises a :class:`PictureError`."""
    if path.is_dir():
        raise PictureIsDirectory(f"'{path}' is a folder, not a picture.")
    try:
        # Looked at before it is read: a huge file must not fill the memory.
        _check_size(path.stat().st_size, path.name)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PictureMissing(f"There is no picture at '{path}'.") from error
    except OSError as error:
        raise PictureUnreadable(f"'{path}' could not be read: {error.strerror or error}.") from error
    # File names on Linux may be any bytes; a name that travels is text.
    picture = picture_from_bytes(data, path.stem.encode("utf-8", "replace").decode("utf-8"))
    return evolve(picture, path=str(path.absolute()).encode("utf-8", "replace").decode("utf-8"))


def picture_from_bytes(data: bytes, name: str) -> Picture:
    """The picture in a file's bytes. Raises a :class:`PictureError`."""
    _check_size(len(data), name)
    return Picture(data, media_type_of(data, name), name)


def media_type_of(data: bytes, name: str) -> str:
    """The media type by the first bytes; what the file is called does not matter. Raises PictureUnreadable."""
    if data[:4] == b"RIFF" and data[8:NEEDED_BYTES] == b"WEBP":
        return "image/webp"
    for signature, media_type in _SIGNATURES:
        if data.startswith(signature):
            return media_type
    raise PictureUnreadable(f"'{name}' is not a picture in a format that the backend reads.")


def _check_size(length: int, name: str) -> None:
    if length > MAX_BLOB_TO_SERVER:
        raise PictureTooLarge(
            f"'{name}' has {length / 2**20:.0f} MiB; at most {MAX_BLOB_TO_SERVER / 2**20:.0f} MiB can be sent."
        )
