"""The event asset.visit_amended: a correction of an earlier event about a visit."""

import msgspec

from db.history.events import Event
from geofence.event_data.visits import VisitAmendment
from geofence.late.amendments import AnnouncementKind
from geofence.model.policy import AMENDED
from geofence.model.visit_ids import amendment_event_id
from ingest.events.transition_rows import TransitionRow, visit_of
from ingest.registry.registry import Registry
from telemetry.ids import format_id
from telemetry.times import format_time, to_datetime


def amendment_event(
    step: TransitionRow,
    change: AnnouncementKind,
    revision: int,
    left_us: int | None,
    detected_at: str,
    registry: Registry,
    *,
    late: bool,
) -> Event:
    """Build the event of an amended visit.

    step: the end or the beginning that is another one now. revision: of the visit, from now on.
    left_us: when it ends, None while it lasts.
    """
    visit, facts = visit_of(step, registry), registry.zone_facts(step.zone, step.entered_version)
    data = VisitAmendment(
        visit_id=format_id("vis", visit),
        change=change.value,
        revision=revision,
        asset_id=registry.assets.text(step.asset),
        asset_name=registry.asset_name(step.asset),
        zone_id=registry.zones.text(step.zone),
        zone_name=facts.name,
        zone_kind=facts.policy.kind,
        zone_version=step.entered_version,
        entered_at=format_time(step.entered_us),
        left_at=None if left_us is None else format_time(left_us),
        retracted=change is AnnouncementKind.RETRACTED,
        detected_at=detected_at,
        late=late,
    )
    return Event(
        org_id=registry.organizations[step.organization],
        id=amendment_event_id(visit, revision),
        type=AMENDED,
        occurred_at=to_datetime(step.time_us),
        data=msgspec.json.encode(data).decode(),
    )
