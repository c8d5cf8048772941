"""Identifiers: a prefix that names the kind, and 128 bits in 26 base-32 characters.

    trk_06bqt0k1vhd8f3z7n2mwx9c5ra

The alphabet is Crockford's in lower case (no i, l, o, u), most significant digit first, so the
texts of UUIDv7 sort by the time of their creation. `derived_id` always gives the same id for the
same parts. The ids of visits and events are derived, so that they cannot be stored twice.
"""

from hashlib import blake2b
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 26
# Two digits, ten bits, at a time.
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_SHIFTS = range(120, -1, -10)


class IdError(ValueError):
    """A text that is not an id of the wanted kind."""

    def __init__(self, text: str, prefix: str) -> None:
        shown = text if len(text) <= 64 else text[:61] + "..."
        super().__init__(f"{shown!r} is not an id like {prefix}_ and {_LENGTH} base-32 characters")
        self.text = text
        self.prefix = prefix


def format_id(prefix: str, value: UUID) -> str:
    """Write `value` as `prefix_` and 26 characters."""
    number = value.int
    return prefix + "_" + "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def parse_id(prefix: str, text: str) -> UUID:
    """Read what `format_id` wrote. Raises IdError for anything else."""
    head, separator, body = text.partition("_")
    if head != prefix or not separator or len(body) != _LENGTH or body[0] not in "01234567":
        raise IdError(text, prefix)
    number = 0
    for character in body:
        digit = _DIGITS.get(character)
        if digit is None:
            raise IdError(text, prefix)
        number = number << 5 | digit
    return UUID(int=number)


def uuid7(unix_ms: int, randomness: bytes) -> UUID:
    """Return a UUID version 7 (RFC 9562, 5.7) of a time and ten random bytes."""
    if len(randomness) != 10:
        raise ValueError(f"uuid7 takes 10 random bytes, not {len(randomness)}")
    number = int.from_bytes(unix_ms.to_bytes(6, "big") + randomness, "big")
    return _stamped(number, version=7)


def derived_id(kind: bytes, *parts: bytes) -> UUID:
    """Return a UUID version 8 (RFC 9562, 5.8): the first 128 bits of BLAKE2b over the parts.

    `kind` (at most 16 bytes) personalises the hash, so equal parts of two kinds give two ids. Parts
    must be of fixed length for their kind: they are joined without a separator.
    """
    digest = blake2b(b"".join(parts), digest_size=16, person=kind).digest()
    return _stamped(int.from_bytes(digest, "big"), version=8)


def _stamped(number: int, *, version: int) -> UUID:
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=number | version << 76 | 0x2 << 62)
