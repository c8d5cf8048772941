"""Log files with a bound: what a part writes goes through a pipe into a file and its generations.

A file that is full becomes `x.log.1`, the older ones move on, and the oldest is removed. The pipe
is read whatever becomes of the file: a part is never held up by a full disk, and what cannot be
written is counted and said when there is room again.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from stack.host.os_user import OsUser, hand_over_opened

FILE_BYTES = 10 * 1024 * 1024
FILES = 5  # of a part, the one that is written included
_PIPE_BYTES = 1024 * 1024  # as many as Linux gives to everybody
_READ_BYTES = 64 * 1024
_LAST_WORDS_S = 1.0


class LogFile:
    """A log that is written by appending; raises OSError where that is not possible."""

    def __init__(
        self, path: Path, file_bytes: int, files: int = FILES, owner: OsUser | None = None
    ) -> None:
        self._path, self._file_bytes, self._files, self._owner = path, file_bytes, files, owner
        self._lost_bytes, self._is_within_line = 0, False
        self._file, self._size = _opened(path, owner)

    def write(self, chunk: bytes) -> None:
        """Append, in a new file where the present one is full; never raises."""
        try:
            if self._size >= self._file_bytes:
                if self._is_within_line and b"\n" in chunk:
                    end, newline, chunk = chunk.partition(b"\n")
                    self._append(end + newline)
                self._rotate()
            if self._lost_bytes:
                self._append(b"opsc: %d bytes of this log were lost\n" % self._lost_bytes)
                self._lost_bytes = 0
            self._append(chunk)
        except OSError:  # the disk is full, or the folder is gone
            self._lost_bytes += len(chunk)

    def close(self) -> None:
        os.close(self._file)

    def _append(self, chunk: bytes) -> None:
        while chunk:
            written = os.write(self._file, chunk)
            self._size += written
            self._is_within_line = not chunk[:written].endswith(b"\n")
            chunk = chunk[written:]

    def _rotate(self) -> None:
        generations = [self._path, *(_generation(self._path, n) for n in range(1, self._files))]
        if self._path.exists():  # else they have moved, and there was no room for a new one
            for older, newer in zip(
                reversed(generations), reversed(generations[:-1]), strict=False
            ):
                if newer.exists():
                    newer.replace(older)
        full, (self._file, self._size) = self._file, _opened(self._path, self._owner)
        os.close(full)


def _opened(path: Path, owner: OsUser | None) -> tuple[int, int]:
    """Return descriptor and size of a file to append to; it belongs to the part that writes it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    hand_over_opened(file, owner)
    return file, os.fstat(file).st_size


def _generation(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


class LogPipe:
    """The pipe of a part to its log, read by a thread until its last writer is gone."""

    def __init__(self, path: Path, owner: OsUser | None = None) -> None:
        self._log = LogFile(path, FILE_BYTES, owner=owner)
        self._read, self.write_end = os.pipe()
        with suppress(OSError):  # the user's other pipes may have used up what it gives
            fcntl.fcntl(self._read, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._thread = threading.Thread(target=self._run, name=f"log {path.name}", daemon=True)
        self._thread.start()

    def close_write_end(self) -> None:
        """Leave the part, which has inherited it, the only writer."""
        os.close(self.write_end)

    def finish(self) -> None:
        """Wait until the last words of a part that has ended are written, not for its children."""
        self._thread.join(_LAST_WORDS_S)

    def _run(self) -> None:
        while chunk := os.read(self._read, _READ_BYTES):
            self._log.write(chunk)
        os.close(self._read)
        self._log.close()
