"""Windows: the times in which work went on at the site of an order, and its geofence then."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from operations.work_orders.states import ENDED


class SiteStep(NamedTuple):
    """A transition: the state that a verb leads to. zone_id: the geofence that is kept with it."""

    verb: str
    state: str
    zone_id: UUID | None
    at: datetime


class SiteWindow(NamedTuple):
    """A time in which the machines in a geofence are at the site. until: None where it lasts."""

    zone_id: UUID
    since: datetime
    until: datetime | None = None


def site_windows(steps: Iterable[SiteStep]) -> list[SiteWindow]:
    """Return the windows of a work order from its transitions, the oldest first.

    A start or a resumption opens one for the geofence that the site has then. It lasts until the
    work order ends, times on hold included, or until work goes on at another geofence.
    """
    windows: list[SiteWindow] = []
    is_open = False
    for step in steps:
        begins = step.verb in ("start", "resume")
        if begins and is_open and windows[-1].zone_id == step.zone_id:
            continue
        if is_open and (begins or step.state in ENDED):
            windows[-1] = windows[-1]._replace(until=step.at)
            is_open = False
        if begins and step.zone_id is not None:
            windows.append(SiteWindow(step.zone_id, step.at))
            is_open = True
    return windows
