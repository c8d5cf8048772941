"""Settings of PostgreSQL that the machine decides: `opsc doctor --postgres` prints them.

Those that are the same on every machine are in deploy/postgresql/ops-companion.conf. No setting is
in both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

MIB, GIB = 2**20, 2**30
HEADER = "# For a machine with {memory:.1f} GiB of memory, and {disk:.0f} GiB of disk for the data."


class Size(NamedTuple):
    """One setting, and why it has its value."""

    name: str
    size_bytes: int
    why: str

    def line(self) -> str:
        return f"# {self.why}\n{self.name} = '{self.size_bytes // MIB}MB'"


def machine_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def sizes(memory_bytes: int, disk_bytes: int) -> Iterator[Size]:
    """Yield the settings for a machine on which the roles run, too. disk_bytes: the disk of the
    data.
    """
    max_wal = _between(GIB, disk_bytes // 10, 4 * GIB)
    yield Size(
        "shared_buffers",
        _between(128 * MIB, memory_bytes // 4, 8 * GIB),
        "PostgreSQL's own cache: a quarter of the memory, 8 GB at most. A restart applies it.",
    )
    yield Size(
        "effective_cache_size",
        _between(256 * MIB, memory_bytes // 2, 1024 * GIB),
        "What the planner takes to be cached, by PostgreSQL or Linux: half of the memory.",
    )
    yield Size(
        "work_mem",
        _between(4 * MIB, memory_bytes // 256, 64 * MIB),
        "Of each sort or hash of a statement. Some dozen statements run at a time.",
    )
    yield Size(
        "maintenance_work_mem",
        _between(64 * MIB, memory_bytes // 16, GIB),
        "For indexes that a migration or a restore makes, and for vacuum.",
    )
    yield Size(
        "max_wal_size",
        max_wal,
        "WAL between two checkpoints: a tenth of the disk, 4 GB at most. More takes longer to"
        " replay after a crash.",
    )
    yield Size(
        "min_wal_size", max_wal // 16, "WAL files that are kept for reuse instead of made anew."
    )


def configuration(memory_bytes: int, disk_bytes: int) -> str:
    """Return a file for conf.d of PostgreSQL."""
    lines = [HEADER.format(memory=memory_bytes / GIB, disk=disk_bytes / GIB)]
    return "\n".join([*lines, *(size.line() for size in sizes(memory_bytes, disk_bytes))]) + "\n"


def _between(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))
