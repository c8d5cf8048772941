"""The history of zones and trackers during a run, and from when to when each entry holds.

Positions stand for things: of a tracker or an asset in the fleet, of a zone in `zone_ids`. Instants
are microseconds since 1970, as the system gave them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from geofence.model.rules import Gates
from geofence.zones.versions import MAX_TIME_US
from stack.scenario.registration import Registered
from stack.scenario.zones import SimZone


@dataclass(frozen=True, slots=True)
class ZoneSpan:
    """A version of a zone, in force in [from_us, to_us)."""

    zone: int
    version: int
    is_like: SimZone
    from_us: int
    to_us: int = MAX_TIME_US


@dataclass(frozen=True, slots=True)
class AssetSpan:
    """A tracker on an asset in [from_us, to_us)."""

    tracker: int
    asset: int
    from_us: int
    to_us: int = MAX_TIME_US


@dataclass(slots=True)
class RunHistory:
    """The history of a run. It begins with what was registered; edits are noted as they are
    answered.

    tags: by asset. rules, gates: the organization's settings, which hold during the whole run;
    rules are those of zones that do not give them.
    """

    tracker_ids: Sequence[str]
    asset_ids: Sequence[str]
    zone_ids: list[str]
    tags: Sequence[Sequence[str]]
    begins_us: int
    zones: list[ZoneSpan] = field(default_factory=list[ZoneSpan])
    assignments: list[AssetSpan] = field(default_factory=list[AssetSpan])
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])
    gates: Gates = field(default_factory=Gates.default)

    @staticmethod
    def of(registered: Registered, zones: Sequence[SimZone]) -> "RunHistory":
        """Return a history in which nothing has changed yet; tracker i is on asset i."""
        begins_us, trackers = registered.valid_from_us, range(len(registered.trackers))
        return RunHistory(
            tracker_ids=[tracker.tracker_id for tracker in registered.trackers],
            asset_ids=registered.asset_ids,
            zone_ids=list(registered.zone_ids),
            tags=registered.tags,
            begins_us=begins_us,
            zones=[ZoneSpan(number, 1, zone, begins_us) for number, zone in enumerate(zones)],
            assignments=[AssetSpan(number, number, begins_us) for number in trackers],
        )

    def zone_begins(self, zone_id: str, is_like: SimZone, at_us: int) -> int:
        """Add a new zone, and return its position."""
        zone = len(self.zone_ids)
        self.zone_ids.append(zone_id)
        self.zones.append(ZoneSpan(zone, 1, is_like, at_us))
        return zone

    def zone_becomes(self, zone: int, is_like: SimZone, at_us: int) -> None:
        """Add the zone's next version."""
        before = self.zone_ends(zone, at_us)
        self.zones.append(ZoneSpan(zone, before.version + 1, is_like, at_us))

    def zone_ends(self, zone: int, at_us: int) -> ZoneSpan:
        """Note that the zone is deleted. Returns its last version."""
        number, newest = max(
            (n, version) for n, version in enumerate(self.zones) if version.zone == zone
        )
        self.zones[number] = replace(newest, to_us=at_us)
        return newest

    def tracker_leaves(self, tracker: int, at_us: int) -> AssetSpan:
        """Take the tracker off its asset, and return that asset."""
        number, newest = max(
            (n, assignment)
            for n, assignment in enumerate(self.assignments)
            if assignment.tracker == tracker
        )
        self.assignments[number] = replace(newest, to_us=at_us)
        return newest

    def tracker_joins(self, tracker: int, asset: int, at_us: int) -> None:
        """Put the tracker on an asset again."""
        self.assignments.append(AssetSpan(tracker, asset, at_us))

    def assigned(self, tracker: int) -> Iterator[AssetSpan]:
        """Return the tracker's assets, in order of time."""
        return (assignment for assignment in self.assignments if assignment.tracker == tracker)
