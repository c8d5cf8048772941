"""The attempts of this process that are not yet added to the statistics of their endpoints.

What a process had counted in the last seconds before it was killed is missing from the statistics;
the attempts themselves are in the log. No I/O and no clock.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from db.delivery.endpoint_hours import CLASSES, CountedHour, duration_class
from telemetry.times import to_us

_HOUR_US = 3_600_000_000


@dataclass(slots=True)
class _Count:
    org_id: UUID
    endpoint_id: UUID
    hour: datetime
    attempts: int = 0
    accepted: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * CLASSES)


class HourCounts:
    """Counts by endpoint and hour."""

    def __init__(self) -> None:
        # By the endpoint's number and the hours since 1970: a UUID takes ten times as long to hash.
        self._counts: dict[tuple[int, int], _Count] = {}

    def count(
        self,
        org_id: UUID,
        endpoint_id: UUID,
        began_us: int,
        *,
        accepted: bool,
        duration_ms: int | None,
    ) -> None:
        """Count an attempt. began_us: since 1970. duration_ms: None where it had no answer."""
        key = endpoint_id.int, began_us // _HOUR_US
        count = self._counts.get(key)
        if count is None:
            hour = datetime.fromtimestamp(key[1] * 3_600, UTC)
            count = self._counts[key] = _Count(org_id, endpoint_id, hour)
        count.attempts += 1
        count.accepted += accepted
        if duration_ms is not None:
            count.durations[duration_class(duration_ms)] += 1

    def waiting(self) -> list[CountedHour]:
        """Return what is to be added. It is forgotten by `added`, once that is done."""
        return [
            CountedHour(
                count.org_id,
                count.endpoint_id,
                count.hour,
                count.attempts,
                count.accepted,
                tuple(count.durations),
            )
            for count in self._counts.values()
        ]

    def added(self, counted: list[CountedHour]) -> None:
        """Forget what was added. Attempts may have been counted meanwhile."""
        for attempts in counted:
            key = attempts.endpoint_id.int, to_us(attempts.hour) // _HOUR_US
            count = self._counts[key]
            count.attempts -= attempts.attempts
            count.accepted -= attempts.accepted
            for place, number in enumerate(attempts.durations):
                count.durations[place] -= number
            if not count.attempts:
                del self._counts[key]
