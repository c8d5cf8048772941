"""The rows and verdicts of the victims' measurements, a table and the facts of a result file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

MAX_RATIO = 3.0
"""How much longer the victims' PUBACKs may take under attack, at the 99th percentile."""
MIB = 1024 * 1024
CONNECTION_BYTES = 15 * 1024
"""Of a connection that is idle (docs/benchmarks.md), rounded up."""
SPARE = 1.25
"""Python's allocator keeps some of what it was given back."""

Spans = NDArray[np.int64]
"""(n, 2): when something was sent and when it was answered, ns."""


@dataclass(frozen=True, slots=True)
class Waited:
    """The victims' time from publish to PUBACK in one phase."""

    p50_ms: float
    p99_ms: float
    most_ms: float
    messages: int

    @classmethod
    def of(cls, took: Spans, begin_ns: int, end_ns: int) -> "Waited":
        """Measure the messages that were sent between two moments."""
        sent = took[(took[:, 0] >= begin_ns) & (took[:, 0] < end_ns)]
        if not len(sent):
            return cls(0.0, 0.0, 0.0, 0)
        p50, p99, most = np.percentile((sent[:, 1] - sent[:, 0]) / 1e6, [50, 99, 100])
        return cls(*(round(float(value), 2) for value in (p50, p99, most)), messages=len(sent))


@dataclass(frozen=True, slots=True)
class Row:
    """One attack.

    lost: messages of the victims that were acknowledged and are not stored, or never acknowledged.
    cuts: connections of the victims that ended. kept_out: sign-ins of a newcomer of the victims
    that failed; let_in_ms: the longest that did not. cores: that each process used during the
    attack. attackers: what they did. ended, refused: the listener's own counts, by reason.
    """

    name: str
    before: Waited
    attack: Waited
    after: Waited
    lost: int
    cuts: int
    kept_out: int
    let_in_ms: float
    peak_mib: float
    bound_mib: float
    ingest_peak_mib: float
    cores: Mapping[str, float]
    attackers: Mapping[str, float]
    ended: Mapping[str, float]
    refused: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """The p99 under attack in units of the calm one. What an attack leaves behind is not calm:
        the better side counts.
        """
        calm_ms = min(self.before.p99_ms, self.after.p99_ms)
        return self.attack.p99_ms / calm_ms if calm_ms else float("inf")

    @property
    def trouble(self) -> list[str]:
        """The reasons why the row is not good; empty where it is."""
        found: list[str] = []
        if self.ratio >= MAX_RATIO:
            found.append(f"p99 is {self.ratio:.1f} x its calm value")
        if self.lost:
            found.append(f"{self.lost} messages lost")
        if self.cuts:
            found.append(f"{self.cuts} victims cut")
        if self.kept_out:
            found.append(f"a newcomer was kept out {self.kept_out} times")
        if self.peak_mib > self.bound_mib:
            found.append(f"{self.peak_mib:.0f} MiB of memory, {self.bound_mib:.0f} are allowed")
        return found

    def facts(self) -> dict[str, object]:
        """Return the row for the result file."""
        return {**asdict(self), "ratio": round(self.ratio, 2), "trouble": self.trouble}


def memory_bound_mib(idle_mib: float, max_connections: int, max_held_bytes: int) -> float:
    """Return what a listener process may hold at most: idle, all connections, and all that they may
    hold.

    idle_mib: before the first connection.
    """
    connections_mib = max_connections * CONNECTION_BYTES / MIB
    return round(idle_mib + (connections_mib + max_held_bytes / MIB) * SPARE, 1)


def by_reason(page: str, counter: str) -> dict[str, float]:
    """Return the values of a counter of one label, from a page of metrics; without those that are
    0.
    """
    found: dict[str, float] = {}
    for line in page.splitlines():
        if line.startswith(f'{counter}{{reason="'):
            name, _, value = line.partition('reason="')[2].rpartition('"} ')
            if float(value):
                found[name] = float(value)
    return found


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a table."""
    heads = ("attack", "calm p50", "p99", "attack p50", "p99 ms", "ratio", "MiB", "bound")
    table = Table(*heads, "listener", "ingest", "attackers", "what came of it", "verdict")
    for row in rows:
        calm_50 = min(row.before.p50_ms, row.after.p50_ms)
        calm_99 = min(row.before.p99_ms, row.after.p99_ms)
        times = (f"{ms:.1f}" for ms in (calm_50, calm_99, row.attack.p50_ms, row.attack.p99_ms))
        memory = (f"{row.peak_mib:.0f}", f"{row.bound_mib:.0f}")
        cores = (f"{row.cores[name]:.2f}" for name in ("listener", "ingest", "attackers"))
        table.add_row(
            *(row.name, *times, f"{row.ratio:.1f}", *memory, *cores, _came_of_it(row)),
            "; ".join(row.trouble) or "good",
        )
    console.print(table)


def _came_of_it(row: Row) -> str:
    ended = {
        f"cut: {reason}": times for reason, times in [*row.ended.items(), *row.refused.items()]
    }
    counts = {**row.attackers, **ended}
    return ", ".join(f"{value:,.0f} {name}" for name, value in counts.items() if value)
