"""What a system must have made of a run: an in-memory replay of the simulator's ledger.

The replay takes the acknowledged fixes in the order in which each tracker sent them, which is the
order of arrival, and judges them by the rules that ingest keeps to: a fix that repeats an identity
is not stored; one at or before the newest judged of its asset is stored and not judged; what cannot
be stored (no place on earth, exactly 0,0, an impossible time) is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.evaluator import evaluate
from geofence.geojson import read_shape
from geofence.index import ZoneIndex, ZoneVersion
from geofence.state import State
from geofence.transitions import Cause, Transition
from geofence.visits import NAMES, alerts, event_id, visit_id
from stack.comparison import Breach, StoredFix, Visit
from stack.registration import Registered
from stack.scenario import SimZone
from telemetry.decode import ANCIENT_BEFORE_US, MAX_AHEAD_US
from telemetry.fix import FixBatch
from telemetry.ids import format_id, parse_id

_CHUNK_FIXES = 20_000
DEFAULT_KIND = "restricted"


@dataclass(frozen=True, slots=True)
class Expectation:
    """Fixes that must be stored, visits at the end of the run, breaches in order of arrival."""

    fixes: list[StoredFix]
    visits: list[Visit]
    breaches: list[Breach]
    now_us: int


def expect(
    sent: NDArray[np.void], registered: Registered, zones: Sequence[SimZone], now_us: int
) -> Expectation:
    """What must come of `sent`: acknowledged fixes, FIX_DTYPE, each tracker's in order.

    rows["tracker"] is the position in the fleet.

    now_us: the end of the run, about when the newest fix was received.
    """
    rows = sent[_storable(sent, now_us)]
    rows["asset"] = rows["tracker"]
    rows["organization"] = 0
    replay = _Replay(registered, zones)
    for start in range(0, len(rows), _CHUNK_FIXES):
        replay.take(FixBatch(rows[start : start + _CHUNK_FIXES]), now_us)
    fixes = stored_fixes(rows, registered, now_us)
    return Expectation(fixes, replay.all_visits(), replay.breaches, now_us)


def _storable(rows: NDArray[np.void], now_us: int) -> NDArray[np.bool_]:
    at_zero = (rows["lat"] == 0) & (rows["lon"] == 0)
    in_range = (np.abs(rows["lat"]) <= 90) & (np.abs(rows["lon"]) <= 180)
    in_time = (rows["time_us"] >= ANCIENT_BEFORE_US) & (rows["time_us"] <= now_us + MAX_AHEAD_US)
    return in_range & in_time & ~at_zero


def stored_fixes(sent: NDArray[np.void], registered: Registered, now_us: int) -> list[StoredFix]:
    """What is stored of fixes that were received until `now_us`: each identity as it came first."""
    rows = sent[_storable(sent, now_us)]
    identities = rows[["tracker", "time_us", "seq"]]
    _, first = np.unique(identities, return_index=True)
    kept = rows[np.sort(first)]
    columns: list[list[Any]] = [
        kept[name].tolist() for name in ("tracker", "time_us", "seq", "lat", "lon")
    ]
    return [
        StoredFix(
            registered.trackers[tracker].tracker_id,
            time_us,
            seq,
            registered.asset_ids[int(tracker)],
            lat,
            lon,
        )
        for tracker, time_us, seq, lat, lon in zip(*columns, strict=True)
    ]


class _Step(NamedTuple):
    """A transition as plain values: columns of TRANSITION_DTYPE."""

    asset: int
    zone: int
    transition: int
    cause: int
    time_us: int
    lat: float
    lon: float
    opening_tracker: int
    opening_us: int
    opening_seq: int
    opening_change_us: int


class _Replay:
    """State of the evaluator, and what its transitions amount to."""

    def __init__(self, registered: Registered, zones: Sequence[SimZone]) -> None:
        self._registered = registered
        self._zones = zones
        self._tracker_uuids = [parse_id("trk", one.tracker_id) for one in registered.trackers]
        self._asset_uuids = [parse_id("ast", asset_id) for asset_id in registered.asset_ids]
        self._zone_uuids = [parse_id("zon", zone_id) for zone_id in registered.zone_ids]
        self._state = State()
        self._index = ZoneIndex(
            ZoneVersion(
                zone=number,
                version=1,
                organization=0,
                shape=read_shape(zone.geometry, radius_m=zone.radius_m, width_m=zone.width_m),
                valid_from_us=registered.valid_from_us,
            )
            for number, zone in enumerate(zones)
        )
        self._open: dict[tuple[int, int], int] = {}  # (asset, zone) -> entered_us
        self._closed: list[Visit] = []
        self.breaches: list[Breach] = []

    def take(self, batch: FixBatch, now_us: int) -> None:
        """Judge the next fixes in order of arrival."""
        evaluation = evaluate(batch, self._state, self._index, now_us)
        columns = (evaluation.transitions[name].tolist() for name in _Step._fields)
        for values in zip(*columns, strict=True):
            self._note(_Step(*values))
        self._state.apply(evaluation.delta)

    def _note(self, step: _Step) -> None:
        key = (step.asset, step.zone)
        if step.transition == Transition.ENTER:
            self._open[key] = step.time_us
        else:
            self._closed.append(self._visit(key, self._open.pop(key), step.time_us))
        zone = self._zones[step.zone]
        transition, cause = Transition(step.transition), Cause(step.cause)
        if alerts(zone.kind or DEFAULT_KIND, zone.alert_on, transition, cause):
            self.breaches.append(self._breach(step, transition, cause))

    def _breach(self, step: _Step, transition: Transition, cause: Cause) -> Breach:
        visit = visit_id(
            self._asset_uuids[step.asset],
            self._zone_uuids[step.zone],
            self._tracker_uuids[step.opening_tracker],
            step.opening_us,
            step.opening_seq,
            step.opening_change_us,
        )
        return Breach(
            event_id=format_id("evt", event_id(visit, NAMES[transition])),
            asset_id=self._registered.asset_ids[step.asset],
            tracker_id=self._registered.trackers[step.opening_tracker].tracker_id,
            zone_id=self._registered.zone_ids[step.zone],
            visit_id=format_id("vis", visit),
            transition=NAMES[transition],
            occurred_us=step.time_us,
            lat=step.lat,
            lon=step.lon,
            initial=cause is Cause.INITIAL,
        )

    def all_visits(self) -> list[Visit]:
        """Those that have ended, then those that last."""
        lasting = [self._visit(key, entered_us, None) for key, entered_us in self._open.items()]
        return self._closed + lasting

    def _visit(self, key: tuple[int, int], entered_us: int, left_us: int | None) -> Visit:
        asset, zone = key
        return Visit(
            self._registered.asset_ids[asset], self._registered.zone_ids[zone], entered_us, left_us
        )
