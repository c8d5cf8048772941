"""The JSON of a body, strictly by RFC 8259: no NaN, no infinity, UTF-8 only.

Nesting and the number of values are bounded, since an event loop stands still while it decodes a
body. Large ones are decoded in a process (`api.limits.geometry_process`).
"""

import re

import msgspec

from api.http.problems import Problem

_MAX_NESTING = 32
# Half of a UTF-16 pair, written as an escape.
_HALF_OF_A_PAIR = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F].."
)


def decode_json(content: bytes, most_values: int) -> object:
    """Return the value of a body. Raises Problem (400, 413)."""
    if sum(map(content.count, (b",", b"[", b"{"))) > most_values:
        detail = (
            f"The body has too many values: at most {most_values} are allowed. Commas and opening"
            " brackets are counted."
        )
        raise Problem(413, "body_too_large", detail)
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "invalid_json", _not_json(content, error)) from None
    except RecursionError:
        raise _nested_too_deep() from None
    keys = _keys_within(value, _MAX_NESTING)
    if keys is None:
        raise _nested_too_deep()
    if keys != _keys_written(content):
        detail = "The body has an object with the same name twice."
        raise Problem(400, "invalid_json", detail)
    return value


def _not_json(content: bytes, error: Exception) -> str:
    half = _HALF_OF_A_PAIR.search(content.replace(rb"\\", b"  "))
    if half is not None:
        return (
            f"The body is not JSON: the escape at byte {half.start()} is half of a surrogate pair."
            " Write the whole character, in UTF-8 or as two escapes."
        )
    if isinstance(error, UnicodeDecodeError):
        return "The body is not JSON: it must be in UTF-8."
    return f"The body is not JSON: {error}."


def _nested_too_deep() -> Problem:
    return Problem(400, "invalid_json", f"The body is nested more than {_MAX_NESTING} levels deep.")


def _keys_within(value: object, depth: int) -> int | None:
    """Return how many names all objects have; None where they are nested deeper than `depth`."""
    keys = 0
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        keys += sum(len(value) for value in level if isinstance(value, dict))
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return None if level else keys


def _keys_written(content: bytes) -> int:
    """Return how many names a JSON text has, the same ones again included: the colons that stand
    outside of texts.
    """
    plain = content.replace(rb"\\", b"").replace(rb"\"", b"")  # now each quote is an end of a text
    return b"".join(plain.split(b'"')[::2]).count(b":")
