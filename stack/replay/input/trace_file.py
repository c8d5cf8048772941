"""A trace file by its name: which format, whether packed, how far it is read.

What is wrong in it is a StackError that names the file and the place.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from stack.errors import StackError
from stack.replay.output.files import suffix_of
from telemetry.traces.files import TraceChunk, TraceError, TraceFormat, read_trace

TRACE_SUFFIXES = tuple(form.value for form in TraceFormat)


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A trace that can be read again and again."""

    path: Path
    form: TraceFormat

    @staticmethod
    def of(path: Path) -> TraceFile:
        """Raise ValueError where the name's suffix says no format that is read."""
        packed = tuple(suffix for suffix in TRACE_SUFFIXES if suffix != ".parquet")
        try:
            return TraceFile(path, TraceFormat(suffix_of(path, packed=packed)))
        except ValueError:
            wanted = f"{', '.join(TRACE_SUFFIXES)}; .gz may follow {', '.join(packed)}"
            raise ValueError(f"{path}: the name must end in {wanted}") from None

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    def chunks(self, at: Callable[[int], None] = lambda _: None) -> Iterator[TraceChunk]:
        """Yield the trace chunk by chunk; `at` is told up to which byte the file is read."""
        try:
            with self.path.open("rb") as file:
                for chunk in read_trace(self._unpacked(file), self.form, self._stem):
                    at(file.tell())
                    yield chunk
        except (OSError, EOFError, zlib.error, TraceError) as error:
            raise StackError(f"{self.path}: {error}") from None

    def _unpacked(self, file: BinaryIO) -> BinaryIO:
        return cast("BinaryIO", gzip.open(file)) if self.path.suffix == ".gz" else file

    @property
    def _stem(self) -> str:
        return self.path.name.removesuffix(".gz").removesuffix(self.form.value)
