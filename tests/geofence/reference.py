"""The evaluator's rule, one fix after the other, in plain Python: what the fast one must equal.

Containment is shapely's `covers` on fresh geometries and pyproj's distance; there is no index.
"""

from collections.abc import Iterable

import shapely

from geofence.index import MAX_TIME_US, MIN_TIME_US, ZoneVersion
from geofence.shapes import WGS84, Circle
from geofence.transitions import DECISIONS, Cause, Says, Transition, Was
from telemetry.fix import FixBatch

_TABLE = {(d.was, d.says, d.zone_changed): (d.transition, d.cause) for d in DECISIONS}


def covers_one(version: ZoneVersion, lon: float, lat: float) -> bool:
    shape = version.shape
    if isinstance(shape, Circle):
        return WGS84.inv(shape.lon, shape.lat, lon, lat)[2] <= shape.radius_m
    return bool(shapely.from_wkb(shapely.to_wkb(shape.geometry)).covers(shapely.Point(lon, lat)))


class Reference:
    """State and rule in one; `versions` may be replaced between fixes."""

    def __init__(self, versions: Iterable[ZoneVersion]) -> None:
        self.versions = {(v.zone, v.version): v for v in versions}
        self.last: dict[int, tuple] = {}  # asset -> time, seq, lon, lat
        self.visits: dict[int, dict[int, dict]] = {}  # asset -> zone -> opening

    def judge_all(self, batch: FixBatch) -> tuple[list[dict], list[bool]]:
        transitions: list[dict] = []
        late: list[bool] = []
        for row, fix in enumerate(batch.rows):
            late.append(fix["asset"] >= 0 and self._is_late(fix))
            if fix["asset"] >= 0 and not late[-1]:
                transitions += self._judge(row, fix)
        return transitions, late

    def _is_late(self, fix) -> bool:
        last = self.last.get(int(fix["asset"]))
        return last is not None and (int(fix["time_us"]), int(fix["seq"])) <= last[:2]

    def _judge(self, row: int, fix) -> list[dict]:
        asset, at = int(fix["asset"]), int(fix["time_us"])
        last = self.last.get(asset)
        transitions = []
        if last is not None and self._boundary_between(fix, last[0], at):
            transitions += self._step(row, fix, *last[2:], zone_changed=True)
        transitions += self._step(row, fix, float(fix["lon"]), float(fix["lat"]))
        self.last[asset] = (at, int(fix["seq"]), float(fix["lon"]), float(fix["lat"]))
        return transitions

    def _boundary_between(self, fix, after: int, until: int) -> bool:
        return any(
            after < instant <= until
            for v in self.versions.values()
            if v.organization == fix["organization"]
            for instant in (v.valid_from_us, v.valid_to_us)
            if instant not in (MIN_TIME_US, MAX_TIME_US)
        )

    def _step(self, row: int, fix, lon: float, lat: float, zone_changed: bool = False):
        asset, at = int(fix["asset"]), int(fix["time_us"])
        visits = self.visits.setdefault(asset, {})
        inside = {
            v.zone: v
            for v in self.versions.values()
            if v.organization == fix["organization"]
            and v.valid_from_us <= at < v.valid_to_us
            and covers_one(v, lon, lat)
        }
        found = [
            self._exit(row, fix, zone, visits, lon, lat, zone_changed)
            for zone in set(visits) - set(inside)
        ]
        found += [
            self._enter(row, fix, version, visits, lon, lat, zone_changed)
            for zone, version in inside.items()
            if zone not in visits
        ]
        return sorted(
            found, key=lambda t: (t["time_us"], t["transition"] == Transition.ENTER, t["zone"])
        )

    def _enter(self, row, fix, version, visits, lon, lat, zone_changed) -> dict:
        last = self.last.get(int(fix["asset"]))
        was = Was.OUTSIDE if last else Was.UNKNOWN
        transition, cause = _TABLE[was, Says.INSIDE, zone_changed]
        at = int(fix["time_us"])
        if zone_changed:
            at = min(max(version.valid_from_us, last[0]), at)
        visits[version.zone] = {
            "entered_us": at,
            "opening_tracker": int(fix["tracker"]),
            "opening_us": int(fix["time_us"]),
            "opening_seq": int(fix["seq"]),
            "opening_change_us": at if cause == Cause.ZONE_CHANGED else 0,
            "opening_version": version.version,
        }
        place = {"time_us": at, "lat": lat, "lon": lon}
        facts = {"row": row, "asset": int(fix["asset"]), "organization": version.organization}
        what = {"zone": version.zone, "version": version.version}
        kind = {"transition": int(transition), "cause": int(cause)}
        return facts | what | kind | place | visits[version.zone]

    def _exit(self, row, fix, zone, visits, lon, lat, zone_changed) -> dict:
        opening = visits.pop(zone)
        asset, at = int(fix["asset"]), int(fix["time_us"])
        last = self.last.get(asset)
        begun = [v for v in self.versions.values() if v.zone == zone and v.valid_from_us <= at]
        newest = max(begun, key=lambda v: (v.valid_from_us, v.version), default=None)
        in_force = newest is not None and at < newest.valid_to_us
        changed = zone_changed or not in_force
        occurred = at
        if changed and newest is not None:
            boundary = newest.valid_from_us if in_force else newest.valid_to_us
            occurred = min(max(boundary, last[0] if last else at), at)
        if changed and last:
            lon, lat = last[2:]
        transition, cause = _TABLE[Was.INSIDE, Says.OUTSIDE, changed]
        place = {"time_us": occurred, "lat": lat, "lon": lon}
        version = newest.version if newest else opening["opening_version"]
        facts = {"row": row, "asset": asset, "organization": int(fix["organization"])}
        what = {"zone": zone, "version": version}
        return facts | what | {"transition": int(transition), "cause": int(cause)} | place | opening
