"""The registry as of one revision: trackers, assets, assignments and zones.

The database numbers every change (`db.core.registry_revision`). Each ingest transaction compares
that number with `Registry.revision`; where it has moved on, the batch is planned again after
`apply`. Belongs to one thread at a time.

UUIDs become ordinals here, which index arrays and appear in the columns of a batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.ingest.registry import (
    AssetFilter,
    AssetRow,
    AssetTagsRow,
    AssignmentRow,
    RegistryChanges,
    SettingsRow,
    TrackerRow,
    ZoneVersionRow,
)
from geofence.judging.evaluator import is_tick
from geofence.judging.state import State
from geofence.model.no_fix_events import SCHEDULE_START_DTYPE, Agenda
from geofence.model.policy import Policy
from geofence.model.rules import MAX_ACCURACY_M, MAX_SPEED_MPS, MAX_SPEED_MPS_OF_CLASS, Gates, Rules
from geofence.model.schedule import parse_schedule
from geofence.zones.index import ZoneIndex, ZoneVersion
from geofence.zones.versions import ALL_ASSETS, MAX_TIME_US, MIN_TIME_US
from ingest.id_index import UNKNOWN, IdIndex
from ingest.registry.assignments import Assignments, AssignmentSpan
from ingest.registry.reassignments import Move, Moves
from ingest.registry.schedule_starts import ScheduleStarts
from ingest.registry.zone_filters import Filters
from telemetry.fix import FixBatch, Known
from telemetry.formats.decode import tracker_of
from telemetry.rollover import DAY_US

_NO_RULES: Mapping[str, Any] = {}  # one for all zones without
_DEFAULT_RULES = Rules()
_NO_SETTINGS = SettingsRow(UUID(int=0), {}, None, {})


@dataclass(frozen=True, slots=True)
class ZoneFacts:
    """Facts of a zone's version beside its shape. rules: those that it gives itself."""

    name: str
    policy: Policy
    rules: Mapping[str, Any]


