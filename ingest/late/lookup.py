"""Look-ups in the database for a plan: late fixes, and the past of their assets.

Most batches need no look-up. A function that may need one is a generator (`Planning`): it yields
what it asks for, and is sent the answers. So it neither waits nor knows where they come from.
"""

from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from db.history import gps_events, retention, visits
from db.history.gps_events import FixKey, PastFix, PastSpan, Place
from db.ingest import checkpoints, fix_presence, restore
from db.ingest.asset_backlogs import Backlog
from db.ingest.checkpoints import Checkpoint
from geofence.judging.state import StateDelta
from geofence.late import amendments
from geofence.late.amendments import VisitKey
from geofence.late.known_visits import way_begins_us
from geofence.model.records import PLACE_DTYPE
from geofence.model.transitions import Cause, Inferred
from ingest.registry.reassignments import Move
from ingest.registry.registry import Registry
from ingest.saved_states.checkpoints import decode
from telemetry.fix import FIX_DTYPE, Known, blank_rows
from telemetry.times import to_datetime, to_us

_CAUSES = {cause.word: int(cause) for cause in Cause}
_INFERRED = {inferred.word: int(inferred) for inferred in Inferred}
_END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)

MOST_CHECKPOINTS = 64  # beyond so many, all of the past is looked up
PIECE_FIXES = 250  # of a backlog, judged at once
LONGEST_PIECE = 16  # so many times as long, where a piece would end amid what it changes
MOST_FIXES = 20_000  # of an asset, judged at once; where more follow, a late fix makes a backlog


@dataclass(frozen=True, slots=True)
class LateSpan:
    """The time of an asset's late fixes, and how far beyond it the past is needed."""

    earliest_us: int
    latest_us: int
    checkpoints: int = 1
    """How many checkpoints after the fixes to read, or all if there are fewer."""

    def deeper(self) -> "LateSpan":
        return replace(self, checkpoints=8 * self.checkpoints)


@dataclass(frozen=True, slots=True)
class AssetPast:
    """The stored past of an asset around some time."""

    span: LateSpan
    before: StateDelta | None
    """The asset's state at the beginning; None if the past begins with the asset's first fix."""
    end: StateDelta | None
    """The asset's state at the end; None if the past reaches to now."""
    rows: NDArray[np.void] | None
    """The fixes between, in order of time and seq; None if they are too many, or some were
    removed.
    """
    visits: Sequence[amendments.Visit]
    """The visits that the time bears on."""
    kept: bool = True
    """Whether no fix was removed."""
    backlog: Backlog | None = None
    """The backlog of which the rows are a piece."""
    length: float = 1.0
    """How many times the usual number of fixes the piece has."""
    more_follow: bool = False
    """Whether the piece is not the last one."""

    @property
    def since_us(self) -> int:
        return _since_us(self.before)


ClockQuestion = tuple[int, int]
"""Tracker and time: whether a fix of the tracker is stored from the day before it, or at it."""


