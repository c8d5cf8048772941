"""Figures of a simulated run for each second, written to a file while it goes on.

    second,stage,connected,sent,acknowledged,stored,events,webhooks,...

Counts are of that second alone, but `connected`, which is how many there are. Latencies (to
acknowledged) and lags are those of that second, to stored the newest samples; an empty field (null
in NDJSON) is not known. What the system reports (stored, events, webhooks) is counted when it is
asked, once a second.
"""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from device_sim.latency import SHARES, Latencies
from stack.errors import StackError
from stack.sim.progress import RunState, Shown

FIGURES_SUFFIXES = (".csv", ".ndjson")
_COUNTS = ("sent", "acknowledged", "failed")
_TOTALS = ("stored", "events", "webhooks")
_LATENCIES = ("to_acknowledged", "to_stored", "lag")
COLUMNS = (
    "second", "stage", "connected", *_COUNTS, *_TOTALS,
    *(f"{name}_{share}_ms" for name in _LATENCIES for share in SHARES),
)  # fmt: skip

Row = Mapping[str, float | str | None]


class RunFigures:
    """A file that gets a row each second; what is in memory does not grow."""

    def __init__(self, file: TextIO, *, as_csv: bool) -> None:
        self._file = file
        self._csv = csv.DictWriter(file, COLUMNS, lineterminator="\n") if as_csv else None
        if self._csv is not None:
            self._csv.writeheader()
        self._before = RunState()
        self._second = 0

    def note(self, state: RunState) -> None:
        """Write what has changed since the last row."""
        row = figures_between(self._before, state) | {"second": self._second}
        self._before, self._second = state, self._second + 1
        if self._csv is not None:
            self._csv.writerow(row)
        else:
            self._file.write(json.dumps({name: row[name] for name in COLUMNS}) + "\n")
        self._file.flush()


def figures_between(before: RunState, now: RunState) -> dict[str, float | str | None]:
    """Give the figures of the time between two states, all but `second`."""
    row: dict[str, float | str | None] = {"stage": now.stage.split()[0]}
    row["connected"] = now.progress and now.progress.connected
    for names, old, new in (
        (_COUNTS, before.progress, now.progress),
        (_TOTALS, before.totals, now.totals),
    ):
        for name in names:
            grown = None if new is None else getattr(new, name) - (getattr(old, name) if old else 0)
            row[name] = grown
    for name, old, new in zip(_LATENCIES, _latencies(before), _latencies(now), strict=True):
        quantiles = None if new is None else new.since(old or Latencies()).quantiles_ms()
        row |= {f"{name}_{share}_ms": quantiles and getattr(quantiles, share) for share in SHARES}
    return row


def _latencies(state: RunState) -> tuple[Latencies | None, ...]:
    sent = state.progress
    return sent and sent.latencies, state.to_stored, sent and sent.lags


@asynccontextmanager
async def writing_figures(path: Path | None, shown: Shown) -> AsyncIterator[None]:
    """Write a row each second as long as the block runs. Raises StackError where it cannot."""
    if path is None:
        yield
        return
    with _opened(path) as file:
        figures = RunFigures(file, as_csv=path.suffix == ".csv")
        writer = asyncio.create_task(_note_each_second(figures, shown))
        try:
            yield
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            figures.note(shown.state)


async def _note_each_second(figures: RunFigures, shown: Shown) -> None:
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        due_s += 1.0
        await asyncio.sleep(due_s - loop.time())
        figures.note(shown.state)


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise StackError(f"cannot write {path}: {error.strerror}") from None
