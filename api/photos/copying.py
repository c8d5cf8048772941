"""The process that copies photos, each in a child that is killed at its limits.

    python -m api.photos.copying [small]

A copy has the pixels and nothing else: no position, no time, no name of a camera, and nothing that
hangs behind the image. It stands upright, in the colours of sRGB. Of a moving image it is the first
frame, of a TIFF the first page. The size is read from the head of a file, and what is too large is
never decoded.

A process for small photos (`small`) refuses what is dear: what has many pixels, and what takes more
than a second.
"""

import struct
import sys
import warnings
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Literal

import msgspec
from PIL import (
    Image,
    ImageCms,
    TiffImagePlugin,  # noqa: F401  both are registered by being imported
    WebPImagePlugin,  # noqa: F401
)
from PIL.Image import Transpose

from api.limits.forking_process import ChildLimits, serve

LIMITS = ChildLimits(cpu_s=10, wall_s=30, memory_bytes=1024 * 1024 * 1024)
SMALL_LIMITS = ChildLimits(cpu_s=1, wall_s=10, memory_bytes=512 * 1024 * 1024)
MAX_PIXELS = 64_000_000
# Of a photo that is small: a JPEG of a phone takes half a second.
SMALL_BYTES = 4 * 1024 * 1024
_SMALL_JPEG_PIXELS, _SMALL_PIXELS = 17_000_000, 3_000_000
MAX_COPY_BYTES = 16 * 1024 * 1024
FULL_SIDE_PX = 4_096
THUMB_SIDE_PX = 320
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")

Image.MAX_IMAGE_PIXELS = None  # ours is checked in its place
_ORIENTATION = 0x0112
# By the orientation of EXIF, what makes an image upright.
_TURNS: Mapping[object, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# What Pillow raises for files that are damaged; it has no type of its own for them.
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, EOFError),
    *(struct.error, zlib.error),
)
_JPEG_QUALITY = 85

MediaType = Literal["image/jpeg", "image/png"]


class PhotoRequest(msgspec.Struct, frozen=True):
    """A file, and the longest side of each copy that is wanted of it, the largest first.

    is_for_paper: the copies are JPEG, whatever the file is. is_small: a photo with many pixels is
    not wanted.
    """

    content: bytes
    sides_px: tuple[int, ...]
    is_for_paper: bool = False
    is_small: bool = False


class PhotoCopy(msgspec.Struct, frozen=True):
    """A copy."""

    media_type: MediaType
    width_px: int
    height_px: int
    content: bytes


class PhotoAnswer(msgspec.Struct, frozen=True):
    """The copies in the order of their sides, or what is wrong with the file.

    is_blank: on white, all of it is one colour. problem: for whoever sent the file. is_too_large:
    it is not damaged, it has too many pixels. is_dear: it has too many for a small one.
    """

    copies: tuple[PhotoCopy, ...] = ()
    is_blank: bool = False
    problem: str = ""
    is_too_large: bool = False
    is_dear: bool = False


class _TooLargeError(Exception):
    """An image with too many pixels. Its text says how many."""


def copied(request: PhotoRequest) -> PhotoAnswer:
    """Make the copies of one file."""
    try:
        _check_size(_webp_size(request.content))  # since Pillow takes memory for it at once
        image = Image.open(BytesIO(request.content), formats=FORMATS)
        _check_size(image.size)
        if request.is_small and not _is_small(image):
            return PhotoAnswer(is_dear=True)
        return _copies(image, request)
    except _TooLargeError as error:
        return PhotoAnswer(problem=str(error), is_too_large=True)
    except MemoryError:
        if request.is_small:
            return PhotoAnswer(is_dear=True)
        return PhotoAnswer(problem="it takes too much memory to decode", is_too_large=True)
    except _DAMAGED as error:
        return PhotoAnswer(problem=_plain(error))


def _check_size(size: tuple[int, int]) -> None:
    """Raise _TooLargeError for an image with too many pixels."""
    width_px, height_px = size
    if width_px * height_px > MAX_PIXELS:
        most = MAX_PIXELS // 1_000_000
        raise _TooLargeError(
            f"it has {width_px} x {height_px} pixels; at most {most} megapixels are accepted"
        )


