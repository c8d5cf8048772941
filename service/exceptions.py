"""Exceptions as a bounded field of a log line: what, where in our code, and what caused it.

Messages that show the value that was refused are left out: those of PostgreSQL about values
(SQLSTATE classes 22 and 23) and those of pydantic.
"""

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

_ROOT = Path(__file__).parents[1]
_PACKAGES = {"api", "db", "device_sim", "geofence", "ingest", "mqtt", "service", "stack"} | {
    "listener",
    "telemetry",
    "webhooks",
}
_FRAMES, _ALL_FRAMES = 5, 60
_CAUSES, _DEPTH = 5, 4
_MESSAGE_CHARACTERS = 500
_ABOUT_VALUES = ("22", "23")


def described(error: BaseException, *, in_full: bool = False, depth: int = 1) -> dict[str, Any]:
    """Return type, message, frames and causes of an exception.

    Frames are the last few of our code, or all frames up to a bound where `in_full`. Causes are the
    members of a group, or else the one cause, each with causes of its own down to a bound.
    """
    frames = list(_frames(error, in_full=in_full))
    described_error: dict[str, Any] = {
        "type": type(error).__qualname__,
        "message": message(error),
        "frames": frames[-(_ALL_FRAMES if in_full else _FRAMES) :],
    }
    causes = _causes(error)[:_CAUSES] if depth < _DEPTH else []
    if causes:
        described_error["causes"] = [
            described(cause, in_full=in_full, depth=depth + 1) for cause in causes
        ]
    return described_error


def message(error: BaseException) -> str:
    """Return the text of an exception in bounds, without values that were refused."""
    if isinstance(error, ValidationError):
        places = (".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
        return _cut(f"{error.title} is not valid: {', '.join(places)}")
    sqlstate = str(getattr(error, "sqlstate", None))
    if sqlstate.startswith(_ABOUT_VALUES):
        constraint = getattr(getattr(error, "diag", None), "constraint_name", None)
        return f"SQLSTATE {sqlstate}" + (f", constraint {constraint}" if constraint else "")
    return _cut(str(error).strip())


def lines(error: dict[str, Any], indent: str = "  ") -> Iterator[str]:
    """Yield what `described` returns as lines for people."""
    yield f"{indent}{error['type']}: {error['message']}"
    for frame in error["frames"]:
        yield f"{indent}  at {frame}"
    for cause in error.get("causes", ()):
        yield from lines(cause, indent + "  ")


def without_traceback(text: str) -> str:
    """Return a text in which a library wrote a traceback, with the last line of that alone."""
    before, header, after = text.partition("Traceback (most recent call last):")
    if not header:
        return text
    return _cut(before + "".join(after.strip().splitlines()[-1:]))


def _frames(error: BaseException, *, in_full: bool) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _PACKAGES:
            yield f"{path.relative_to(_ROOT)}:{frame.lineno} {frame.name}"
        elif in_full:
            yield f"{path}:{frame.lineno} {frame.name}"


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return list(error.exceptions)
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    return [] if cause is None else [cause]


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS]}..."
