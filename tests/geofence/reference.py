"""The evaluator's rules in plain Python, one asset and one instant after the other.

Written from what docs/geofence.md promises, for being read: there is no index, and every look-up is
a search through a list. What happens is told as dictionaries with the columns of TRANSITION_DTYPE.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from geofence.model.no_fix_events import Agenda
from geofence.model.rules import COARSE_M, Gates
from geofence.model.transitions import Cause, Inferred, Transition
from geofence.zones.index import ZoneVersion
from geofence.zones.versions import ALL_ASSETS
from telemetry.fix import FixBatch
from tests.geofence.plane import apart_m, covers_one, depth_m, distance_m, met, sure
from tests.geofence.remembered import Asset, Place, Told, Visit, moved_to, place_of


class Reference:
    """State and rules in one; `versions` and `filters` may be replaced between calls."""

    def __init__(self, versions, filters=(), gates: Gates | None = None, agenda=None) -> None:
        self.versions: list[ZoneVersion] = list(versions)
        self.filters = list(filters)
        self.gates = gates or Gates.default()
        self.agenda: Agenda = agenda or Agenda.empty()
        self.assets: dict[int, Asset] = {}

    def evaluate(self, batch: FixBatch, now_us: int) -> Told:
        self.told, self.row = Told(), -1
        for self.row, fix in enumerate(batch.rows):
            late = suspect = False
            if fix["asset"] >= 0:
                late, suspect = self._take(self._asset(int(fix["asset"])), fix)
            self.told.late.append(late)
            self.told.suspect.append(suspect)
        self.row = -1
        for number in self.agenda.move["key"].tolist():
            self._asset(number)
        for asset in self.assets.values():
            self._advance(asset, now_us)
        return self.told

    def _asset(self, number: int) -> Asset:
        return self.assets.setdefault(number, Asset(number))

    # Fixes ----------------------------------------------------------------------------------------

    def _take(self, asset: Asset, fix) -> tuple[bool, bool]:
        """Return whether it is late, and whether it is suspect."""
        identity = int(fix["time_us"]), int(fix["seq"])
        if identity <= asset.newest or identity[0] < asset.clock_us:
            return True, False
        place = place_of(fix)
        asset.organization = int(fix["organization"])
        self._advance(asset, place.time_us)
        asset.newest = identity
        if place.accuracy_m > self.gates.max_accuracy_of(asset.number):
            return False, False
        if asset.good and self._too_fast(asset, asset.good, place):
            return False, not self._is_third_of_a_chain(asset, place)
        asset.suspects = []
        self._judge(asset, place)
        return False, False

    def _too_fast(self, asset: Asset, before: Place, place: Place) -> bool:
        limits = self.gates.max_speed_mps.tolist()
        known = asset.number < len(limits)
        limit = limits[asset.number] if known else self.gates.default_max_speed_mps
        seconds = max(place.time_us - before.time_us, 1_000_000) / 1e6
        far_m = apart_m(before.lon, before.lat, place.lon, place.lat)
        return sure(far_m, limit * seconds) > limit * seconds

    def _is_third_of_a_chain(self, asset: Asset, place: Place) -> bool:
        if asset.suspects and self._too_fast(asset, asset.suspects[-1], place):
            asset.suspects = []
        asset.suspects.append(place)
        if len(asset.suspects) < 3:
            return False
        chain, asset.suspects, asset.joined = asset.suspects, [], False
        self.told.healed += [healed.identity for healed in chain[:2]]
        for each in chain:
            if each.time_us >= asset.clock_us:
                self._judge(asset, each)
        return True

    def _judge(self, asset: Asset, place: Place) -> None:
        told, was_vague = len(self.told.transitions), asset.vague
        for zone in sorted({v.zone for v in self.versions} | set(asset.visits)):
            asset.vague = was_vague  # also where another zone was left by this fix
            version = self._in_force(zone, asset, place.time_us)
            if version is None:
                self._lose(asset, zone, place)
            elif zone in asset.visits:
                self._judge_inside(asset, version, place)
            else:
                self._judge_outside(asset, version, place)
            if version is not None:
                self._judge_speed(asset, version, place)
        news = self.told.transitions[told:]
        asset.vague = was_vague and all(one["transition"] != Transition.EXIT for one in news)
        has_moved = any(one["transition"] != Transition.OVERSPEED for one in news)
        self._settle(asset, place, has_moved=has_moved)

    def _settle(self, asset: Asset, place: Place, *, has_moved: bool) -> None:
        """Set what the next fix will be judged by."""
        if not place.accuracy_m > COARSE_M:
            asset.vague, asset.fine = False, None
        else:
            if asset.good is None:
                asset.vague = True
            elif asset.fine is None and not asset.good.accuracy_m > COARSE_M:
                asset.fine = asset.good
            if asset.fine and (has_moved or not asset.joined or self._apart(asset.fine, place)):
                asset.fine = None
        asset.good, asset.joined = place, True

    def _apart(self, start: Place, place: Place) -> bool:
        """Return whether no zone has to do with the way from one to the other."""
        most_s = max((v.rules.max_gap_seconds for v in self.versions), default=0)
        return place.time_us - start.time_us > most_s * 1_000_000

    def _judge_inside(self, asset: Asset, version: ZoneVersion, place: Place) -> None:
        rules, zone = version.rules, version.zone
        says = _said(version, place)
        if says == "unsure":
            return
        if says == "inside" or _in_margin(version, place):
            asset.runs.pop(zone, None)
            return
        run = asset.runs.setdefault(zone, [])
        run.append(place)
        if _holds(run, rules.exit_confirm_fixes, rules.exit_confirm_seconds):
            at_us = max(run[0].time_us, asset.visits[zone].entered_us)
            self._exit(asset, zone, replace(run[0], time_us=at_us), Cause.MOVED)

    def _judge_speed(self, asset: Asset, version: ZoneVersion, place: Place) -> None:
        visit, limit_mps = asset.visits.get(version.zone), version.rules.speed_limit_mps
        if visit is None or visit.overspeed or limit_mps is None:
            return
        is_inside = _said(version, place) == "inside"
        if is_inside and place.speed_mps > float(np.float32(limit_mps)):
            visit.overspeed = True
            self._tell(asset, version.zone, Transition.OVERSPEED, place, Cause.MOVED, Inferred.NONE)

    def _judge_outside(self, asset: Asset, version: ZoneVersion, place: Place) -> None:
        rules, zone = version.rules, version.zone
        says = _said(version, place)
        if says == "unsure":
            return
        if says == "outside":
            if zone not in asset.runs:
                self._pass_through(asset, version, place)
            asset.runs.pop(zone, None)
            return
        is_unknown = zone not in asset.runs and self._is_unknown(asset, version)
        run = asset.runs.setdefault(zone, [])
        run.append(place)
        if is_unknown:
            self._enter(asset, zone, place, Cause.INITIAL, place.identity)
        elif _holds(run, rules.enter_confirm_fixes, rules.enter_confirm_seconds):
            self._enter(asset, zone, run[0], Cause.MOVED, run[0].identity)

    def _is_unknown(self, asset: Asset, version: ZoneVersion) -> bool:
        """Return whether nothing has told yet if the asset is in a zone."""
        if asset.good is None:
            return True
        return asset.vague and _said(version, asset.good) == "unsure"

    def _pass_through(self, asset: Asset, version: ZoneVersion, place: Place) -> None:
        rules, good = version.rules, asset.good
        if good is None or not asset.joined:
            return
        if asset.fine and not place.accuracy_m > COARSE_M and not self._apart(asset.fine, place):
            good = asset.fine
        if _is_coarse(version, good) or _is_coarse(version, place):
            return
        if rules.enter_confirm_fixes > 1 or rules.enter_confirm_seconds > 0:
            return
        gap_us = place.time_us - good.time_us
        if rules.max_gap_seconds == 0 or gap_us > rules.max_gap_seconds * 1_000_000:
            return
        if covers_one(version.shape, good.lon, good.lat):
            return  # it was in there, whatever was told of it
        way = met(version.shape, good.lon, good.lat, place.lon, place.lat)
        if way is None or sure(way[2], rules.pass_min_m) < rules.pass_min_m:
            return
        first, last = (_on_the_way(good, place, share) for share in way[:2])
        if self._in_force(version.zone, asset, first.time_us) is not version:
            return
        facts = Cause.MOVED, place.identity, Inferred.SEGMENT
        self._enter(asset, version.zone, first, *facts)
        self._exit(asset, version.zone, last, Cause.MOVED, Inferred.SEGMENT)

    def _lose(self, asset: Asset, zone: int, place: Place) -> None:
        """End a stay whose zone is no more, and nothing told when it ended."""
        if zone in asset.visits:
            at_us = max(place.time_us, asset.visits[zone].entered_us)
            self._exit(asset, zone, replace(asset.good, time_us=at_us), Cause.ZONE_CHANGED)
        asset.runs.pop(zone, None)
        asset.left.discard(zone)

    # What happens without a fix -------------------------------------------------------------------

    def _advance(self, asset: Asset, until_us: int) -> None:
        """Apply what happens without a fix: at one instant zones change first, then trackers, then
        deadlines, then schedules.
        """
        calendar = sorted(self._calendar(asset, max(asset.newest[0], asset.clock_us), until_us))
        while True:
            coming = [(at_us, 2, 0) for at_us in self._deadlines(asset) if at_us <= until_us]
            coming += calendar[:1]
            if not coming:
                return
            at_us, kind, number = event = min(coming)
            if event in calendar:
                calendar.remove(event)
            told, in_the_air = len(self.told.transitions), len(asset.runs) + len(asset.left)
            (self._change, self._move, self._fall_due, self._open)[kind](asset, at_us, number)
            is_told = len(self.told.transitions) > told
            if is_told or len(asset.runs) + len(asset.left) != in_the_air:
                asset.clock_us = max(asset.clock_us, at_us)

    def _calendar(self, asset: Asset, after_us: int, until_us: int) -> Iterator[tuple]:
        marks = {t for v in self.versions for t in (v.valid_from_us, v.valid_to_us)}
        marks |= {t for row in self.filters for t in (int(row["from_us"]), int(row["to_us"]))}
        moves, schedule_starts = self.agenda
        events = [(at_us, 0, 0) for at_us in marks]
        events += [
            (int(m["time_us"]), 1, i) for i, m in enumerate(moves) if m["key"] == asset.number
        ]
        events += [(int(o["time_us"]), 3, i) for i, o in enumerate(schedule_starts)]
        return (event for event in events if after_us < event[0] <= until_us)

    def _change(self, asset: Asset, at_us: int, _: int) -> None:
        """Hold the zones that are others from now on against the last known place."""
        if asset.good is None:
            return
        for zone in {v.zone for v in self.versions}:
            before = self._in_force(zone, asset, at_us - 1)
            now = self._in_force(zone, asset, at_us)
            if before is now:
                continue
            said = _said(before, asset.good) if before else "outside"
            says = _said(now, asset.good) if now else "outside"
            visit = asset.visits.get(zone)
            if says == "unsure":
                continue
            is_inside = says == "inside"
            changes = said != says or before is None or now is None
            if visit and not is_inside and changes:
                there = replace(asset.good, time_us=max(at_us, visit.entered_us))
                self._exit(asset, zone, there, Cause.ZONE_CHANGED)
            elif visit is None and is_inside and said != "inside":
                there = replace(asset.good, time_us=at_us)
                first_fix = asset.good.identity
                self._enter(asset, zone, there, Cause.ZONE_CHANGED, first_fix, change_us=at_us)
            elif bool(visit) == is_inside:
                asset.runs.pop(zone, None)  # the zone says what the run contradicts
            if now is None:
                asset.left.discard(zone)

    def _move(self, asset: Asset, at_us: int, number: int) -> None:
        """Put another tracker on the asset, or none."""
        for zone, visit in list(asset.visits.items()):
            there = replace(asset.good, time_us=max(at_us, visit.entered_us))
            self._exit(asset, zone, there, Cause.REASSIGNED)
        asset.runs, asset.suspects = {}, []
        asset.good, asset.joined, asset.clock_us = None, False, max(asset.clock_us, at_us)
        asset.vague, asset.fine = False, None
        move = self.agenda.move[number]
        if not move["located"]:
            return
        asset.organization, asset.good = int(move["organization"]), moved_to(move["place"])
        asset.newest = max(asset.newest, asset.good.identity[1:])
        asset.vague = asset.good.accuracy_m > COARSE_M
        for zone in {v.zone for v in self.versions}:
            version = self._in_force(zone, asset, at_us)
            if version and _said(version, asset.good) == "inside":
                there, first_fix = replace(asset.good, time_us=at_us), asset.good.identity
                self._enter(asset, zone, there, Cause.REASSIGNED, first_fix, change_us=at_us)

    def _deadlines(self, asset: Asset) -> Iterator[int]:
        for zone in asset.visits:
            yield from self._due(asset, zone).values()

    def _due(self, asset: Asset, zone: int) -> dict[str, int]:
        """Return what is due by the rules in force when something was last known of the asset."""
        known_us = max(asset.newest[0], asset.clock_us)
        version, visit = self._in_force(zone, asset, known_us), asset.visits[zone]
        due: dict[str, int] = {}
        if version is None:
            return due
        if version.rules.dwell_seconds and not visit.dwelled and zone not in asset.runs:
            due["dwell"] = visit.entered_us + round(version.rules.dwell_seconds * 1e6)
        if version.rules.close_after_silence_seconds:
            seconds = version.rules.close_after_silence_seconds
            due["silence"] = asset.newest[0] + round(seconds * 1e6)
        return due

    def _fall_due(self, asset: Asset, at_us: int, _: int) -> None:
        due = {zone: self._due(asset, zone) for zone in asset.visits}
        for zone, visit in list(asset.visits.items()):
            if due[zone].get("dwell") == at_us:
                visit.dwelled = True
                there = replace(asset.good, time_us=at_us)
                self._tell(asset, zone, Transition.DWELL, there, Cause.MOVED, Inferred.TIMER)
            if due[zone].get("silence") == at_us:
                there = replace(asset.good, time_us=max(at_us, visit.entered_us))
                self._exit(asset, zone, there, Cause.SILENCE, Inferred.TIMER)
                asset.joined = False

    def _open(self, asset: Asset, at_us: int, number: int) -> None:
        start = self.agenda.schedule_start[number]
        zone = int(start["zone"])
        if start["key"] != asset.organization or asset.good is None:
            return
        version = self._in_force(zone, asset, at_us)
        if version is None or (not start["inside"] and self._is_unknown(asset, version)):
            return
        if (zone in asset.visits) == start["inside"]:
            there = replace(asset.good, time_us=at_us)
            why = Cause.SCHEDULE_STARTED, Inferred.TIMER
            self._tell(asset, zone, Transition.SCHEDULE, there, *why)

    # Zones and visits -----------------------------------------------------------------------------

    def _in_force(self, zone: int, asset: Asset, at_us: int) -> ZoneVersion | None:
        """Return the version of the zone that bears on the asset at an instant."""
        newest = self._newest_begun(zone, at_us)
        if newest is None or newest.organization != asset.organization:
            return None
        if newest.valid_to_us <= at_us:
            return None
        lets_through = newest.assets == ALL_ASSETS or any(
            (row["filter"], row["asset"]) == (newest.assets, asset.number)
            and row["from_us"] <= at_us < row["to_us"]
            for row in self.filters
        )
        return newest if lets_through else None

    def _newest_begun(self, zone: int, at_us: int) -> ZoneVersion | None:
        begun = [v for v in self.versions if v.zone == zone and v.valid_from_us <= at_us]
        return max(begun, key=lambda v: (v.valid_from_us, v.version), default=None)

    def _enter(
        self, asset, zone, at: Place, cause, first_fix, inferred=Inferred.NONE, change_us=0
    ) -> None:
        begun = self._newest_begun(zone, at.time_us)
        version = begun.version if begun else 0
        asset.visits[zone] = Visit(at.time_us, first_fix, change_us, version)
        asset.runs.pop(zone, None)
        self._tell(asset, zone, Transition.ENTER, at, cause, inferred)

    def _exit(self, asset, zone, at: Place, cause, inferred=Inferred.NONE) -> None:
        self._tell(asset, zone, Transition.EXIT, at, cause, inferred)
        del asset.visits[zone]
        asset.runs.pop(zone, None)
        asset.vague = False
        of_zone = [v for v in self.versions if v.zone == zone]
        newest = max(of_zone, key=lambda v: (v.valid_from_us, v.version), default=None)
        if newest is None or not newest.remembers_exits:
            asset.left.discard(zone)
        elif cause == Cause.MOVED:
            asset.left.add(zone)

    def _tell(self, asset, zone, transition, at: Place, cause, inferred) -> None:
        visit = asset.visits.get(zone)
        begun = self._newest_begun(zone, at.time_us)
        told = {
            "row": self.row,
            "asset": asset.number,
            "zone": zone,
            "version": begun.version if begun else visit.version,
            "organization": asset.organization,
            "transition": int(transition),
            "cause": int(cause),
            "inferred": int(inferred),
            "time_us": at.time_us,
            "lat": at.lat,
            "lon": at.lon,
            "tracker": at.tracker,
            "accuracy_m": at.accuracy_m,
            "speed_mps": at.speed_mps,
        }
        if transition == Transition.ENTER:
            told["returning"] = zone in asset.left
        if visit:
            told |= {
                "entered_us": visit.entered_us,
                "first_fix_tracker": visit.first_fix[0],
                "first_fix_us": visit.first_fix[1],
                "first_fix_seq": visit.first_fix[2],
                "change_us": visit.change_us,
                "entered_version": visit.version,
            }
        self.told.transitions.append(told)


def _is_coarse(version: ZoneVersion, place: Place) -> bool:
    return place.accuracy_m > version.rules.coarse_accuracy_m


def _said(version: ZoneVersion, place: Place) -> str:
    """Return what a coarse fix says: it is inside only half its accuracy deep, outside one and a
    half beyond.
    """
    is_covered = covers_one(version.shape, place.lon, place.lat)
    if not _is_coarse(version, place):
        return "inside" if is_covered else "outside"
    if not is_covered:
        return "unsure" if _in_margin(version, place) else "outside"
    enough_m = place.accuracy_m / 2
    is_deep = sure(depth_m(version.shape, place.lon, place.lat), enough_m) > enough_m
    return "inside" if is_deep else "unsure"


def _in_margin(version: ZoneVersion, place: Place) -> bool:
    """Return whether a place is outside of a zone by no more than its buffer and what the fix's
    accuracy adds.
    """
    rules = version.rules
    margin_m = rules.exit_buffer_m
    if _is_coarse(version, place):
        margin_m += 1.5 * place.accuracy_m
    elif not math.isnan(place.accuracy_m):
        margin_m += min(place.accuracy_m, rules.accuracy_clamp_m)
    if margin_m == 0:
        return False
    return sure(distance_m(version.shape, place.lon, place.lat), margin_m) <= margin_m


def _holds(run: list[Place], fixes: int, seconds: float) -> bool:
    """Return whether a run has this many fixes, and goes on for this long."""
    return len(run) >= fixes and run[-1].time_us - run[0].time_us >= seconds * 1_000_000


def _on_the_way(start: Place, end: Place, share: float) -> Place:
    lat = start.lat + share * (end.lat - start.lat)
    lon = start.lon + share * (end.lon - start.lon)
    at_us = start.time_us + math.floor(share * (end.time_us - start.time_us) + 0.5)
    return Place(end.tracker, at_us, end.seq, lat, lon)