@dataclass(frozen=True, slots=True)
class Past:
    """The answers to a look-up."""

    clocks: Mapping[ClockQuestion, bool] = field(default_factory=dict[ClockQuestion, bool])
    stored: Mapping[FixKey, Place] = field(default_factory=dict[FixKey, Place])
    """The stored ones of the fixes in question, with their places."""
    assets: Mapping[int, AssetPast] = field(default_factory=dict[int, AssetPast])
    """The pasts of assets, by ordinal."""
    piece: tuple[int, AssetPast] | None = None
    """An asset and the next piece of its backlog."""

    def joined(self, others: "Past") -> "Past":
        """Return the pasts and the piece of both; those of `others` where both have one."""
        return Past(assets={**self.assets, **others.assets}, piece=others.piece or self.piece)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Questions to the database, without whose answers a batch cannot be planned."""

    clocks: Sequence[ClockQuestion] = ()
    """Questions about fixes that may have a wrong clock; see `ingest.planning.clock_rollover`."""
    fixes: Sequence[FixKey] = ()
    """The fixes that may be stored already."""
    assets: Mapping[int, LateSpan] = field(default_factory=dict[int, LateSpan])
    """By ordinal, the time whose past is needed."""
    backlog: Backlog | None = None
    """The backlog whose next piece is needed."""
    length: float = 1.0
    """How many times the usual number of fixes the piece is to have."""
    places: Mapping[int, int] = field(default_factory=dict[int, int])
    """By asset, the time since which the places of newly assigned trackers are needed."""


_Made = TypeVar("_Made")

Planning = Generator[Lookup, Past, _Made]
"""A function that yields what it asks for, is sent the answers, and returns what it made."""


async def look_up(conn: Connection, lookup: Lookup, registry: Registry) -> Past:
    """Return the answers to `lookup`. The places of trackers go into `registry`."""
    past = Past()
    if lookup.clocks:
        asked = [(registry.trackers[tracker], time_us) for tracker, time_us in lookup.clocks]
        answers = zip(lookup.clocks, await fix_presence.preceded(conn, asked), strict=True)
        past = replace(past, clocks=dict(answers))
    if lookup.fixes:
        past = replace(past, stored=await gps_events.stored(conn, lookup.fixes))
    if lookup.places:
        since_us = {asset: time_us - 1 for asset, time_us in lookup.places.items()}
        await place_trackers(conn, registry.moves.later_than(since_us), registry)
    if lookup.assets:
        past = replace(past, assets=await _assets(conn, lookup.assets, registry))
    if lookup.backlog is not None:
        past = replace(past, piece=await _piece(conn, lookup.backlog, lookup.length, registry))
    return past


async def _piece(
    conn: Connection, backlog: Backlog, length: float, registry: Registry
) -> tuple[int, AssetPast]:
    """Look up the next piece of a backlog: some fixes, and the visits that they bear on.

    Where fixes since the state before it are not kept any more, the asset begins anew behind them:
    a visit that began before and went on is then another one.
    """
    most = max(1, int(PIECE_FIXES * length))
    owner, asset = backlog[:2], registry.assets.number(backlog.asset_id)
    before = await _state_of(conn, backlog, registry)
    after = _after(before)
    cut = (await retention.cuts(conn, [owner])).get(backlog.asset_id)
    since = _bearing(before)
    if cut is not None and backlog.state is None and after[0] < cut:
        before, after, since = None, (cut, -1), cut
    found = await gps_events.following(conn, *owner, after, most + 1)
    fixes, more_follow = found[:most], len(found) > most
    until = to_datetime(fixes[-1].time_us) if more_follow else _END_OF_TIME
    stays = await visits.within(conn, [(*owner, since, until)])
    moves = registry.moves.later_than({asset: _since_us(before)})
    await place_trackers(conn, moves, registry)
    return asset, AssetPast(
        LateSpan(backlog.time_us, backlog.time_us),
        before,
        end=None,
        rows=_rows(fixes, registry) if fixes else np.empty(0, FIX_DTYPE),
        visits=[_visit(row, registry) for row in stays],
        backlog=backlog,
        length=length,
        more_follow=more_follow,
    )


async def _state_of(conn: Connection, backlog: Backlog, registry: Registry) -> StateDelta | None:
    """Return the state from which a backlog is judged on: None from the asset's first fix on."""
    if backlog.state is not None:
        return decode(Checkpoint(*backlog[:4], backlog.state), registry)
    found = await checkpoints.before(conn, [(*backlog[:2], backlog.time_us)])
    return decode(found[0], registry) if found else None


