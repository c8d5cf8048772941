"""The transitions that alert: the table, and the questions asked of it.

The words are those of the API and of events: transitions "enter", "exit", "dwell", "overspeed";
causes "moved", "initial", "zone_changed", "reassigned", "silence". An enter and an exit that were
inferred from the segment between two fixes are one passing through, and "pass_through" alone
governs both.
"""

from dataclasses import dataclass
from typing import Literal

from geofence.model.schedule import Schedule, is_open
from geofence.model.transitions import SILENT, Word

BREACH = "asset.geofence_breach"
DWELL = "asset.geofence_dwell"
OVERSPEED = "asset.overspeed"
AMENDED = "asset.visit_amended"

When = Literal["always", "after an exit", "never"]
Alert = Literal["enter", "exit", "pass_through"]
DEFAULT_KIND = "restricted"

# Kind of zone -> what alerts where the zone itself does not say. "After an exit": only where the
# asset has left the zone before, so not when it is seen there for the first time.
DEFAULT_ALERTS: dict[str, dict[Alert, When]] = {
    "restricted": {"enter": "always", "exit": "always", "pass_through": "always"},
    "allowed": {"enter": "after an exit", "exit": "always", "pass_through": "never"},
    "jobsite": {"enter": "never", "exit": "never", "pass_through": "never"},
    "yard": {"enter": "never", "exit": "never", "pass_through": "never"},
    "other": {"enter": "never", "exit": "never", "pass_through": "never"},
}

SILENT_CAUSES = frozenset(cause.word for cause in SILENT)

# (kind of zone, whether the asset is inside when the zone's hours begin) -> what the breach says.
SCHEDULE_START_BREACHES: dict[tuple[str, bool], Literal["enter", "exit"]] = {
    ("restricted", True): "enter",
    ("allowed", False): "exit",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """The purpose of a zone, and the hours in which it matters. Raises ValueError for words that it
    has not.

    alert_on: replaces the table's defaults; None leaves them. schedule: the hours outside which
    nothing alerts; None is always. Neither has an effect on visits.
    """

    kind: str = DEFAULT_KIND
    alert_on: frozenset[str] | None = None
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        if self.kind not in DEFAULT_ALERTS:
            raise ValueError(f"kind must be one of {', '.join(DEFAULT_ALERTS)}")
        known = DEFAULT_ALERTS[self.kind]
        if self.alert_on is not None and not self.alert_on <= known.keys():
            raise ValueError(f"alert_on must be of {', '.join(known)}")


def event_type(
    policy: Policy,
    transition: Word,
    cause: str,
    inferred: str | None,
    time_us: int,
    *,
    left_before: bool,
) -> str | None:
    """Return the type of the event that a transition gives: BREACH, DWELL, OVERSPEED; None for no
    event.

    inferred: "segment" for both halves of a passing through. time_us: when it occurred,
    microseconds since 1970. left_before: the asset has left this zone earlier. A dwell and an
    overspeed are judged by the hours alone: there is none where the zone has no `dwell_seconds`, no
    `speed_limit_mps`.
    """
    if cause in SILENT_CAUSES:
        return None
    if transition == "dwell" or transition == "overspeed":
        kind = DWELL if transition == "dwell" else OVERSPEED
        return kind if _in_hours(policy, time_us) else None
    alert = "pass_through" if inferred == "segment" else transition
    wanted = _wants(policy, alert, left_before=left_before)
    return BREACH if wanted and _in_hours(policy, time_us) else None


def schedule_start_breach(policy: Policy, *, inside: bool) -> Literal["enter", "exit"] | None:
    """Return the transition of the breach of an asset when the zone's hours begin; None for no
    breach.

    Where the zone has an `alert_on`, the transition must be in it.
    """
    transition = SCHEDULE_START_BREACHES.get((policy.kind, inside))
    if policy.schedule is None or transition is None:
        return None
    return transition if _wants(policy, transition, left_before=True) else None


def _wants(policy: Policy, alert: Alert, *, left_before: bool) -> bool:
    if policy.alert_on is not None:
        return alert in policy.alert_on
    when = DEFAULT_ALERTS[policy.kind][alert]
    return when == "always" or (when == "after an exit" and left_before)


def _in_hours(policy: Policy, time_us: int) -> bool:
    return policy.schedule is None or is_open(policy.schedule, time_us)
