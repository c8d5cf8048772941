"""The visits of one machine that a zone would have told, had it been there: out of the database and
out of the archive, for any length of time.

Only fixes around the zone are read, a page at a time, and judged by the engine of ingest, which
goes on from page to page. The machine's first fix around the zone is taken as the first that it
ever sent.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from archive.reading import PAGE_ROWS, Archive, Transactions
from db.archive import past_times
from db.archive.past_times import PastSpan
from db.fixes.areas import Area
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import HistoryFix
from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.model.rules import Gates
from geofence.model.transitions import CAUSE_WORDS, INFERRED_WORDS, Transition
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows
from telemetry.times import to_us


@dataclass(frozen=True, slots=True)
class PastZone:
    """A zone as it is judged by. area, hours: where fixes are read (`past_times.around`)."""

    version: ZoneVersion
    gates: Gates
    area: Area
    hours: int


class Moment(NamedTuple):
    """When, where and why a visit began or ended."""

    time_us: int
    lat: float
    lon: float
    cause: str
    inferred: str | None


class PastVisit(NamedTuple):
    """left: None where it had not ended."""

    entered: Moment
    left: Moment | None


async def past_visits(
    transaction: Transactions, archive: Archive, zone: PastZone, asset_id: UUID, span: PastSpan
) -> AsyncIterator[list[PastVisit]]:
    """Yield the visits in order, as they become known. zone.gates: of this machine, number 0.

    Raises ArchiveUnavailable.
    """
    async with transaction() as conn:
        times = await past_times.around(conn, zone.area, span, asset_id, zone.hours)
    judged = _Judged(zone)
    for since, until in times:
        wanted = FixFilter(asset_ids=(asset_id,), since=since, until=until)
        async for fixes in archive.walk(transaction, wanted, descending=False, page_rows=PAGE_ROWS):
            yield await asyncio.to_thread(judged.ended_by, fixes)
    yield await asyncio.to_thread(judged.ended_at, to_us(span.until))


class _Judged:
    """What the fixes of one machine have told so far."""

    def __init__(self, zone: PastZone) -> None:
        self._index, self._gates = ZoneIndex([zone.version]), zone.gates
        self._state = State()
        self._trackers: dict[UUID, int] = {}
        self._entered: Moment | None = None

    def ended_by(self, fixes: Sequence[HistoryFix]) -> list[PastVisit]:
        """Return the visits that are known to have ended by the next fixes."""
        return self._ended(_batch(fixes, self._trackers), NO_TIMERS_US)

    def ended_at(self, until_us: int) -> list[PastVisit]:
        """Return what ends without a fix, and what lasts."""
        ended = self._ended(FixBatch.empty(), until_us)
        return ended if self._entered is None else [*ended, PastVisit(self._entered, None)]

    def _ended(self, batch: FixBatch, now_us: int) -> list[PastVisit]:
        evaluation = evaluate(batch, self._state, self._index, now_us, self._gates)
        self._state.apply(evaluation.delta)
        ended: list[PastVisit] = []
        for row in evaluation.transitions:
            if row["transition"] == Transition.ENTER:
                self._entered = _moment(row)
            elif row["transition"] == Transition.EXIT:
                assert self._entered is not None
                ended.append(PastVisit(self._entered, _moment(row)))
                self._entered = None
        return ended


def _moment(row: np.void) -> Moment:
    return Moment(
        int(row["time_us"]),
        float(row["lat"]),
        float(row["lon"]),
        CAUSE_WORDS[int(row["cause"])],
        INFERRED_WORDS[int(row["inferred"])],
    )


def _batch(fixes: Sequence[HistoryFix], trackers: dict[UUID, int]) -> FixBatch:
    """Return the fixes of asset 0. trackers: numbers of all that were met; grows."""
    rows = blank_rows(len(fixes))
    rows["asset"] = rows["organization"] = 0
    rows["tracker"] = [trackers.setdefault(fix.tracker_id, len(trackers)) for fix in fixes]
    rows["time_us"] = [to_us(fix.time) for fix in fixes]
    for name in ("seq", "lat", "lon"):
        rows[name] = [getattr(fix, name) for fix in fixes]
    _fill(rows, "accuracy_m", [fix.accuracy_m for fix in fixes], Known.ACCURACY)
    _fill(rows, "speed_mps", [fix.speed_mps for fix in fixes], Known.SPEED)
    return FixBatch(rows)


def _fill(rows: NDArray[np.void], name: str, values: Sequence[float | None], bit: Known) -> None:
    found = np.array(values, np.float64)  # None: NaN
    known = ~np.isnan(found)
    rows[name] = np.where(known, found, 0)
    rows["known"][known] |= np.uint8(bit)
