"""Secrets as they are stored: sealed where they must be read again, else as a hash.

`OPSC_SECRET_KEY` is a ring of secret keys. The first one seals, signs and derives. What was made
under another one still opens and verifies, so a key can be replaced while the system runs.

Webhook secrets, kept answers and keys of trackers are sealed: AES-256-GCM under a key derived from
a secret key. A sealed secret is bound to its owner by `aad` (for a webhook secret the 16 bytes of
the endpoint's id), so a row that is copied to another endpoint does not open there. Layout: one
byte of format version, a nonce of 12 bytes, the ciphertext with its tag of 16 bytes.

API keys, refresh tokens, session cookies and links are good for whoever brings them. Each is a
prefix that tells what it is, and 256 random bits. Stored is the SHA-256 of the whole text: nothing
can be guessed from it, so it needs no salt and can be looked up by.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_KEY_BYTES = 32
MOST_SECRET_KEYS = 4
SECRET_KEY_FORM = f"{SECRET_KEY_BYTES} bytes in base64url"
SECRET_KEYS_FORM = (
    f"{SECRET_KEY_FORM}, or up to {MOST_SECRET_KEYS} such keys with commas, all different"
)
# Purposes of boxes.
WEBHOOK_SECRETS, KEPT_ANSWERS = b"webhook-secrets", b"kept-answers"
ENCRYPTION_KEYS = b"encryption-keys"
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16

API_KEY, REFRESH_TOKEN, SESSION, LINK = "opsk_", "opsr_", "opss_", "opsl_"
MAX_SECRET_CHARACTERS = 128
_SECRET_BYTES = 32


SecretKeys: TypeAlias = tuple[bytes, ...]
"""A ring of secret keys, as `read_secret_keys` returns it."""


class SecretKeyError(ValueError):
    """`OPSC_SECRET_KEY` is no ring of secret keys. The text shows no part of it."""

    def __init__(self, text: str = f"the secret key must be {SECRET_KEY_FORM}") -> None:
        super().__init__(text)


class UnsealError(Exception):
    """A sealed secret does not open: another key, another owner, or damaged bytes."""


def new_secret_key() -> str:
    """Return a fresh secret key, in base64url."""
    return base64.urlsafe_b64encode(os.urandom(SECRET_KEY_BYTES)).decode("ascii")


def read_secret_keys(text: str) -> SecretKeys:
    """Read `OPSC_SECRET_KEY`: keys with commas between, each with or without padding.
    Raises SecretKeyError.
    """
    texts = text.split(",")
    if len(texts) > MOST_SECRET_KEYS:
        raise SecretKeyError(
            f"OPSC_SECRET_KEY has {len(texts)} keys; it may have {MOST_SECRET_KEYS}: leave"
            " out those that nothing is sealed under any more"
        )
    keys: list[bytes] = []
    for number, text in enumerate(texts, 1):
        try:
            key = _read_secret_key(text)
        except SecretKeyError:
            if len(texts) == 1:
                raise
            place = f"key {number} of the {len(texts)} of OPSC_SECRET_KEY"
            raise SecretKeyError(f"{place} must be {SECRET_KEY_FORM}") from None
        if key in keys:
            first = keys.index(key) + 1
            raise SecretKeyError(
                f"the keys {first} and {number} of OPSC_SECRET_KEY are the same: leave one out"
            )
        keys.append(key)
    return tuple(keys)


def _read_secret_key(text: str) -> bytes:
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
    of each other. `secret_key` is one of those that `read_secret_keys` returns.
    """
    if len(secret_key) != SECRET_KEY_BYTES:
        raise SecretKeyError
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret_key)


def derived_keys(secret_keys: SecretKeys, purpose: bytes) -> list[bytes]:
    """Derive the keys of one purpose from a whole ring: the first makes, all of them verify."""
    return [derived_key(key, purpose) for key in secret_keys]


class SecretBox:
    """The box that seals and opens secrets of one purpose. The plain text of a webhook secret is
    the `whsec_...` form in ASCII.
    """

    def __init__(self, secret_keys: SecretKeys, purpose: bytes = WEBHOOK_SECRETS) -> None:
        self._cipher, *self._older = map(AESGCM, derived_keys(secret_keys, purpose))

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        """Encrypt `plain` for the owner `aad`; each call gives other bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Open what was sealed for `aad`, under any key of the ring. Raises UnsealError."""
        return self._opened([self._cipher, *self._older], sealed, aad)

    def sealed_anew(self, sealed: bytes, aad: bytes) -> bytes | None:
        """Return the same secret, sealed under the first key; None where it is already. Raises
        UnsealError where no key of the ring opens it.
        """
        try:
            self._opened([self._cipher], sealed, aad)
        except UnsealError:
            return self.seal(self._opened(self._older, sealed, aad), aad)
        return None

    def _opened(self, ciphers: Sequence[AESGCM], sealed: bytes, aad: bytes) -> bytes:
        if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
            raise UnsealError("not a sealed secret of a known format")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        for cipher in ciphers:
            with suppress(InvalidTag):
                return cipher.decrypt(nonce, ciphertext, aad)
        raise UnsealError("the secret key or the owner is another, or it is damaged")


def new_secret(prefix: str) -> str:
    return written(prefix, os.urandom(_SECRET_BYTES))


def written(prefix: str, secret: bytes) -> str:
    """Write 32 bytes as the text of a secret."""
    return prefix + base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")


def secret_hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
