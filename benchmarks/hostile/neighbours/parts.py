"""Memory and processor time of each part of a running system, from outside.

with watched(pids) as watch: ...
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LOOK_S = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB_IN_MIB = 1024


class Watch:
    """peaks_mib: the most that each part was seen to hold, with all processes that it started:
    anonymous pages, and shared memory once.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self.peaks_mib = dict.fromkeys(pids, 0.0)
        self.done = threading.Event()

    def run(self) -> None:
        """Look at all parts until it is done."""
        while not self.done.wait(LOOK_S):
            for name, pid in self._pids.items():
                self.peaks_mib[name] = max(self.peaks_mib[name], _held_mib(family(pid)))

    def used_s(self) -> dict[str, float]:
        """Return the processor time of each part so far, that of ended children included."""
        return {name: sum(map(_cpu_s, family(pid))) for name, pid in self._pids.items()}


@contextmanager
def watched(pids: Mapping[str, int]) -> Iterator[Watch]:
    """Provide a watch over parts, each the process that the others of it descend from."""
    watch = Watch(pids)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.done.set()
        thread.join()


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in (_read(task) or "").split():
            found += family(int(child))
    return found


def _held_mib(pids: list[int]) -> float:
    own, shared = 0, 0
    for pid in pids:
        fields = status_kib(_read(Path(f"/proc/{pid}/status")) or "")
        own += fields.get("RssAnon", 0)
        shared = max(shared, fields.get("RssShmem", 0))
    return round((own + shared) / _KIB_IN_MIB, 1)


def status_kib(text: str) -> dict[str, int]:
    """Return the fields that are in kB, from a page of /proc/.../status."""
    lines = (line.split() for line in text.splitlines() if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) for words in lines}


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process and of its children that have ended. (proc(5):
    utime, stime, cutime, cstime.)
    """
    fields = (_read(Path(f"/proc/{pid}/stat")) or "").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _read(path: Path) -> str | None:
    """Return the text of a file, None where its process is gone."""
    try:
        return path.read_text()
    except OSError:
        return None
