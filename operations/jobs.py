"""The result of a job: counts, and what is wrong with lines of a file or points of a track; of an
erasure what was erased.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

_FAULTS_BYTES = 60_000
_MESSAGE_CHARACTERS = 300
MOST_FAULTS = 1_000


class Fault(NamedTuple):
    """What is wrong with a line, which counts from 1, or with the point of a time. column: None:
    the whole line.
    """

    message: str
    line: int | None = None
    column: str | None = None
    time: str | None = None

    def members(self) -> dict[str, Any]:
        """Return the members of its JSON object."""
        return {
            name: value[:_MESSAGE_CHARACTERS] if isinstance(value, str) else value
            for name, value in self._asdict().items()
            if value is not None
        }


class Piece(NamedTuple):
    """What came of a piece of a job. done: lines or points. conflicts are among the faults."""

    done: int = 0
    written: int = 0
    known: int = 0
    conflicts: int = 0
    faults: Sequence[Fault] = ()


_NOTHING: Mapping[str, Any] = {
    "written": 0,
    "known": 0,
    "conflicts": 0,
    "faulty": 0,
    "faults": [],
    "more_faults": False,
}


def add(result: Mapping[str, Any], piece: Piece) -> dict[str, Any]:
    """Return a result, or {}, with a piece more. Faults beyond its bound are only counted."""
    before = {**_NOTHING, **result}
    faults = list(before["faults"])
    size = sum(len(json.dumps(fault)) + 2 for fault in faults)
    for fault in piece.faults:
        shown = fault.members()
        size += len(json.dumps(shown)) + 2
        if size > _FAULTS_BYTES or len(faults) >= MOST_FAULTS:
            break
        faults.append(shown)
    listed = len(faults) - len(before["faults"])
    return {
        "written": before["written"] + piece.written,
        "known": before["known"] + piece.known,
        "conflicts": before["conflicts"] + piece.conflicts,
        "faulty": before["faulty"] + _faulty(piece.faults) - piece.conflicts,
        "faults": faults,
        "more_faults": before["more_faults"] or listed < len(piece.faults),
    }


def _faulty(faults: Sequence[Fault]) -> int:
    """Count lines, and points."""
    lines = {fault.line for fault in faults if fault.line is not None}
    return len(lines) + sum(fault.line is None for fault in faults)


class ErasedTime(NamedTuple):
    """What an erasure is of: an employee's positions in [since, until)."""

    employee_id: UUID
    since: datetime
    until: datetime


class Erased(NamedTuple):
    """Positions that were erased, by their places. objects: of the archive, which had some of them
    and were removed.
    """

    fixes: int = 0
    archived_fixes: int = 0
    messages: int = 0
    objects: int = 0

    def and_also(self, other: "Erased") -> "Erased":
        """Return both together."""
        return Erased(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))

    @property
    def positions(self) -> int:
        """Their number, without objects."""
        return self.fixes + self.archived_fixes + self.messages
