"""Frames of WebSocket as a server sends them (RFC 6455, section 5.2): not masked, not compressed.

So the bytes of a frame are the same for everybody, and are made once for all readers.
"""

_FIN_TEXT = 0x81
_MOST_7_BITS = 125
_MOST_16_BITS = 0xFFFF


def text_frame(content: bytes) -> bytes:
    """Return a whole message of text in one frame. content: UTF-8."""
    size = len(content)
    if size <= _MOST_7_BITS:
        return bytes((_FIN_TEXT, size)) + content
    if size <= _MOST_16_BITS:
        return bytes((_FIN_TEXT, 126)) + size.to_bytes(2, "big") + content
    return bytes((_FIN_TEXT, 127)) + size.to_bytes(8, "big") + content
