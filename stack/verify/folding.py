"""Visits as a reader of events knows them: what all events together say.

docs/webhooks.md has the same rule in words.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from geofence.model.policy import AMENDED, BREACH
from telemetry.times import parse_time_us

_HOURS_BEGAN = "schedule_started"  # tells of a visit that goes on, or of none


class Folded(NamedTuple):
    """A visit. left_us: None as long as no event says that it has ended. is_entered: whether an
    event told of its enter.
    """

    asset_id: str
    zone_id: str
    entered_us: int
    left_us: int | None
    is_entered: bool


def fold(events: Iterable[Mapping[str, Any]]) -> dict[str, Folded]:
    """Return the visits by id that follow from the events, which come by rising seq.

    An exit of a visit whose beginning was no event (a zone or a tracker was changed) says by its
    `dwell_s` when it began.
    """
    visits: dict[str, Folded] = {}
    for event in events:
        data, at_us = event["data"], parse_time_us(event["occurred_at"])
        visit_id = data["visit_id"]
        if event["type"] == BREACH and data["cause"] == _HOURS_BEGAN:
            continue
        if event["type"] == AMENDED and data["retracted"]:
            visits.pop(visit_id, None)
        elif event["type"] in (AMENDED, BREACH):
            visits[visit_id] = _changed(visits.get(visit_id), event["type"], data, at_us)
    return visits


def _changed(known: Folded | None, kind: str, data: Mapping[str, Any], at_us: int) -> Folded:
    """Return the visit after an event. An amendment has all of it."""
    of = (data["asset_id"], data["zone_id"])
    is_entered = known is not None and known.is_entered
    left_us = None if known is None else known.left_us
    if kind == AMENDED:
        left_us = None if data["left_at"] is None else parse_time_us(data["left_at"])
        return Folded(*of, parse_time_us(data["entered_at"]), left_us, is_entered)
    if data["transition"] == "enter":
        return Folded(*of, at_us, left_us, is_entered=True)
    if known is None:
        return Folded(*of, at_us - round(data["dwell_s"] * 1e6), at_us, is_entered=False)
    return known._replace(left_us=at_us)
