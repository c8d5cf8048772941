"""The progress of a simulated run on stderr: a live table on a terminal, else a line
now and then.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from device_sim.fleet import FleetProgress
from device_sim.latency import SHARES, Latencies
from stack.verify.verify import Totals

_LINE_EVERY_S = 5.0
_NOT_KNOWN = "-"


@dataclass(frozen=True, slots=True)
class RunState:
    """The state to show. Counts are fixes unless they say otherwise; None is not known yet."""

    stage: str = "preparing"
    fixes: int | None = None  # to be sent
    progress: FleetProgress | None = None
    totals: Totals | None = None
    lost: int | None = None
    duplicate: int | None = None
    to_stored: Latencies | None = None

    def rows(self) -> dict[str, str]:
        """Return names and values, for people."""
        sent, out = self.progress, self.totals
        return {
            "stage": self.stage,
            "connected": _NOT_KNOWN if sent is None else _of(sent.connected, sent.trackers),
            "time": _NOT_KNOWN if sent is None else f"{sent.elapsed_s:,.0f} s",
            "sent": _of(sent and sent.sent, self.fixes),
            "acknowledged": _count(sent and sent.acknowledged),
            "failed": _count(sent and sent.failed),
            "rate": _NOT_KNOWN if sent is None else f"{sent.rate_hz:,.0f}/s",
            "to acknowledged": _quantiles(sent and sent.latencies),
            "to stored": _quantiles(self.to_stored),
            "lag": _quantiles(sent and sent.lags),
            "sent again": _NOT_KNOWN if not (sent and sent.sent_again) else f"{sent.sent_again:,}",
            "may be lost": _NOT_KNOWN
            if not (sent and sent.may_be_lost)
            else f"{sent.may_be_lost:,}",
            "stored": _count(out and out.stored),
            "events": _count(out and out.events),
            "webhooks": _count(out and out.webhooks),
            "lost": _count(self.lost),
            "duplicate": _count(self.duplicate),
        }


def _count(value: int | None) -> str:
    return _NOT_KNOWN if value is None else f"{value:,}"


def _of(value: int | None, planned: int | None) -> str:
    return _count(value) if value is None or planned is None else f"{value:,} of {planned:,}"


def _quantiles(latencies: Latencies | None) -> str:
    quantiles = latencies and latencies.quantiles_ms()
    if not quantiles:
        return _NOT_KNOWN
    text = ", ".join(f"{name} {getattr(quantiles, name):,.1f}" for name in SHARES)
    return f"{text} ms"


class RunView(Protocol):
    def show(self, state: RunState) -> None: ...


class LiveTable:
    """A table that is written over."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, state: RunState) -> None:
        table = Table(show_header=False)
        for name, value in state.rows().items():
            table.add_row(name, value)
        self._live.update(table)


class PlainLines:
    """One line every few seconds and at each change of stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage = ""
        self._printed_at = 0.0

    def show(self, state: RunState) -> None:
        now = time.monotonic()
        if state.stage == self._stage and now - self._printed_at < _LINE_EVERY_S:
            return
        self._stage, self._printed_at = state.stage, now
        known = [f"{name} {value}" for name, value in state.rows().items() if value != _NOT_KNOWN]
        self._console.print("  ".join(known), highlight=False)


class Shown:
    """The state of a run, shown at each change."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self.state = RunState()

    def update(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # pyright: ignore[reportArgumentType]
        self._view.show(self.state)


@contextmanager
def run_view() -> Iterator[Shown]:
    """Provide the view that fits where stderr goes."""
    console = Console(stderr=True, soft_wrap=True)
    if not console.is_terminal:
        yield Shown(PlainLines(console))
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield Shown(LiveTable(live))
