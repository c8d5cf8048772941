"""What a decision depends on, as of one revision: trackers, assets, assignments and zones.

The database numbers every change (`db.revision`). Each ingest transaction compares that number with
`Registry.revision`; where it has moved on, the batch is planned again after `take`. Belongs to one
thread at a time.

UUIDs become ordinals here, which index arrays and appear in the columns of a batch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.registry import AssetRow, RegistryChanges, TrackerRow, ZoneVersionRow
from geofence import rules
from geofence.geojson import read_shape
from geofence.index import ZoneIndex, ZoneVersion
from geofence.policy import Policy
from geofence.rules import Gates, Rules
from geofence.schedule import parse_schedule
from ingest.assignments import Assignments
from ingest.ordinals import Ordinals
from telemetry.fix import FixBatch
from telemetry.ids import format_id
from telemetry.topics import fixes_topic, packed_topic

UNKNOWN = -1

# By class of asset: how fast it may be before a fix is held to be wrong, metres per second.
MAX_SPEED_MPS = {"aircraft": 1_000.0, "vessel": 50.0, "person": 45.0}


@dataclass(frozen=True, slots=True)
class ZoneFacts:
    """What an event says of a zone."""

    name: str
    policy: Policy


class Registry:
    """Changed by `take` only. Knows nothing and has revision -1 until then."""

    def __init__(self) -> None:
        self.revision = -1
        self.organizations = Ordinals()
        self.trackers = Ordinals()
        self.assets = Ordinals()
        self.zones = Ordinals()
        self.index = ZoneIndex([])
        self._senders: dict[str, int] = {}
        self._organization_of: list[int] = []  # by tracker
        self._organization_of_array = np.empty(0, np.int32)
        self._revoked: set[int] = set()
        self._asset_rows: dict[int, AssetRow] = {}
        self._zone_facts: dict[tuple[int, int], ZoneFacts] = {}
        self._assignments = Assignments()
        self._max_speed_mps: list[float] = []  # by asset
        self.gates = Gates.default()

    def take(self, changes: RegistryChanges) -> None:
        """Brings this up to `changes.revision`."""
        for tracker in changes.trackers:
            self._take_tracker(tracker)
        self._organization_of_array = np.array(self._organization_of, np.int32)
        for asset in changes.assets:
            self._take_asset(asset)
        if changes.assets:
            self.gates = Gates(np.array(self._max_speed_mps))
        for row in changes.assignments:
            span = (row.from_us, row.to_us, self.assets.number(row.asset_id))
            self._assignments.put(self.trackers.number(row.tracker_id), row.assignment_id, span)
        if changes.zone_versions:
            self.index = self.index.with_changes(map(self._take_zone, changes.zone_versions))
        self.revision = changes.revision

    def sender(self, topic: str) -> int:
        """The tracker that may publish on `topic`, UNKNOWN where there is none."""
        return self._senders.get(topic, UNKNOWN)

    def is_revoked(self, tracker: int) -> bool:
        return tracker in self._revoked

    def organization_of(self, tracker: int) -> int:
        """The ordinal of the tracker's organization."""
        return self._organization_of[tracker]

    def resolve(self, batch: FixBatch) -> None:
        """Fills organization and asset of rows whose tracker is known."""
        rows = batch.rows
        rows["organization"] = self._organization_of_array[rows["tracker"]]
        rows["asset"] = self.assigned(rows["tracker"], rows["time_us"])

    def assigned(
        self, tracker: NDArray[np.integer], time_us: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """The asset that each tracker was on at each time, -1 where on none; (n,)."""
        return self._assignments.assets(tracker, time_us, len(self.trackers))

    def asset_name(self, asset: int) -> str:
        return self._asset_rows[asset].name

    def organization_of_asset(self, asset: int) -> int:
        return self.organizations.number(self._asset_rows[asset].org_id)

    def zone_facts(self, zone: int, version: int) -> ZoneFacts:
        return self._zone_facts[zone, version]

    def _take_tracker(self, row: TrackerRow) -> None:
        tracker = self.trackers.number(row.tracker_id)
        if tracker == len(self._organization_of):
            self._organization_of.append(self.organizations.number(row.org_id))
            name = format_id("trk", row.tracker_id)
            self._senders[fixes_topic(name)] = self._senders[packed_topic(name)] = tracker
        if row.revoked:
            self._revoked.add(tracker)
        else:
            self._revoked.discard(tracker)

    def _take_asset(self, row: AssetRow) -> None:
        asset = self.assets.number(row.asset_id)
        self._asset_rows[asset] = row
        missing = asset + 1 - len(self._max_speed_mps)
        self._max_speed_mps += [rules.MAX_SPEED_MPS] * missing
        self._max_speed_mps[asset] = MAX_SPEED_MPS.get(row.asset_class, rules.MAX_SPEED_MPS)

    def _take_zone(self, row: ZoneVersionRow) -> ZoneVersion:
        zone = self.zones.number(row.zone_id)
        self._zone_facts[zone, row.version] = ZoneFacts(row.name, _policy(row))
        return ZoneVersion(
            zone=zone,
            version=row.version,
            organization=self.organizations.number(row.org_id),
            shape=read_shape(row.geometry, radius_m=row.radius_m, width_m=row.width_m),
            valid_from_us=row.valid_from_us,
            valid_to_us=row.valid_to_us,
            rules=Rules(**row.rules),
            remembers_exits=row.kind == "allowed",
        )


def _policy(row: ZoneVersionRow) -> Policy:
    return Policy(
        kind=row.kind,
        alert_on=None if row.alert_on is None else frozenset(row.alert_on),
        schedule=None if row.schedule is None else parse_schedule(row.schedule),
    )
