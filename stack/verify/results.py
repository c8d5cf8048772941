"""The results of a run, as plain values that can be compared."""

from typing import NamedTuple

TIMER = "timer"


class StoredFix(NamedTuple):
    """A fix as it is stored: (tracker_id, time_us, seq) is its identity."""

    tracker_id: str
    time_us: int
    seq: int
    asset_id: str | None
    lat: float
    lon: float
    suspect: bool
    rollover: bool = False


class StoredVisit(NamedTuple):
    """One stay of an asset in a zone; what belongs to its end is None while it lasts."""

    visit_id: str
    asset_id: str
    zone_id: str
    zone_version: int
    entered_us: int
    entry_cause: str
    entry_inferred: str | None
    dwelled_us: int | None
    left_us: int | None
    exit_cause: str | None
    exit_inferred: str | None
    overspeed_us: int | None = None

    def as_stay(self) -> "Stay":
        return Stay(*self[1:])

    def until(self, instant_us: int) -> "StoredVisit":
        """Return the visit as it was before the deadlines after that instant passed."""
        visit = self
        if visit.dwelled_us is not None and visit.dwelled_us > instant_us:
            visit = visit._replace(dwelled_us=None)
        if (
            visit.exit_inferred == TIMER
            and visit.left_us is not None
            and visit.left_us > instant_us
        ):
            visit = visit._replace(left_us=None, exit_cause=None, exit_inferred=None)
        return visit


class Stay(NamedTuple):
    """A visit without its id."""

    asset_id: str
    zone_id: str
    zone_version: int
    entered_us: int
    entry_cause: str
    entry_inferred: str | None
    dwelled_us: int | None
    left_us: int | None
    exit_cause: str | None
    exit_inferred: str | None
    overspeed_us: int | None = None


class AmendedEvent(NamedTuple):
    """asset.visit_amended, which corrects an earlier event; compared like GeofenceEvent."""

    event_id: str
    type: str
    asset_id: str
    zone_id: str
    zone_kind: str
    zone_version: int
    visit_id: str
    change: str
    revision: int
    occurred_us: int
    entered_us: int
    left_us: int | None
    retracted: bool
    late: bool


class GeofenceEvent(NamedTuple):
    """The decided parts of one event: its id and type, and its data but names and detected_at."""

    event_id: str
    type: str
    asset_id: str
    tracker_id: str
    zone_id: str
    zone_kind: str
    zone_version: int
    visit_id: str | None
    transition: str
    occurred_us: int
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None
    distance_m: float
    initial: bool
    inferred: str | None
    late: bool
    cause: str
    dwell_s: float | None


class OverspeedEvent(NamedTuple):
    """asset.overspeed: what is decided about it, as in GeofenceEvent."""

    event_id: str
    type: str
    asset_id: str
    tracker_id: str
    zone_id: str
    zone_kind: str
    zone_version: int
    visit_id: str
    occurred_us: int
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None
    speed_limit_mps: float
    distance_m: float
    late: bool


Event = GeofenceEvent | OverspeedEvent | AmendedEvent


class Quarantined(NamedTuple):
    """A row of quarantine. counts_only: it only counts messages beyond the bound of a day."""

    tracker_id: str | None
    reason: str
    seen: int
    counts_only: bool
