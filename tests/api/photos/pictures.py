"""Pictures: small files as cameras, phones and attackers make them."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

_GPS, _ORIENTATION, _CAMERA = 0x8825, 0x0112, 0x010F


def picture(kind: str = "JPEG", size: tuple[int, int] = (60, 40), **options: Any) -> bytes:
    """Return a picture whose upper left quarter is red, and the rest blue."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1] // 2))
    return saved(image, kind, **options)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photo(kind: str = "JPEG", orientation: int = 1, size: tuple[int, int] = (60, 40)) -> bytes:
    """Return a photo that says where it was taken, with which camera, and how it was held."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    exif[_CAMERA] = "Camera of Anna Keller"
    exif.get_ifd(_GPS).update({1: "N", 2: (47.0, 3.0, 1.5), 3: "E", 4: (8.0, 18.0, 2.5)})
    more = {"comment": b"Anna's garden"} if kind == "JPEG" else {}
    return picture(kind, size, exif=exif, **more)


def signature(size: tuple[int, int] = (600, 160)) -> bytes:
    """Return a signature as a pad makes one: black ink, and nothing else."""
    image = Image.new("RGBA", size)
    places = [(40 * step, size[1] * (1 + step % 3) // 4) for step in range(1, size[0] // 40)]
    ImageDraw.Draw(image).line(places, "black", width=3, joint="curve")
    return saved(image, "PNG")


def bomb(width_px: int, height_px: int) -> bytes:
    """Return a PNG of a few hundred bytes that says it has this size."""
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    sum_ = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + sum_


def opened(content: bytes) -> Image.Image:
    """Return a picture, decoded."""
    image = Image.open(BytesIO(content))
    image.load()
    return image
