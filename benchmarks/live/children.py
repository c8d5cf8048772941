"""The processes that take part in one measurement: where one ends, the measurement fails at once.

Each says what it has to say in single lines, and ends when its input ends.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import IO, cast

from stack.errors import StackError

_LOOK_S = 0.2


class Child:
    """One process, which runs a module of ours."""

    def __init__(self, module: str, *arguments: object) -> None:
        self.module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines = queue.SimpleQueue[str]()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while the process runs."""
        return self._process.poll()

    def next_line(self, within_s: float) -> str | None:
        """Wait for a line; None where none comes."""
        try:
            return self._lines.get(timeout=within_s)
        except queue.Empty:
            return None

    def write_line(self, text: str) -> None:
        try:
            cast(IO[str], self._process.stdin).write(text + "\n")
            cast(IO[str], self._process.stdin).flush()
        except BrokenPipeError:
            raise StackError(f"{self.module} ended early, see above") from None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.join()
        for pipe in (self._process.stdin, self._process.stdout):
            cast(IO[str], pipe).close()

    def _read(self) -> None:
        for line in cast(IO[str], self._process.stdout):
            self._lines.put(line.strip())


class Children:
    """All processes of one measurement, which end with it."""

    def __init__(self, ending: ExitStack) -> None:
        self._ending = ending
        self._children: list[Child] = []

    def start(self, module: str, *arguments: object) -> Child:
        child = Child(module, *arguments)
        self._ending.callback(child.end)
        self._children.append(child)
        return child

    def line(self, child: Child, what: str, within_s: float) -> str:
        """Wait for the next line of a child. Raises StackError where any child ends before it, or
        after `within_s`. what: what the line says, for the error.
        """
        ends_s = time.monotonic() + within_s
        while time.monotonic() < ends_s:
            ended = next((one for one in self._children if one.exit_code is not None), None)
            if (line := child.next_line(_LOOK_S)) is not None:
                return line
            if ended is not None:
                raise StackError(
                    f"{ended.module} ended with {ended.exit_code}, see above; waited for: {what}"
                )
        raise StackError(f"not within {within_s:g} s: {what}")
