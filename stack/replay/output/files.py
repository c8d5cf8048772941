"""The target of transitions: a file whose name says its format, or stdout as CSV.

Either appears only when it is complete: a file under its name, stdout at the end. So a replay that
fails, or must begin again, leaves nothing half written.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from stack.errors import StackError
from stack.replay.output.formats import WRITERS, TransitionRows
from stack.replay.output.targets import partial

SUFFIXES = tuple(WRITERS)

_HELD_BYTES = 16 * 1024 * 1024  # of stdout in memory; more is held on disk
_FAST_GZIP = 3  # of the levels the one after which smaller takes much longer


def suffix_of(path: Path, *, packed: tuple[str, ...]) -> str:
    """Return the suffix that names the format, `.gz` after it taken off where the format may be
    packed.
    """
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    return suffix if path.suffix != ".gz" or suffix in packed else path.suffix


def transition_file(out: Path | None, *, plain: bool) -> TransitionFile:
    """Raise ValueError for a name whose suffix says no format that is written."""
    if out is None:
        return TransitionFile(None, ".csv", plain=plain)
    packed = tuple(suffix for suffix in SUFFIXES if suffix != ".parquet")
    suffix = suffix_of(out, packed=packed)
    if suffix not in SUFFIXES:
        after = f"; .gz may follow {', '.join(packed)}"
        raise ValueError(f"{out}: the name must end in {', '.join(SUFFIXES)}{after}")
    return TransitionFile(out, suffix, plain=plain)


class TransitionFile:
    """A file of transitions, open between `with` and its end; closed by an error, nothing is left
    of it.
    """

    def __init__(self, out: Path | None, suffix: str, *, plain: bool) -> None:
        self._out = out
        self._suffix = suffix
        self._plain = plain

    def __enter__(self) -> Self:
        self._stream = _held() if self._out is None else _opened(self._out)
        self._writer = WRITERS[self._suffix](self._stream, plain=self._plain)
        return self

    def write(self, rows: TransitionRows) -> None:
        if len(rows.time_us):
            with self._named():
                self._writer.write(rows)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say which file it is that cannot be written."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            name = self._out or "stdout"
            raise StackError(f"cannot write {name}: {error.strerror or error}") from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with self._named():
                    self._writer.close()
                    self._hand_over()
        finally:
            with suppress(OSError):  # that the disk is full was said already
                self._stream.close()
            if self._out is not None:
                partial(self._out).unlink(missing_ok=True)

    def _hand_over(self) -> None:
        if self._out is None:
            self._stream.seek(0)
            sys.stdout.flush()
            shutil.copyfileobj(self._stream, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            self._stream.close()
            os.replace(partial(self._out), self._out)


def _held() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(_HELD_BYTES))


def _opened(out: Path) -> BinaryIO:
    try:
        if out.suffix == ".gz":
            return cast("BinaryIO", gzip.open(partial(out), "wb", _FAST_GZIP))
        return partial(out).open("wb")
    except OSError as error:
        raise StackError(f"cannot write {out}: {error.strerror}") from None