async def _assets(
    conn: Connection, spans: Mapping[int, LateSpan], registry: Registry
) -> dict[int, AssetPast]:
    owner = {asset: _owner(asset, registry) for asset in spans}
    edges = await _edges(conn, spans, owner, registry)
    fixes = await gps_events.past(
        conn,
        [PastSpan(*owner[asset], *_after(before), *_until(end)) for asset, before, end in edges],
        MOST_FIXES + 1,
    )
    # After the fixes: what was removed before they were read is known by now.
    cuts = await retention.cuts(conn, list(owner.values()))
    stays = await visits.within(
        conn, [(*owner[asset], _bearing(before), _until(end)[0]) for asset, before, end in edges]
    )
    since_us = {asset: _since_us(before) for asset, before, _ in edges}
    await place_trackers(conn, registry.moves.later_than(since_us), registry)
    visits_of: dict[UUID, list[amendments.Visit]] = defaultdict(list)
    for row in stays:
        visits_of[row.asset_id].append(_visit(row, registry))
    by_asset = {one: list(some) for one, some in groupby(fixes, lambda fix: fix.asset_id)}
    rows = {
        asset_id: _rows(some, registry) if len(some) <= MOST_FIXES else None
        for asset_id, some in by_asset.items()
    }
    gone = {
        asset
        for asset, before, _ in edges
        if (cut := cuts.get(owner[asset][1])) is not None and _since_us(before) < to_us(cut)
    }
    return {
        asset: AssetPast(
            spans[asset],
            before,
            end,
            None if asset in gone else rows.get(owner[asset][1], np.empty(0, FIX_DTYPE)),
            visits_of[owner[asset][1]],
            kept=asset not in gone,
        )
        for asset, before, end in edges
    }


async def _edges(
    conn: Connection,
    spans: Mapping[int, LateSpan],
    owner: Mapping[int, tuple[UUID, UUID]],
    registry: Registry,
) -> list[tuple[int, StateDelta | None, StateDelta | None]]:
    """Look up the states of each asset at the beginning and at the end."""
    earliest = [(*owner[asset], span.earliest_us) for asset, span in spans.items()]
    latest = [
        (*owner[asset], span.latest_us, span.checkpoints)
        for asset, span in spans.items()
        if span.checkpoints <= MOST_CHECKPOINTS
    ]
    before = _states(await checkpoints.before(conn, earliest), registry)
    end = _states(await checkpoints.after(conn, latest), registry)
    return [(asset, before.get(asset), end.get(asset)) for asset in spans]


def _states(found: Sequence[Checkpoint], registry: Registry) -> dict[int, StateDelta]:
    return {registry.assets.number(one.asset_id): decode(one, registry) for one in found}


def _owner(asset: int, registry: Registry) -> tuple[UUID, UUID]:
    organization = registry.organization_of_asset(asset)
    return registry.organizations[organization], registry.assets[asset]


def _since_us(before: StateDelta | None) -> int:
    """Return the beginning of the state, or 1970: no stored fix is older."""
    return 0 if before is None else int(before.assets["newest_us"][0])


def _after(before: StateDelta | None) -> tuple[datetime, int]:
    """Return the fix after which the past begins: its time and seq."""
    seq = 0 if before is None else int(before.assets["newest_seq"][0])
    return to_datetime(_since_us(before)), seq


def _until(end: StateDelta | None) -> tuple[datetime, int]:
    if end is None:
        return _END_OF_TIME, 0
    return to_datetime(int(end.assets["newest_us"][0])), int(end.assets["newest_seq"][0])


def _bearing(before: StateDelta | None) -> datetime:
    """Return an instant: visits that ended before it have no effect on what is judged."""
    if before is None:
        return to_datetime(0)
    since_us = min(_since_us(before), way_begins_us(before))
    running = before.memberships[before.memberships["run"] > 0]
    return to_datetime(int(running["run_first"]["time_us"].min(initial=since_us)))


async def place_trackers(conn: Connection, moves: Sequence[Move], registry: Registry) -> None:
    """Look up where trackers were when they were put on assets: late fixes may change that."""
    wanted = [
        (registry.trackers[one.tracker], one.time_us, registry.gates.max_accuracy_of(one.asset))
        for one in moves
    ]
    found = await restore.last_places(conn, wanted)
    place_of = {(place.tracker_id, place.before_us): place for place in found}
    for move, (tracker_id, before_us, _) in zip(moves, wanted, strict=True):
        place = place_of.get((tracker_id, before_us))
        if place is None:
            registry.moves.place(move, None)
        else:
            numbers = (registry.trackers.number(place.tracker_id), *place[2:6])
            row = np.array((*numbers, *map(_or_nan, place[6:])), PLACE_DTYPE)
            registry.moves.place(move, row)


