"""The evaluator as a replay uses it: rows of a trace in, transitions to be written out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate
from geofence.judging.state import State
from geofence.model.policy import BREACH, DWELL, OVERSPEED, Policy, event_type
from geofence.model.rules import Gates
from geofence.model.transitions import (
    CAUSE_WORDS,
    INFERRED_WORDS,
    TRANSITION_WORDS,
    Cause,
    Inferred,
    Transition,
)
from geofence.zones.index import ZoneIndex
from geofence.zones.versions import FILTER_DTYPE, MAX_TIME_US, MIN_TIME_US
from stack.replay.output.formats import TransitionRows
from stack.replay.schedule_starts import ZoneScheduleStarts, tells_of_inside
from stack.replay.tally import Tally
from stack.replay.zones import ZoneSet
from telemetry.fix import FixBatch, Known, blank_rows

_MINUTE_US = 60_000_000
_REMEMBERED = 65_536  # answers: devices of one trace often move at the same time

# The columns that, with the zone and the hour, decide; and the greatest value of each.
_ALIKE = {
    "transition": max(Transition),
    "cause": max(Cause),
    "inferred": max(Inferred),
    "returning": 1,
}


class EventTypes:
    """policies: by zone; without any, nothing gives an event."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        number = {policy: place for place, policy in enumerate(dict.fromkeys(policies))}
        self._policies = list(number)
        self._of_zone = np.array([number[policy] for policy in policies], np.int64)
        self._has_hours = np.array([p.schedule is not None for p in self._policies], np.bool_)
        self._type_of = lru_cache(_REMEMBERED)(self._type)

    def of(self, transitions: NDArray[np.void]) -> list[str]:
        """Return for each of TRANSITION_DTYPE, (n,), the type of its event, "" for none.

        Asked once for those that are alike: hours begin and end on full minutes.
        """
        if not self._policies:
            return [""] * len(transitions)
        policy = self._of_zone[transitions["zone"]]
        minute = np.where(self._has_hours[policy], transitions["time_us"] // _MINUTE_US, 0)
        alike = minute * len(self._policies) + policy
        for name, most in _ALIKE.items():
            alike = alike * (most + 1) + transitions[name]
        _, first, place = np.unique(alike, return_index=True, return_inverse=True)
        asked = (
            column[first].tolist() for column in (policy, minute, *(transitions[n] for n in _ALIKE))
        )
        types = list(map(self._type_of, *asked))
        return [types[number] for number in place.tolist()]

    def _type(
        self, policy: int, minute: int, transition: int, cause: int, inferred: int, returning: bool
    ) -> str:
        if transition == Transition.SCHEDULE:
            return BREACH
        event = event_type(
            self._policies[policy],
            TRANSITION_WORDS[transition],
            CAUSE_WORDS[cause],
            INFERRED_WORDS[inferred],
            minute * _MINUTE_US,
            left_before=returning,
        )
        return event or ""


class DeviceFilters:
    """chosen: by number of the filter, the devices it lets through. ids: devices by tracker; grows.

    A device is known to the evaluator by its tracker, which it has once the trace has named it.
    """

    def __init__(self, chosen: Sequence[frozenset[str]], ids: Sequence[str]) -> None:
        self._count = len(chosen)
        self._ids = ids
        self._met = 0
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._filters: dict[str, list[int]] = {}
        for number, devices in enumerate(chosen):
            for device in devices:
                self._filters.setdefault(device, []).append(number)

    def applied(self, index: ZoneIndex) -> ZoneIndex:
        """Return the index with the filters of all devices met so far; itself where it has them."""
        if not self._filters:
            return index
        before = len(self._rows)
        for tracker in range(self._met, len(self._ids)):
            for number in self._filters.get(self._ids[tracker], ()):
                self._rows.append((number, 0, tracker, MIN_TIME_US, MAX_TIME_US))
        self._met = len(self._ids)
        if len(self._rows) == before:
            return index
        return index.with_filters(np.array(self._rows, FILTER_DTYPE))

    def of_nobody(self) -> list[int]:
        """Return the filters that let through none of the devices that were met."""
        return sorted(set(range(self._count)) - {number for number, *_ in self._rows})


_DECIMALS_BETWEEN = 9  # a tenth of a millimetre


class Judge:
    """The evaluator of a trace, portion by portion. ids: the devices, by tracker; grows.

    schedule_starts: see `stack.replay.schedule_starts`; those of the zones unless given.
    """

    def __init__(
        self,
        zones: ZoneSet,
        ids: list[str],
        gates: Gates,
        now_us: int,
        tally: Tally,
        schedule_starts: ZoneScheduleStarts | None = None,
    ) -> None:
        self._zone_ids = zones.zone_ids
        self._index = zones.index
        self._filters = DeviceFilters(zones.devices, ids)
        self._schedule_starts = schedule_starts or ZoneScheduleStarts(zones.policies)
        self._tells_of_inside = tells_of_inside(zones.policies)
        self._events = EventTypes(zones.policies)
        self._ids = ids
        self._gates = gates
        self._now_us = now_us
        self._tally = tally
        self._state = State()
        if zones.policies:
            tally.events.update({BREACH: 0, DWELL: 0, OVERSPEED: 0})

    def judge(self, rows: NDArray[np.void], *, ended: bool) -> NDArray[np.void]:
        """Return the transitions (TRANSITION_DTYPE) that `rows` (TRACE_DTYPE) make, as they are
        found.

        ended: no fix of their devices comes after them, so what falls due by now is found too; but
        no hours begin for a device after its last fix, for they begin without end.
        """
        now_us = self._now_us if ended else NO_TIMERS_US
        self._index = self._filters.applied(self._index)
        batch = _batch(rows)
        evaluations = (
            evaluate(batch, self._state, self._index, now_us, self._gates, agenda)
            for agenda in self._schedule_starts.agendas(*self._time_of(rows))
        )
        evaluation, transitions = _joined(evaluations)
        self._state.apply(evaluation.delta)
        self._count(evaluation)
        return transitions

    def fixes_at_once(self, rows: NDArray[np.void]) -> int:
        """Return how many of `rows`, from the first on, to judge together: bounds what they may
        give.
        """
        count = len(rows)
        while count > 1:
            devices = len(np.unique(rows["tracker"][:count]))
            if devices <= self._schedule_starts.devices_at_once(*self._time_of(rows[:count])):
                break
            count //= 2
        return count

    def _time_of(self, rows: NDArray[np.void]) -> tuple[int, int]:
        """Return the time from the last fixes before `rows` to the last of them, microseconds."""
        last_us = int(rows["time_us"].max(initial=NO_TIMERS_US))
        first_us = int(rows["time_us"].min(initial=last_us))
        assets = self._state.assets
        known = assets[np.unique(rows["tracker"][rows["tracker"] < len(assets)])]
        before_us = known["newest_us"][known["located"]].min(initial=first_us)
        return min(first_us, int(before_us)), last_us

    def _count(self, evaluation: Evaluation) -> None:
        repeated = int(np.count_nonzero(evaluation.late))
        self._tally.judged += len(evaluation.late) - repeated
        self._tally.repeated += repeated
        self._tally.suspect += int(np.count_nonzero(evaluation.suspect)) - len(evaluation.healed)

    def written(self, transitions: NDArray[np.void]) -> TransitionRows:
        """Return TRANSITION_DTYPE as they are written out, and count them."""
        names = [TRANSITION_WORDS[number] for number in transitions["transition"].tolist()]
        events = self._events.of(transitions)
        self._tally.transitions.update(names)
        self._tally.events.update(filter(None, events))
        dwell_s = (transitions["time_us"] - transitions["entered_us"]) / 1e6
        return TransitionRows(
            device_id=[self._ids[tracker] for tracker in transitions["asset"].tolist()],
            time_us=transitions["time_us"],
            zone_id=[self._zone_ids[zone] for zone in transitions["zone"].tolist()],
            transition=names,
            lat=_tidied(transitions, "lat"),
            lon=_tidied(transitions, "lon"),
            cause=[CAUSE_WORDS[number] for number in transitions["cause"].tolist()],
            inferred=[INFERRED_WORDS[number] or "" for number in transitions["inferred"].tolist()],
            dwell_s=np.where(self._has_been_in(transitions), dwell_s, np.nan),
            event=events,
        )

    def zones_of_nobody(self) -> list[str]:
        """Return the zones that bear on none of the devices that were met."""
        entry = self._index.arrays.entry
        idle = entry["zone"][np.isin(entry["filter"], self._filters.of_nobody())]
        return [self._zone_ids[zone] for zone in idle.tolist()]

    def _has_been_in(self, transitions: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return whether a visit goes on or ends with the transition, (n,)."""
        stays = transitions["transition"] != Transition.ENTER
        hours = np.flatnonzero(transitions["transition"] == Transition.SCHEDULE)
        stays[hours] = self._tells_of_inside[transitions["zone"][hours]]
        return stays


def _tidied(transitions: NDArray[np.void], column: str) -> NDArray[np.float64]:
    """Return degrees: of a fix as they are, of a place between two without the noise
    of reckoning.
    """
    degrees = transitions[column]
    is_between = transitions["inferred"] == Inferred.SEGMENT
    return np.where(is_between, np.round(degrees, _DECIMALS_BETWEEN), degrees)


def _joined(evaluations: Iterator[Evaluation]) -> tuple[Evaluation, NDArray[np.void]]:
    """Return one evaluation, and the transitions of all of them, which differ in their starts
    alone.
    """
    evaluation = next(evaluations)
    parts = [evaluation.transitions]
    for again in evaluations:
        parts.append(again.transitions[again.transitions["transition"] == Transition.SCHEDULE])
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    opened = joined["transition"] == Transition.SCHEDULE
    kept = joined[~opened | (joined["row"] >= 0)]
    if len(parts) == 1:
        return evaluation, kept
    row = np.where(kept["row"] < 0, len(evaluation.late), kept["row"])
    return evaluation, kept[np.lexsort((kept["time_us"], row))]


def _batch(rows: NDArray[np.void]) -> FixBatch:
    fixes = blank_rows(len(rows))
    for column in ("tracker", "time_us", "seq", "lat", "lon"):
        fixes[column] = rows[column]
    fixes["asset"] = rows["tracker"]
    fixes["organization"] = 0
    for column, bit in (("accuracy_m", Known.ACCURACY), ("speed_mps", Known.SPEED)):
        known = ~np.isnan(rows[column])
        fixes[column] = np.where(known, rows[column], 0)
        fixes["known"][known] |= np.uint8(bit)
    return FixBatch(fixes)
