"""Secrets as they are stored: sealed where they must be read again, else as a hash.

Webhook secrets and kept answers are sealed: AES-256-GCM under a key derived from `OPSC_SECRET_KEY`.
A sealed secret is bound to its owner by `aad` (for a webhook secret the 16 bytes of the endpoint's
id), so a row that is copied to another endpoint does not open there. Layout: one byte of format
version, a nonce of 12 bytes, the ciphertext with its tag of 16 bytes.

API keys, refresh tokens, session cookies and links are good for whoever brings them. Each is a
prefix that tells what it is, and 256 random bits. Stored is the SHA-256 of the whole text: nothing
can be guessed from it, so it needs no salt and can be looked up by.
"""

import base64
import binascii
import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_KEY_BYTES = 32
SECRET_KEY_FORM = f"{SECRET_KEY_BYTES} bytes in base64url"
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16

API_KEY, REFRESH_TOKEN, SESSION, LINK = "opsk_", "opsr_", "opss_", "opsl_"
MAX_SECRET_CHARACTERS = 128
_SECRET_BYTES = 32


class SecretKeyError(ValueError):
    """`OPSC_SECRET_KEY` is not 32 bytes in base64url."""

    def __init__(self) -> None:
        super().__init__(f"the secret key must be {SECRET_KEY_FORM}")


class UnsealError(Exception):
    """A sealed secret does not open: another key, another owner, or damaged bytes."""


def read_secret_key(text: str) -> bytes:
    """Read `OPSC_SECRET_KEY`, with or without padding. Raises SecretKeyError."""
    stripped = text.strip().rstrip("=")
    try:
        key = base64.b64decode(stripped + "=" * (-len(stripped) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise SecretKeyError from None
    if len(key) != SECRET_KEY_BYTES:
        raise SecretKeyError
    return key


def derived_key(secret_key: bytes, purpose: bytes) -> bytes:
    """Derive 32 bytes for one purpose (HKDF-SHA256, RFC 5869): keys of two purposes reveal nothing
    of each other. `secret_key` is what `read_secret_key` gives.
    """
    if len(secret_key) != SECRET_KEY_BYTES:
        raise SecretKeyError
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret_key)


class SecretBox:
    """The box that seals and opens secrets of one purpose. The plain text of a webhook secret is
    the `whsec_...` form in ASCII.
    """

    def __init__(self, secret_key: bytes, purpose: bytes = b"webhook-secrets") -> None:
        self._cipher = AESGCM(derived_key(secret_key, purpose))

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        """Encrypt `plain` for the owner `aad`; each call gives other bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Open what was sealed for `aad`. Raises UnsealError."""
        if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
            raise UnsealError("not a sealed secret of a known format")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, aad)
        except InvalidTag:
            raise UnsealError("the secret key or the owner is another, or it is damaged") from None


def new_secret(prefix: str) -> str:
    """Return a new one."""
    return written(prefix, os.urandom(_SECRET_BYTES))


def written(prefix: str, secret: bytes) -> str:
    """Write 32 bytes as the text of a secret."""
    return prefix + base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")


def secret_hash(text: str) -> bytes:
    """Return the hash that is stored of a secret."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
