"""The event asset.visit_amended: a correction of an earlier event about a visit."""

import msgspec

from db.history.events import Event
from geofence.event_data.visits import VisitAmendment
from geofence.late.amendments import AnnouncementKind
from geofence.model.policy import AMENDED
from geofence.model.visit_ids import amendment_event_id
from ingest.events.detected import Detection
from ingest.events.transition_rows import TransitionRow, visit_of
from ingest.registry.registry import Registry
from telemetry.ids import format_id
from telemetry.times import format_time, to_datetime


def amendment_event(
    transition: TransitionRow,
    change: AnnouncementKind,
    revision: int,
    left_us: int | None,
    detection: Detection,
    registry: Registry,
) -> Event:
    """Build the event of an amended visit.

    transition: the end or the beginning that is another one now. revision: of the visit, from now
    on. left_us: when it ends, None while it lasts.
    """
    visit, facts = (
        visit_of(transition, registry),
        registry.zone_facts(transition.zone, transition.entered_version),
    )
    data = VisitAmendment(
        visit_id=format_id("vis", visit),
        change=change.value,
        revision=revision,
        asset_id=registry.assets.text(transition.asset),
        asset_name=registry.asset_name(transition.asset),
        zone_id=registry.zones.text(transition.zone),
        zone_name=facts.name,
        zone_kind=facts.policy.kind,
        zone_version=transition.entered_version,
        entered_at=format_time(transition.entered_us),
        left_at=None if left_us is None else format_time(left_us),
        retracted=change is AnnouncementKind.RETRACTED,
        detected_at=detection.at,
        late=detection.late,
        source=detection.source,
    )
    return Event(
        org_id=registry.organizations[transition.organization],
        id=amendment_event_id(visit, revision),
        type=AMENDED,
        occurred_at=to_datetime(transition.time_us),
        data=msgspec.json.encode(data).decode(),
        is_for_webhooks=detection.is_for_webhooks,
    )