def _rows(fixes: Sequence[PastFix], registry: Registry) -> NDArray[np.void]:
    """Return FIX_DTYPE, the columns that judging reads."""
    rows = blank_rows(len(fixes))
    columns = dict(zip(PastFix._fields, zip(*fixes, strict=True), strict=True))
    asset = registry.assets.number(fixes[0].asset_id)
    rows["asset"], rows["organization"] = asset, registry.organization_of_asset(asset)
    tracker = {one: registry.trackers.number(one) for one in set(columns["tracker_id"])}
    rows["tracker"] = [tracker[one] for one in columns["tracker_id"]]
    for name in ("time_us", "received_us", "seq", "lat", "lon", "flags"):
        rows[name] = columns[name]
    for name, bit in (("accuracy_m", Known.ACCURACY), ("speed_mps", Known.SPEED)):
        rows[name] = np.array(columns[name], np.float32)  # None becomes NaN
        rows["known"][~np.isnan(rows[name])] |= np.uint8(bit)
    return rows


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _visit(row: visits.VisitRow, registry: Registry) -> amendments.Visit:
    tracker = registry.trackers.number(row.tracker_id)
    key = VisitKey(
        zone=registry.zones.number(row.zone_id),
        tracker=tracker,
        time_us=to_us(row.first_fix_time),
        seq=row.first_fix_seq,
        change_us=0 if row.change_time is None else to_us(row.change_time),
        again=row.again,
    )
    first_fix = (tracker, to_us(row.first_fix_time), row.first_fix_seq)
    entry = (row.entered_at, row.entry_lat, row.entry_lon, row.entry_cause, row.entry_inferred)
    exit_ = (row.left_at, row.exit_lat, row.exit_lon, row.exit_cause, row.exit_inferred)
    dwelled = (row.dwelled_at, row.entry_lat, row.entry_lon, row.entry_cause, "timer")
    overspeed = (row.overspeed_at, row.overspeed_lat, row.overspeed_lon, "moved", None)
    entered = _place(entry, first_fix)
    return amendments.Visit(
        key=key,
        version=row.zone_version,
        entered=entered,
        left=None if row.left_at is None else _place(exit_, _exit_fix(row, registry)),
        dwelled=None if row.dwelled_at is None else _place(dwelled, first_fix),
        revision=row.revision,
        retracted=row.retracted,
        enter_announced=not entered.is_silent,
        exit_announced=row.exit_announced,
        dwell_announced=row.dwell_announced,
        overspeed=None
        if row.overspeed_at is None
        else _place(overspeed, (tracker, None, 0))._replace(speed_mps=row.overspeed_mps),
        overspeed_announced=row.overspeed_announced,
    )


def _exit_fix(row: visits.VisitRow, registry: Registry) -> tuple[int, int | None, int]:
    """Return the identity of the fix that ended a visit."""
    if row.exit_tracker_id is None or row.exit_fix_time is None or row.exit_fix_seq is None:
        return registry.trackers.number(row.tracker_id), None, 0
    tracker = registry.trackers.number(row.exit_tracker_id)
    return tracker, to_us(row.exit_fix_time), row.exit_fix_seq


def _place(stored: tuple[Any, ...], fix: tuple[int, int | None, int]) -> amendments.VisitBoundary:
    """Read a stored place. The accuracy of the fix that showed it is not stored."""
    at, lat, lon, cause, inferred = stored
    words = (_CAUSES[cause], _INFERRED[inferred])
    return amendments.VisitBoundary(to_us(at), lat, lon, *fix, None, None, *words)
