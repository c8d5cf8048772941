"""The counters of a session: a frozen snapshot for metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionCounters:
    """Totals since the session was made and, in the last group, what is held now.

    `received_bytes` counts payloads, `published_bytes` whole packets.
    """

    connects: int
    disconnects: int
    received: int
    received_bytes: int
    acknowledged: int
    stale_acknowledgements: int
    published: int
    published_bytes: int
    publishes_confirmed: int
    publishes_refused: int
    publishes_dropped: int

    waiting: int
    unacknowledged: int
    held_bytes: int
    publishes_pending: int
    publishes_pending_bytes: int
