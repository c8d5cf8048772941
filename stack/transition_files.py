"""Transitions as CSV or NDJSON, to a file or to stdout.

    device_id,time,zone_id,transition
    cab-1,2026-01-31T12:00:00Z,zone-7,enter

A file appears under its name only when it is complete.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, cast

import msgspec

from stack.errors import StackError

COLUMNS = ("device_id", "time", "zone_id", "transition")
SUFFIXES = (".csv", ".ndjson")

_encode = msgspec.json.Encoder().encode


def transition_file(out: Path | None) -> TransitionFile:
    """Raises ValueError for a name whose suffix says no format that is written."""
    if out is None:
        return TransitionFile(None, ".csv")
    suffix = (out.with_suffix("") if out.suffix == ".gz" else out).suffix
    if suffix == ".parquet":
        raise ValueError(f"{out}: Parquet is not supported yet; {' and '.join(SUFFIXES)} are")
    if suffix not in SUFFIXES:
        raise ValueError(f"{out}: the name must end in {' or '.join(SUFFIXES)}, or .gz after that")
    return TransitionFile(out, suffix)


class TransitionFile:
    """Open between `with` and its end; closed by an error, nothing is left of it."""

    def __init__(self, out: Path | None, suffix: str) -> None:
        self._out = out
        self._suffix = suffix
        self._stream: TextIO = sys.stdout

    def __enter__(self) -> Self:
        if self._out is not None:
            self._stream = _opened(self._out)
        if self._suffix == ".csv":
            self._stream.write(",".join(COLUMNS) + "\n")
        return self

    def write(
        self,
        device_ids: Sequence[str],
        times: Sequence[str],
        zone_ids: Sequence[str],
        entered: Sequence[bool],
    ) -> None:
        """Write n transitions."""
        names = ["enter" if enter else "exit" for enter in entered]
        rows = zip(device_ids, times, zone_ids, names, strict=True)
        if self._suffix == ".csv":
            csv.writer(self._stream, lineterminator="\n").writerows(rows)
        else:
            for row in rows:
                self._stream.write(_encode(dict(zip(COLUMNS, row, strict=True))).decode() + "\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._out is None:
            self._stream.flush()
        elif kind is None:
            self._stream.close()
            os.replace(_partial(self._out), self._out)
        else:
            with suppress(OSError):  # that the disk is full was said already
                self._stream.close()
            _partial(self._out).unlink(missing_ok=True)


def _opened(out: Path) -> TextIO:
    try:
        if out.suffix == ".gz":
            return cast("TextIO", gzip.open(_partial(out), "wt", encoding="utf-8", newline="\n"))
        return _partial(out).open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise StackError(f"cannot write {out}: {error.strerror}") from None


def _partial(out: Path) -> Path:
    return out.with_name(out.name + ".part")
