"""Attributes of a fix: any JSON object a tracker adds, made fit for a jsonb column.

Bounds: 8 KiB of text, 16 levels of nesting. jsonb has no NUL character: U+FFFD stands in its place.
MessagePack may hold what JSON has no word for: byte strings become base64, timestamps RFC 3339,
NaN and infinity null; an extension type, or a key that is no string or number, is refused.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from telemetry.rejection import Reason

MAX_BYTES = 8 * 1024
MAX_DEPTH = 16

# An escaped NUL: the backslash before `u0000` is not itself escaped.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_CONTAINERS: tuple[type[Any], ...] = (dict, list, tuple)
_encode = msgspec.json.Encoder().encode


class AttributesError(ValueError):
    """Attributes that cannot be kept; `reason` says how the fix is to be refused."""

    def __init__(self, reason: Reason, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


def to_json(attributes: Mapping[Any, Any]) -> bytes:
    """Return the object as UTF-8 JSON text that PostgreSQL takes as jsonb. Raises
    AttributesError.
    """
    try:
        text = _encode(attributes)
    except RecursionError:
        raise _too_deep() from None
    except (TypeError, ValueError, OverflowError) as error:
        raise AttributesError(Reason.UNDECODABLE, f"attributes are not JSON: {error}") from None
    if len(text) > MAX_BYTES:
        problem = f"attributes take {len(text)} bytes of JSON, at most {MAX_BYTES} are allowed"
        raise AttributesError(Reason.OVERSIZE, problem)
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _deeper_than(MAX_DEPTH, attributes):
        raise _too_deep()
    return _NUL.sub("\\1\N{REPLACEMENT CHARACTER}".encode(), text) if b"\\u0000" in text else text


def with_members(text: bytes | None, members: Mapping[str, float]) -> bytes:
    """Return the object `text` with `members` added; a member that it has already
    stays as it is.
    """
    added = _encode(members)
    if text is None or text == b"{}":
        return added
    # of two members with one key jsonb keeps the later
    return added[:-1] + b"," + text[1:]


def _too_deep() -> AttributesError:
    return AttributesError(
        Reason.OVERSIZE, f"attributes are nested more than {MAX_DEPTH} levels deep"
    )


def _deeper_than(depth: int, tree: Mapping[Any, Any]) -> bool:
    level: list[Any] = [tree]
    for _ in range(depth):
        level = [child for node in level for child in _containers(node)]
        if not level:
            return False
    return True


def _containers(node: Any) -> list[Any]:
    children = cast("Mapping[Any, Any]", node).values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, _CONTAINERS)]
