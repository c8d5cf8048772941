"""Drawn signatures: PNG images in base64, within bounds, by their first and last bytes.

They are kept and handed out as they came, and decoded by `api.photos` alone.
"""

import base64
import binascii
import struct

MAX_SIGNATURE_BYTES = 150_000
MAX_SIGNATURE_LENGTH = 4 * MAX_SIGNATURE_BYTES // 3
"""The most characters of base64."""
MAX_SIDE_PIXELS = 2_000
_BEGINNING = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_SIZE = struct.Struct(">II")


class SignatureError(ValueError):
    """A text that is no drawn signature. Its text is a clause: "it is no PNG in base64"."""


def read_signature(text: str) -> bytes:
    """Return the PNG in a text of base64. Raises SignatureError."""
    if len(text) > MAX_SIGNATURE_LENGTH:
        raise SignatureError(f"it is larger than {MAX_SIGNATURE_BYTES:,} bytes")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("it is no PNG in base64") from None
    begins = content.startswith(_BEGINNING) and len(content) >= len(_BEGINNING) + _SIZE.size
    if not begins or not content.endswith(_END):
        raise SignatureError("it is no whole PNG in base64")
    width_px, height_px = _SIZE.unpack_from(content, len(_BEGINNING))
    if not 1 <= min(width_px, height_px) <= max(width_px, height_px) <= MAX_SIDE_PIXELS:
        size = f"{width_px} x {height_px} pixels"
        raise SignatureError(f"it has {size}; each side may have 1 to {MAX_SIDE_PIXELS:,}")
    return content
