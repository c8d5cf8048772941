"""The bounds in time of open connections."""

from dataclasses import dataclass

from db.core.wakeups import POLL_S


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """All in seconds."""

    authentication_s: float = 10  # from the handshake to a good first message
    expiry_notice_s: float = 60  # before a token expires
    rights_s: float = 2  # between two looks at the rights of all connections
    changed_s: float = 0.05  # between two looks at those whose rights have changed, by wake-ups
    share_s: float = 2  # between two notes of a process which connections it holds
    unchecked_s: float = 30  # that connections stay while their rights cannot be looked up
    stuck_s: float = 15  # without taking enough of what was sent
    lag_s: float = 60  # that a reader who once had all events may be behind
    keep_alive_s: float = 15  # between two signs of life of an event stream
    poll_s: float = POLL_S  # between two looks for new events, without a wake-up
