"""`data` of the events of a stay: asset.geofence_breach, asset.geofence_dwell, asset.overspeed."""

from uuid import UUID

import msgspec

from geofence.event_data.visits import BreachOrDwell, Overspeed
from geofence.model.transitions import CAUSE_WORDS, INFERRED_WORDS, Cause
from ingest.events.detected import Detection
from ingest.events.transition_rows import TransitionRow
from ingest.registry.registry import Registry, ZoneFacts
from telemetry.ids import format_id


def breach_or_dwell_data(
    transition: TransitionRow,
    word: str,
    visit: UUID | None,
    facts: ZoneFacts,
    detection: Detection,
    registry: Registry,
) -> str:
    """Return the event's `data` as JSON text.

    word: of the transition. visit: None where the asset is in no visit of the zone.
    """
    in_visit = visit is not None and word != "enter"
    breach = BreachOrDwell(
        asset_id=registry.assets.text(transition.asset),
        asset_name=registry.asset_name(transition.asset),
        tracker_id=registry.trackers.text(transition.tracker),
        zone_id=registry.zones.text(transition.zone),
        zone_name=facts.name,
        zone_kind=facts.policy.kind,
        zone_version=transition.version,
        visit_id=None if visit is None else format_id("vis", visit),
        transition=word,
        occurred_at=transition.occurred_at,
        detected_at=detection.at,
        lat=transition.lat,
        lon=transition.lon,
        accuracy_m=transition.accuracy_m,
        speed_mps=transition.speed_mps,
        distance_m=transition.distance_m,
        initial=transition.cause == Cause.INITIAL,
        inferred=INFERRED_WORDS[transition.inferred],
        late=detection.late,
        source=detection.source,
        cause=CAUSE_WORDS[transition.cause],
        dwell_s=(transition.time_us - transition.entered_us) / 1_000_000 if in_visit else None,
    )
    return msgspec.json.encode(breach).decode()


def overspeed_data(
    transition: TransitionRow,
    visit: UUID,
    facts: ZoneFacts,
    detection: Detection,
    registry: Registry,
) -> str:
    """Return the event's `data` as JSON text."""
    assert transition.speed_mps is not None  # it is what the transition tells of
    overspeed = Overspeed(
        asset_id=registry.assets.text(transition.asset),
        asset_name=registry.asset_name(transition.asset),
        tracker_id=registry.trackers.text(transition.tracker),
        zone_id=registry.zones.text(transition.zone),
        zone_name=facts.name,
        zone_kind=facts.policy.kind,
        zone_version=transition.version,
        visit_id=format_id("vis", visit),
        occurred_at=transition.occurred_at,
        detected_at=detection.at,
        lat=transition.lat,
        lon=transition.lon,
        accuracy_m=transition.accuracy_m,
        speed_mps=transition.speed_mps,
        speed_limit_mps=facts.rules["speed_limit_mps"],
        distance_m=transition.distance_m,
        late=detection.late,
        source=detection.source,
    )
    return msgspec.json.encode(overspeed).decode()
