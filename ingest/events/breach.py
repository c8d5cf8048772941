"""`data` of the events of a stay: asset.geofence_breach, asset.geofence_dwell, asset.overspeed."""

from uuid import UUID

import msgspec

from geofence.event_data.visits import Alert, Overspeed
from geofence.model.transitions import CAUSE_WORDS, INFERRED_WORDS, Cause
from ingest.events.transition_rows import TransitionRow
from ingest.registry.registry import Registry, ZoneFacts
from telemetry.ids import format_id


def data(
    step: TransitionRow,
    transition: str,
    visit: UUID | None,
    facts: ZoneFacts,
    detected_at: str,
    registry: Registry,
    *,
    late: bool = False,
) -> str:
    """Return the event's `data` as JSON text.

    visit: None where the asset is in no visit of the zone. late: whether a fix out of order made
    the event known.
    """
    in_visit = visit is not None and transition != "enter"
    alert = Alert(
        asset_id=registry.assets.text(step.asset),
        asset_name=registry.asset_name(step.asset),
        tracker_id=registry.trackers.text(step.tracker),
        zone_id=registry.zones.text(step.zone),
        zone_name=facts.name,
        zone_kind=facts.policy.kind,
        zone_version=step.version,
        visit_id=None if visit is None else format_id("vis", visit),
        transition=transition,
        occurred_at=step.occurred_at,
        detected_at=detected_at,
        lat=step.lat,
        lon=step.lon,
        accuracy_m=step.accuracy_m,
        speed_mps=step.speed_mps,
        distance_m=step.distance_m,
        initial=step.cause == Cause.INITIAL,
        inferred=INFERRED_WORDS[step.inferred],
        late=late,
        cause=CAUSE_WORDS[step.cause],
        dwell_s=(step.time_us - step.entered_us) / 1_000_000 if in_visit else None,
    )
    return msgspec.json.encode(alert).decode()


def overspeed_data(
    step: TransitionRow,
    visit: UUID,
    facts: ZoneFacts,
    detected_at: str,
    registry: Registry,
    *,
    late: bool,
) -> str:
    """Return the event's `data` as JSON text. late: whether a fix out of order made the event
    known.
    """
    assert step.speed_mps is not None  # it is what the step tells of
    overspeed = Overspeed(
        asset_id=registry.assets.text(step.asset),
        asset_name=registry.asset_name(step.asset),
        tracker_id=registry.trackers.text(step.tracker),
        zone_id=registry.zones.text(step.zone),
        zone_name=facts.name,
        zone_kind=facts.policy.kind,
        zone_version=step.version,
        visit_id=format_id("vis", visit),
        occurred_at=step.occurred_at,
        detected_at=detected_at,
        lat=step.lat,
        lon=step.lon,
        accuracy_m=step.accuracy_m,
        speed_mps=step.speed_mps,
        speed_limit_mps=facts.rules["speed_limit_mps"],
        distance_m=step.distance_m,
        late=late,
    )
    return msgspec.json.encode(overspeed).decode()