class Registry:
    """Changed by `apply` only. Knows nothing and has revision -1 until then."""

    def __init__(self) -> None:
        self.revision = -1
        self.organizations = IdIndex("org")
        self.trackers = IdIndex("trk")
        self.assets = IdIndex("ast")
        self.zones = IdIndex("zon")
        self.index = ZoneIndex([])
        self._tracker_of_name: dict[str, int] = {}  # by its id as text
        self._organization_of: list[int] = []  # by tracker
        self._organization_of_array = np.empty(0, np.int32)
        self._revoked: set[int] = set()
        self.wanting_receipts: set[int] = set()  # trackers that are told what became of messages
        self._asset_names: list[str] = []  # by asset, as the next five
        self._organization_of_asset: list[int] = []
        self._asset_classes: list[str] = []
        self._max_speed_mps: list[float] = []
        self._max_accuracy_m: list[float] = []
        self._settings: dict[int, SettingsRow] = {}  # by organization
        self._zone_facts: dict[tuple[int, int], ZoneFacts] = {}
        self._policies: dict[Policy, Policy] = {}
        self.moves = Moves()
        self.schedule_starts = ScheduleStarts()
        self._filters = Filters(self.assets)
        self._assignments = Assignments()
        self._kept_us: dict[int, int] = {}  # by organization: how long fixes are kept
        self.employee_trackers: dict[int, bool] = {}  # whether the employee may be shown
        self.gates = Gates.default()
        self.newest_made_us = MIN_TIME_US  # when the newest zone was made, by the database's clock

    def apply(self, changes: RegistryChanges) -> None:
        """Bring this up to `changes.revision`."""
        for tracker in changes.trackers:
            self._apply_tracker(tracker)
        self._organization_of_array = np.array(self._organization_of, np.int32)
        for settings in changes.settings:
            self._apply_settings(settings)
        for asset in changes.assets:
            self._apply_asset(asset)
        if changes.assets or changes.settings:
            self.gates = Gates(
                max_speed_mps=np.array(self._max_speed_mps, np.float64),
                max_accuracy_m=np.array(self._max_accuracy_m, np.float64),
            )
        for tags in changes.asset_tags:
            self._apply_tags(tags)
        for assignment in changes.assignments:
            self._apply_assignment(assignment)
        self._kept_us = {
            self.organizations.number(row.org_id): row.days * DAY_US for row in changes.retention
        }
        for tracker_id, is_shown in changes.employee_trackers:
            self.employee_trackers[self.trackers.number(tracker_id)] = is_shown
        if changes.zone_versions:
            self.index = self.index.with_changes(map(self._apply_zone, changes.zone_versions))
        if self._filters.changed:
            self.index = self.index.with_filters(self._filters.rows())
        self.revision = changes.revision

    def tracker_of_topic(self, topic: str) -> int:
        """Return the tracker that may publish on `topic`, UNKNOWN where there is none."""
        return self._tracker_of_name.get(tracker_of(topic), UNKNOWN)

    def organizations_of(self, trackers: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the ordinal of the organization of each tracker, UNKNOWN for UNKNOWN; (n,)."""
        of_tracker = np.append(self._organization_of_array, np.int32(UNKNOWN))
        return of_tracker[trackers]

    def is_revoked(self, tracker: int) -> bool:
        return tracker in self._revoked

    def organization_of(self, tracker: int) -> int:
        """Return the ordinal of the tracker's organization."""
        return self._organization_of[tracker]

    def resolve(self, batch: FixBatch) -> None:
        """Fill organization and asset of rows whose tracker is known."""
        rows = batch.rows
        rows["organization"] = self._organization_of_array[rows["tracker"]]
        rows["asset"] = self.assigned(rows["tracker"], rows["time_us"])

    def oldest_us(
        self, tracker: NDArray[np.integer], oldest_us: int, now_us: int
    ) -> int | NDArray[np.int64]:
        """Return the time of the oldest fix that is stored: of all, or for each of the trackers.

        oldest_us: of the installation; organizations keep fixes as long, or shorter.
        """
        if not self._kept_us:
            return oldest_us
        oldest = np.full(len(self.organizations), oldest_us)
        for organization, kept_us in self._kept_us.items():
            oldest[organization] = max(oldest_us, now_us - kept_us)
        return oldest[self._organization_of_array[tracker]]

    def assigned(
        self, tracker: NDArray[np.integer], time_us: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the asset that each tracker was on at each time, -1 where on none; (n,)."""
        return self._assignments.assets(tracker, time_us)

    def ended_assignments(self) -> Iterator[tuple[int, AssignmentSpan]]:
        """Return the assignments that have an end, about assets, with the ordinals of their
        trackers.
        """
        return self._assignments.ended()

    def agenda(
        self, state: State, batch: FixBatch, now_us: int, waiting: Sequence[int] = ()
    ) -> Agenda:
        """Return what happens to assets without a fix or a zone, up to now_us or the last fix.

        waiting: assets that have a backlog, to which nothing happens before it is judged.
        """
        of_all = is_tick(state, now_us)
        fixes_of = batch.rows["asset"]
        moves = self.moves.pending(state, fixes_of, self._assignments, waiting, of_all=of_all)
        if not self.schedule_starts:
            return Agenda(moves, np.empty(0, SCHEDULE_START_DTYPE))
        after_us = min(state.ticked_us, _done_us(state, batch))
        until_us = max(now_us, int(batch.rows["time_us"].max(initial=MIN_TIME_US)))
        return Agenda(moves, self.schedule_starts.between(after_us, until_us))

    def agenda_since(self, asset: int, after_us: int, until_us: int) -> Agenda:
        """Return all that happened to an asset in that time, known or not, that no fix tells."""
        moves = self.moves.since(asset, after_us, until_us)
        return Agenda(moves, self.schedule_starts.between(after_us, until_us))

    def placed_anew(self, batch: FixBatch) -> tuple[dict[int, int], dict[int, int]]:
        """Return since when each asset has to be judged again, and since when places must be looked
        up.

        New fixes of a tracker from before it was put on the asset show that it was elsewhere then;
        the second map has the times since which the places of trackers that were put on assets are
        wanted.
        """
        rows, first_us, unknown = batch.rows, dict[int, int](), dict[int, int]()
        before = self._assignments.before_the_last(rows["tracker"], rows["time_us"])
        for row in rows[before]:
            tracker, time_us, seq = int(row["tracker"]), int(row["time_us"]), int(row["seq"])
            accuracy_m = float(row["accuracy_m"]) if row["known"] & Known.ACCURACY else 0.0
            for from_us, _, asset in self._assignments.of(tracker):
                move = Move(asset, tracker, from_us)
                if from_us <= time_us or accuracy_m > self.gates.max_accuracy_of(asset):
                    continue
                if not self.moves.is_placed(move):
                    unknown[asset] = min(from_us, unknown.get(asset, from_us))
                elif self.moves.is_newer(move, time_us, seq):
                    first_us[asset] = min(from_us, first_us.get(asset, from_us))
        return first_us, unknown

    def asset_name(self, asset: int) -> str:
        return self._asset_names[asset]

    def organization_of_asset(self, asset: int) -> int:
        return self._organization_of_asset[asset]

    def zone_facts(self, zone: int, version: int) -> ZoneFacts:
        return self._zone_facts[zone, version]

    def _apply_tracker(self, row: TrackerRow) -> None:
        tracker = self.trackers.number(row.tracker_id)
        if tracker == len(self._organization_of):
            self._organization_of.append(self.organizations.number(row.org_id))
            self._tracker_of_name[self.trackers.text(tracker)] = tracker
        for is_member, those in (
            (row.revoked, self._revoked),
            (row.receipts, self.wanting_receipts),
        ):
            if is_member:
                those.add(tracker)
            else:
                those.discard(tracker)

    def _apply_asset(self, row: AssetRow) -> None:
        asset = self.assets.number(row.asset_id)
        missing = asset + 1 - len(self._asset_names)
        self._asset_names += [""] * missing
        self._organization_of_asset += [UNKNOWN] * missing
        self._asset_classes += [""] * missing
        self._max_speed_mps += [MAX_SPEED_MPS] * missing
        self._max_accuracy_m += [MAX_ACCURACY_M] * missing
        self._asset_names[asset] = row.name
        self._organization_of_asset[asset] = self.organizations.number(row.org_id)
        self._asset_classes[asset] = row.asset_class
        self._set_gates(asset)

    def _set_gates(self, asset: int) -> None:
        """Set which fixes of the asset take part."""
        of_class = self._asset_classes[asset]
        speed_mps = MAX_SPEED_MPS_OF_CLASS.get(of_class, MAX_SPEED_MPS)
        settings = self._settings.get(self._organization_of_asset[asset], _NO_SETTINGS)
        self._max_speed_mps[asset] = settings.max_speed_mps.get(of_class, speed_mps)
        self._max_accuracy_m[asset] = settings.max_accuracy_m or MAX_ACCURACY_M

    def _apply_settings(self, row: SettingsRow) -> None:
        """Take settings, which hold for what is judged from now on, also in zones
        that are known.
        """
        organization = self.organizations.number(row.org_id)
        self._settings[organization] = row
        for asset, owner in enumerate(self._organization_of_asset):
            if owner == organization:
                self._set_gates(asset)
        own = self.index.organization_of == organization
        if not own.any():
            return
        versions = zip(
            self.index.zone_of[own].tolist(), self.index.version_of[own].tolist(), strict=True
        )
        self.index = self.index.with_rules(
            {key: Rules(**{**row.rules, **self._zone_facts[key].rules}) for key in versions}
        )

    def _apply_tags(self, row: AssetTagsRow) -> None:
        asset = self.assets.number(row.asset_id)
        organization = self.organization_of_asset(asset)
        span = (row.valid_from_us, row.valid_to_us)
        self._filters.put_tags(organization, asset, row.tags, *span)

    def _apply_assignment(self, row: AssignmentRow) -> None:
        tracker, asset = self.trackers.number(row.tracker_id), self.assets.number(row.asset_id)
        organization = self.organization_of(tracker)
        self._assignments.put(tracker, AssignmentSpan(row.from_us, row.to_us, asset))
        move = Move(asset, tracker, row.from_us)
        self.moves.put(organization, move, row.to_us)

    def _apply_zone(self, row: ZoneVersionRow) -> ZoneVersion:
        zone = self.zones.number(row.zone_id)
        organization = self.organizations.number(row.org_id)
        policy = self._policy(row)
        self._zone_facts[zone, row.version] = ZoneFacts(row.name, policy, row.rules or _NO_RULES)
        made_us = row.created_us if row.created_us > row.valid_from_us else MIN_TIME_US
        self.newest_made_us = max(self.newest_made_us, made_us)
        span = (max(made_us, row.valid_from_us), row.valid_to_us)
        self.schedule_starts.put(zone, row.version, organization, policy, span)
        return ZoneVersion(
            zone=zone,
            version=row.version,
            organization=organization,
            shape=row.shape,
            valid_from_us=row.valid_from_us,
            valid_to_us=row.valid_to_us,
            rules=self._rules(organization, row.rules),
            assets=self._filter(organization, row.assets),
            remembers_exits=row.kind == "allowed",
            made_us=made_us,
        )

    def _rules(self, organization: int, own: dict[str, Any]) -> Rules:
        settings = self._settings.get(organization, _NO_SETTINGS)
        return Rules(**settings.rules | own) if settings.rules or own else _DEFAULT_RULES

    def _policy(self, row: ZoneVersionRow) -> Policy:
        """Return the rules as one shared value: nearly all zones share a few."""
        policy = Policy(
            kind=row.kind,
            alert_on=None if row.alert_on is None else frozenset(row.alert_on),
            schedule=None if row.schedule is None else parse_schedule(row.schedule),
        )
        return self._policies.setdefault(policy, policy)

    def _filter(self, organization: int, choice: AssetFilter | None) -> int:
        return ALL_ASSETS if choice is None else self._filters.number(organization, choice)


def _done_us(state: State, batch: FixBatch) -> int:
    """Return an instant up to which what has happened is known, for the assets of the batch.

    After a restart, of all assets.
    """
    rows = batch.rows[batch.rows["asset"] >= 0]
    if state.ticked_us == MIN_TIME_US:
        known = state.assets
    else:
        known = state.assets[np.unique(rows["asset"][rows["asset"] < len(state.assets)])]
    known = known[known["located"]]
    done_us = np.maximum(known["newest_us"], known["clock_us"])
    # of an asset of which nothing is known yet, its fixes tell from when on it matters
    return int(min(done_us.min(initial=MAX_TIME_US), rows["time_us"].min(initial=MAX_TIME_US)))
