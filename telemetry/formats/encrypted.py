"""The encryption of the OwnTracks apps: XSalsa20-Poly1305 (secretbox of libsodium).

    {"_type": "encrypted", "data": "base64 of a nonce of 24 bytes and the box"}

The key is the app's "encryption key" in UTF-8, filled with zeros to 32 bytes. A box that another
key made, or that was changed, does not open. https://owntracks.org/booklet/features/encrypt
"""

import base64
import binascii

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

MOST_KEY_BYTES = SecretBox.KEY_SIZE


class _Encrypted(msgspec.Struct, tag_field="_type", tag="encrypted"):
    data: str


_ENCRYPTED = msgspec.json.Decoder(_Encrypted)


def is_encrypted(payload: bytes) -> bool:
    """Whether a message may be encrypted: a look that is cheap."""
    return b'"encrypted"' in payload


def opened(payload: bytes, key: bytes) -> bytes | None:
    """Return what is in an encrypted message; None where it is none, or the key does not open it.

    Raises ValueError for a key of more than 32 bytes.
    """
    box = SecretBox(key.ljust(MOST_KEY_BYTES, b"\0"))
    try:
        return box.decrypt(base64.b64decode(_ENCRYPTED.decode(payload).data, validate=True))
    except (msgspec.MsgspecError, binascii.Error, CryptoError, ValueError, RecursionError):
        return None
