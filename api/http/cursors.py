"""Cursors: positions in a list, opaque to the client and signed.

A cursor carries the key of the last row shown, so rows that come or go elsewhere change nothing for
the remaining ones. It also carries how many rows were shown, and the total that was counted at the
beginning. The signature covers the scope too (organization, endpoint, filters): a cursor that is
used with another scope does not verify.
"""

import base64
import binascii
import hmac
from hashlib import sha256
from typing import Any, Generic, TypeVar

import msgspec

from api.http.problems import bad_parameter
from db.core.secrets import SecretKeys, derived_keys

_KEY = TypeVar("_KEY", bound=tuple[Any, ...])
_SIGNATURE_BYTES = 16
MAX_CURSOR_CHARACTERS = 512


class CursorPosition(msgspec.Struct, Generic[_KEY], array_like=True, frozen=True):
    """Behind which row a page begins, and what was known when the walk began."""

    key: _KEY
    offset: int
    total: int
    total_is_estimate: bool


class Cursors:
    """The cursors, signed with a key that is derived from the first secret key, and read under
    all of them.
    """

    def __init__(self, secret_keys: SecretKeys) -> None:
        self._keys = derived_keys(secret_keys, b"cursors")

    def write(self, position: CursorPosition[_KEY], scope: bytes) -> str:
        payload = msgspec.msgpack.encode(position)
        # The payload first: it begins with a letter, and so is no formula in a spreadsheet.
        return _written(payload + _signature(self._keys[0], payload, scope))

    def read(self, text: str, scope: bytes, key_type: type[_KEY]) -> CursorPosition[_KEY]:
        """Read what `write` wrote. Raises Problem (400) for anything else."""
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            payload, signature = signed[:-_SIGNATURE_BYTES], signed[-_SIGNATURE_BYTES:]
            good = [_signature(key, payload, scope) for key in self._keys]
            is_ours = any(hmac.compare_digest(signature, good_signature) for good_signature in good)
            if is_ours and _written(signed) == text:  # base64 has other texts of the same bytes
                return msgspec.msgpack.decode(payload, type=CursorPosition[key_type])
        except (binascii.Error, ValueError, msgspec.ValidationError):
            pass
        raise bad_parameter("cursor", "The cursor is not from this list with these filters.")


def _signature(key: bytes, payload: bytes, scope: bytes) -> bytes:
    message = len(scope).to_bytes(4, "big") + scope + payload
    return hmac.digest(key, message, sha256)[:_SIGNATURE_BYTES]


def _written(signed: bytes) -> str:
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode("ascii")
