"""Percentiles, verdicts and the table of the neighbour's measurement."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from rich.console import Console
from rich.table import Table

MEASURES = ("puback", "get", "webhook")
MAX_RATIO = 3.0
"""How much longer a measure may take under attack, at the 99th percentile."""
LEAST_CALM_MS = 20.0
"""What a lower calm value counts as."""
MOST_MS = 500.0
Span = tuple[int, int]
"""Begin and end, ns."""


@dataclass(frozen=True, slots=True)
class Waited:
    """Time that the things of a measure took that were due within a phase."""

    p50_ms: float
    p99_ms: float
    most_ms: float
    count: int

    @classmethod
    def of(cls, took: Sequence[Span], phase: Span) -> Self:
        """Measure what was due in a phase."""
        times_ms = [(end - due) / 1e6 for due, end in took if phase[0] <= due < phase[1]]
        if not times_ms:
            return cls(0.0, 0.0, 0.0, 0)
        p50, p99, most = (round(float(ms), 1) for ms in np.percentile(times_ms, [50, 99, 100]))
        return cls(p50, p99, most, len(times_ms))


@dataclass(frozen=True, slots=True)
class Measure:
    """One of the victim's three measures, in three phases."""

    before: Waited
    attack: Waited
    after: Waited

    @property
    def calm_ms(self) -> float | None:
        """The calm p99. What an attack leaves behind is not calm: the better side counts."""
        return min((one.p99_ms for one in (self.before, self.after) if one.count), default=None)

    @property
    def bound_ms(self) -> float:
        """The most that the p99 may be under attack."""
        return min(MAX_RATIO * max(self.calm_ms or 0.0, LEAST_CALM_MS), MOST_MS)

    @property
    def trouble(self) -> str | None:
        """The reason why it is not good, or None."""
        if self.calm_ms is None or not self.attack.count:
            return "has no samples"
        if self.attack.p99_ms > self.bound_ms:
            return f"p99 is {self.attack.p99_ms:.0f} ms, {self.bound_ms:.0f} are allowed"
        return None


@dataclass(frozen=True, slots=True)
class Record:
    """The record that the victim wrote. took: by measure. errors: counted by what they were.
    missing: things that never came, counted by what they are.
    """

    took: Mapping[str, Sequence[Span]]
    errors: Mapping[str, int]
    missing: Mapping[str, int]
    doubled: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the victim's file."""
        facts = json.loads(path.read_text())
        took = {name: [(due, end) for due, end in spans] for name, spans in facts["took"].items()}
        errors = dict(Counter(what for _, what in facts["errors"]))
        missing = {name: count for name, count in facts["missing"].items() if count}
        return cls(took, errors, missing, facts["doubled"])

    def measure(self, name: str, phases: tuple[Span, Span, Span]) -> Measure:
        """Return a measure in the phases before, during and after the attack."""
        took = self.took.get(name, ())
        return Measure(*(Waited.of(took, phase) for phase in phases))


@dataclass(frozen=True, slots=True)
class Row:
    """One attack.

    missing: PUBACKs, answers and webhooks of the victim that never came. doubled: webhooks that
    came again. lost: fixes that were acknowledged and are not stored. peaks_mib, cores: of each
    part, the latter during the attack, with `attacker`. told: what the attacker heard, counted.
    """

    name: str
    measures: Mapping[str, Measure]
    errors: Mapping[str, int]
    missing: Mapping[str, int]
    doubled: int
    lost: int
    peaks_mib: Mapping[str, float]
    cores: Mapping[str, float]
    told: Mapping[str, int]

    @property
    def trouble(self) -> list[str]:
        """The reasons why the row is not good; empty where it is."""
        found = [f"{name}: {one.trouble}" for name, one in self.measures.items() if one.trouble]
        found += [f"{count} x {what}" for what, count in self.errors.items()]
        found += [f"{count} x {what} missing" for what, count in self.missing.items()]
        counts = {"doubled": self.doubled, "lost": self.lost}
        return found + [f"{count} {what}" for what, count in counts.items() if count]

    @property
    def heard(self) -> str:
        """The answers that the attacker got, as text."""
        return ", ".join(f"{count:,} x {what}" for what, count in self.told.items())

    def facts(self) -> dict[str, object]:
        """Return the row for the result file."""
        return {**asdict(self), "trouble": self.trouble}


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a table: times as calm -> under attack, p99, ms."""
    heads = ("attack", *MEASURES, "MiB at most", "cores", "what the attacker was told", "verdict")
    table = Table(*heads)
    for row in rows:
        times = (
            f"{one.calm_ms or 0:.0f} -> {one.attack.p99_ms:.0f}" for one in row.measures.values()
        )
        memory = ", ".join(f"{name} {mib:.0f}" for name, mib in row.peaks_mib.items())
        cores = ", ".join(f"{name} {used:.2f}" for name, used in row.cores.items())
        verdict = "; ".join(row.trouble) or "good"
        table.add_row(row.name, *times, memory, cores, row.heard, verdict)
    console.print(table)