def _is_small(image: Image.Image) -> bool:
    most = _SMALL_JPEG_PIXELS if image.format == "JPEG" else _SMALL_PIXELS
    return image.width * image.height <= most


def _webp_size(content: bytes) -> tuple[int, int]:
    """Return the size in the head of a WebP (RFC 9649); 0, 0 for other files."""
    if content[:4] != b"RIFF":
        return 0, 0
    match content[12:16]:
        case b"VP8X":
            bits = int.from_bytes(content[24:30], "little")
            return (bits & 0xFFFFFF) + 1, (bits >> 24) + 1
        case b"VP8L":
            bits = int.from_bytes(content[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            bits = int.from_bytes(content[26:30], "little")
            return bits & 0x3FFF, bits >> 16 & 0x3FFF


def _plain(error: BaseException) -> str:
    """Return what Pillow says of a file, without values of the program."""
    if isinstance(error, OSError) and "truncated" in str(error):
        return "it ends too early"
    return "it is damaged, or not what its first bytes say"


def _copies(image: Image.Image, request: PhotoRequest) -> PhotoAnswer:
    """Return the copies, each made of the one before: of a JPEG only as many pixels are decoded as
    the largest one needs.
    """
    sides_px, keeps_png = request.sides_px, image.format in ("PNG", "GIF")
    image.draft("RGB", (sides_px[0], sides_px[0]))  # changes a JPEG alone
    # Pillow turns a TIFF by itself when it is decoded.
    turn = None if image.format == "TIFF" else _TURNS.get(_orientation(image))
    profile = image.info.get("icc_profile")
    image = _in_plain_mode(image)
    copies: list[PhotoCopy] = []
    for number, side_px in enumerate(sides_px):
        image.thumbnail((side_px, side_px), reducing_gap=3)
        if number == 0:
            image = _in_srgb(image if turn is None else image.transpose(turn), profile)
        is_jpeg = request.is_for_paper or side_px <= THUMB_SIDE_PX
        copies.append(_encoded(image, keeps_png=keeps_png, is_jpeg=is_jpeg))
    return PhotoAnswer(tuple(copies), _on_white(image).getcolors(1) is not None)


def _orientation(image: Image.Image) -> object:
    """Return the orientation in the metadata; None where none can be read."""
    try:
        return image.getexif().get(_ORIENTATION)
    except _DAMAGED:
        return None


def _in_plain_mode(image: Image.Image) -> Image.Image:
    """Decode an image; return it in mode L, RGB, CMYK or RGBA."""
    image.load()
    if image.mode in ("L", "RGB", "CMYK", "RGBA") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits of grey
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image in mode RGB or RGBA, with the colours that its profile says."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode=mode)
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, *_DAMAGED):
            pass  # the profile is of another kind of image: the colours stay as they are
    return image.convert(mode)


def _encoded(image: Image.Image, *, keeps_png: bool, is_jpeg: bool) -> PhotoCopy:
    """Return an image as a file without metadata: a JPEG on white. Unless `is_jpeg`, what was PNG
    or can be seen through is a PNG, while it is small enough.
    """
    image.info.clear()
    if not is_jpeg and (keeps_png or image.mode == "RGBA"):
        stream = BytesIO()
        image.save(stream, "PNG", compress_level=4)
        if stream.tell() <= MAX_COPY_BYTES:
            return PhotoCopy("image/png", image.width, image.height, stream.getvalue())
    stream = BytesIO()
    image = _on_white(image)
    image.save(stream, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return PhotoCopy("image/jpeg", image.width, image.height, stream.getvalue())


def _on_white(image: Image.Image) -> Image.Image:
    """Return an image in mode RGB or RGBA as it looks on white."""
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _load() -> None:
    """Load the decoders, and keep what Pillow warns of out of the log."""
    warnings.simplefilter("ignore")
    Image.preinit()


def _answer(message: bytes) -> bytes:
    return msgspec.msgpack.encode(copied(msgspec.msgpack.decode(message, type=PhotoRequest)))


if __name__ == "__main__":
    serve(_load, _answer, SMALL_LIMITS if sys.argv[1:] == ["small"] else LIMITS)
