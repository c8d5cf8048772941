"""Signatures by Standard Webhooks 1.0.0: `v1,` and base64 of HMAC-SHA256 over id.timestamp.body."""

import base64
import binascii
import hashlib
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


def signed_headers(
    keys: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Return the three headers that let a receiver verify `body`, by any of the keys: two while a
    secret is being rotated.

    `message_id` stays the same when a message is sent again; `timestamp_s` (Unix) is the attempt's,
    since receivers refuse old ones.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp_s, body)
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }
