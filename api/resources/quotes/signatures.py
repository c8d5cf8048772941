"""Drawn signatures: PNG images within bounds, by their first and last bytes. They are kept and
handed out as they came, and decoded by `api.photos` alone.
"""

import base64
import binascii
import struct

MAX_SIGNATURE_BYTES = 150_000
MAX_SIDE_PIXELS = 2_000
_PREFIX = "data:image/png;base64,"
_BEGINNING = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_SIZE = struct.Struct(">II")


class SignatureError(ValueError):
    """A drawing that is no signature. Its text is for whoever drew it."""


def read_signature(text: str) -> bytes:
    """Return the PNG in a data URL. Raises SignatureError."""
    try:
        content = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise _unreadable() from None
    if not text.startswith(_PREFIX):
        raise _unreadable()
    if len(content) > MAX_SIGNATURE_BYTES:
        raise SignatureError("The drawn signature is too large: please draw it more simply.")
    begins = content.startswith(_BEGINNING) and len(content) >= len(_BEGINNING) + _SIZE.size
    if not begins or not content.endswith(_END):
        raise _unreadable()
    sides: tuple[int, int] = _SIZE.unpack_from(content, len(_BEGINNING))
    if not all(1 <= side <= MAX_SIDE_PIXELS for side in sides):
        raise _unreadable()
    return content


def _unreadable() -> SignatureError:
    return SignatureError("The drawn signature cannot be read: please draw it again.")
