"""A picture from an image in the .blend: its own bytes where they are what is seen, else a PNG of its pixels."""

from pathlib import Path

import bpy
import numpy as np
import numpy.typing as npt
from attrs import evolve

from kiss3d_protocol.errors import PictureError, PictureTooLarge, PictureUnreadable
from kiss3d_protocol.payloads import BACKEND_IMAGE_TYPES, MAX_PIXELS

from .picture import Picture, picture_from_bytes, picture_from_file
from .png import encode_png

HOW_TO_SAVE = "Save it as a PNG file and choose the file."
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".exr", ".hdr", ".tga"}


def is_still_picture(image: bpy.types.Image) -> bool:
    """Whether it is one picture: no movie, sequence or tiles, and no render result, which is empty between renders."""
    # Images made in Blender have the type UV_TEST, whatever they show.
    return image.source in {"FILE", "GENERATED"} and image.type in {"IMAGE", "UV_TEST"}


def picture_from_image(image: bpy.types.Image) -> Picture:
    """What the image shows now, painted changes included. Raises a :class:`PictureError`."""
    if image.source in {"FILE", "GENERATED"} and not image.is_dirty:
        try:
            if image.packed_file is not None:
                return _of(image, picture_from_bytes(image.packed_file.data, _name(image)))
            if image.source == "FILE" and image.filepath:
                path = Path(bpy.path.abspath(image.filepath, library=image.library))
                return _of(image, picture_from_file(path))
        except PictureError:
            # A format that only Blender reads, or a file that went while Blender has its pixels: they are sent.
            if not image.has_data:
                raise
    return _of(image, Picture(_png(image), "image/png", _name(image), *image.size))


def texture_from_image(image: bpy.types.Image) -> Picture:
    """As :func:`picture_from_image`, but a PNG or a WebP: a mesh's texture travels as no other type."""
    picture = picture_from_image(image)
    if picture.media_type in BACKEND_IMAGE_TYPES:
        return picture
    return picture_from_bytes(_png(image), _name(image))


def _of(image: bpy.types.Image, picture: Picture) -> Picture:
    return evolve(picture, name=_name(image), path="", image_uid=image.session_uid)


def _name(image: bpy.types.Image) -> str:
    """The image's name without what makes it a file's: an object is not called chair.png."""
    name = Path(image.name)
    return name.stem if name.suffix.lower() in PICTURE_SUFFIXES else image.name


def _png(image: bpy.types.Image) -> bytes:
    width, height = image.size
    if not width or not height or not is_still_picture(image):
        raise PictureUnreadable(f"The pixels of '{image.name}' cannot be taken.", HOW_TO_SAVE)
    if width * height > MAX_PIXELS:
        raise PictureTooLarge(f"'{image.name}' has {width} x {height} pixels; at most {MAX_PIXELS:,} can be sent.")
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    # Blender's first row is the lowest.
    pixels = pixels.reshape(height, width, image.channels)[::-1]
    colours = {1: 1, 2: 1, 3: 3, 4: 3}[image.channels]
    if image.is_float and not image.colorspace_settings.is_data:
        pixels = np.concatenate((_srgb(pixels[..., :colours]), pixels[..., colours:]), axis=-1)
    return encode_png((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))


def _srgb(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # IEC 61966-2-1
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
