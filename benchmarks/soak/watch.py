"""Observations of a running system from outside: what each process holds, and what each log says.

A process is kept by its incarnation: a successor of the same name is another one. Lines are stamped
when they are seen, all by one clock, since not every log has times.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.soak.verdict import Line

POSTGRES_SUM = "postgres, all processes"
_BACKEND = re.compile(r"^postgres: (?:(?P<user>\w+) \w+ [\d.]+\(\d+\)|(?P<other>[a-zA-Z ]+))")
_MIB = 1024


class Held(NamedTuple):
    """The memory of a process at one moment, in MiB.

    own: anonymous pages. resident: with all that is mapped. share: its part of what is shared, too.
    """

    at_s: float
    own: float
    resident: float
    share: float
    files: int
    threads: int


class Incarnation(NamedTuple):
    """One process. started: by the kernel's clock, since a pid may come again."""

    name: str
    pid: int
    started: int


@dataclass(slots=True)
class Memory:
    """The memory that was seen of each process, by its incarnation."""

    seen: dict[Incarnation, list[Held]] = field(
        default_factory=lambda: defaultdict[Incarnation, list[Held]](list)
    )

    def look(self, parts: Mapping[str, int], at_s: float) -> None:
        """Look at the processes of the parts, and at those that they have started."""
        children = _children()
        for name, pid in parts.items():
            found = [one for one in _family(name, pid, children) if self._look_at(one, at_s)]
            if name == "postgres" and found:
                total = [self.seen[one][-1] for one in found]
                summed = Held(at_s, *(sum(column) for column in list(zip(*total, strict=True))[1:]))
                self.seen[Incarnation(POSTGRES_SUM, pid, found[0].started)].append(summed)

    def _look_at(self, one: Incarnation, at_s: float) -> bool:
        held = _held(one.pid, at_s)
        if held is not None:
            self.seen[one].append(held)
        return held is not None


def _family(name: str, pid: int, children: Mapping[int, list[int]]) -> Iterator[Incarnation]:
    """Yield a process and its descendants, the first of them first; those that are
    gone left out.
    """
    if (started := _started(pid)) is not None:
        yield Incarnation(name, pid, started)
    for child in children.get(pid, ()):
        yield from _family(_name_of_child(name, child), child, children)


def _name_of_child(name: str, pid: int) -> str:
    """Return a name without the pid: a server process of PostgreSQL says in its title what it is,
    and a pid is no part of a name.
    """
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        title = ""
    if (found := _BACKEND.match(title)) is not None:
        return f"postgres: {found['user'] or found['other'].strip()}"
    return name if name.endswith(" child") else f"{name} child"


def _children() -> dict[int, list[int]]:
    """Return by process those that it has started and that are its own still. (proc(5): ppid.)"""
    found: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))) is not None:
            found[int(fields[1])].append(int(folder.name))
    return found


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def _stat(pid: int) -> list[str] | None:
    """Return the fields behind the name; None where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _held(pid: int, at_s: float) -> Held | None:
    """Return the memory of a process, None where the process is gone, or going."""
    folder = Path(f"/proc/{pid}")
    try:
        status = _numbers((folder / "status").read_text())
        rollup = _numbers((folder / "smaps_rollup").read_text())
        files = len(os.listdir(folder / "fd"))
    except OSError:
        return None
    if "RssAnon" not in status or "Pss" not in rollup:
        return None
    own, resident = status["RssAnon"] / _MIB, status["VmRSS"] / _MIB
    return Held(at_s, own, resident, rollup["Pss"] / _MIB, files, status["Threads"])


def _numbers(text: str) -> dict[str, int]:
    """`name: number unit`, a line each; others are left out."""
    pairs = (line.partition(":")[::2] for line in text.splitlines())
    words = ((name, value.split()) for name, value in pairs)
    return {name: int(found[0]) for name, found in words if found and found[0].isdigit()}


class Followed:
    """The lines of a log that are new since the last look, also where it was capped meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, b""

    def lines(self) -> list[str]:
        """Return whole lines; the beginning of one waits for its end."""
        size = self._path.stat().st_size
        new = b""
        if size < self._at:  # it is `x.log.1` now, and there is a new one
            new = _read_from(self._path.with_name(f"{self._path.name}.1"), self._at)
            self._at = 0
        new += _read_from(self._path, self._at, size)
        self._at = size
        *whole, self._rest = (self._rest + new).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


def _read_from(path: Path, start: int, end: int | None = None) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read() if end is None else file.read(end - start)


@dataclass(slots=True)
class Logs:
    """All logs of a folder, those that come later too. `folder` is None before there is one."""

    folder: Path | None = None
    _followed: dict[Path, Followed] = field(default_factory=dict[Path, Followed])

    def look(self, at_s: float) -> Iterable[Line]:
        """Yield the lines since the last look."""
        if self.folder is None:
            return
        for path in sorted(self.folder.glob("*.log")):
            followed = self._followed.setdefault(path, Followed(path))
            for text in followed.lines():
                yield Line(path.stem, at_s, text)
