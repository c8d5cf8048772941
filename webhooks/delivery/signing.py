"""Signatures by Standard Webhooks 1.0.0: `v1,` and base64 of HMAC-SHA256 over id.timestamp.body."""

import base64
import binascii
import hmac
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"


class SecretFormatError(ValueError):
    """A text that is not `whsec_` and base64. The text is not shown: it may be nearly a secret."""

    def __init__(self) -> None:
        super().__init__("a webhook secret must be whsec_ and base64")


def signing_key(secret: str) -> bytes:
    """Return the key inside a `whsec_...` secret. Raises SecretFormatError."""
    if not secret.startswith(SECRET_PREFIX):
        raise SecretFormatError
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretFormatError from None
    if not key:
        raise SecretFormatError
    return key


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes) -> bytes:
    """Return the lines of the three headers that let a receiver verify `body`, by any of the keys:
    two while a secret is being rotated.

    `message_id` stays the same when a message is sent again; `timestamp_s` (Unix) is the attempt's,
    since receivers refuse old ones.
    """
    signed_id = message_id.encode()
    signed = b"%b.%d.%b" % (signed_id, timestamp_s, body)
    digests = [hmac.digest(key, signed, "sha256") for key in keys]
    signatures = [b"v1," + binascii.b2a_base64(digest, newline=False) for digest in digests]
    return b"webhook-id: %b\r\nwebhook-timestamp: %d\r\nwebhook-signature: %b\r\n" % (
        signed_id,
        timestamp_s,
        b" ".join(signatures),
    )
