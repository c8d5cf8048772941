"""The progress of a replay on stderr: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 5.0


class ReplayView(Protocol):
    """Is told how far the trace is read, in bytes of its file, and how many fixes are judged."""

    def read_to(self, position: int) -> None: ...
    def read_all(self, fixes: int) -> None: ...
    def judged(self, fixes: int) -> None: ...


class NoView:
    def read_to(self, position: int) -> None:
        pass

    def read_all(self, fixes: int) -> None:
        pass

    def judged(self, fixes: int) -> None:
        pass


class Bar:
    """A bar: bytes while the trace is read, fixes once it is."""

    def __init__(self, progress: Progress, size_bytes: int) -> None:
        self._progress = progress
        self._size_bytes = size_bytes
        self._all_read = False
        self._task: TaskID = progress.add_task("reading", total=size_bytes, note="")

    def read_to(self, position: int) -> None:
        self._all_read = False
        self._progress.update(
            self._task, description="reading", completed=position, total=self._size_bytes
        )

    def read_all(self, fixes: int) -> None:
        self._all_read = True
        self._progress.update(self._task, description="judging", completed=0, total=fixes)

    def judged(self, fixes: int) -> None:
        self._progress.update(self._task, note=f"{fixes:,} fixes judged")
        if self._all_read:
            self._progress.update(self._task, completed=fixes)


class Lines:
    """A line every few seconds."""

    def __init__(self, console: Console, size_bytes: int, every_s: float = _LINE_EVERY_S) -> None:
        self._console = console
        self._size_bytes = size_bytes
        self._every_s = every_s
        self._read = 0
        self._judged = 0
        self._shown_at = time.monotonic()

    def read_to(self, position: int) -> None:
        self._read = position
        self._tell()

    def read_all(self, fixes: int) -> None:
        self._read = self._size_bytes

    def judged(self, fixes: int) -> None:
        self._judged = fixes
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._shown_at < self._every_s:
            return
        self._shown_at = now
        share = self._read / self._size_bytes if self._size_bytes else 1.0
        self._console.print(f"read {share:.0%}  judged {self._judged:,} fixes", highlight=False)


@contextmanager
def replay_view(size_bytes: int, *, rows_are_shown: bool) -> Iterator[ReplayView]:
    """Provide the view that fits where stderr goes. size_bytes: of the trace's file.

    rows_are_shown: the terminal gets the transitions, too, which a bar would stand among.
    """
    console = Console(stderr=True, soft_wrap=True)
    if rows_are_shown or not console.is_terminal:
        yield Lines(console, size_bytes)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, size_bytes)
