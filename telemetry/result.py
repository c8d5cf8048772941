"""Results of messages after COMMIT: a closed list of codes."""

from __future__ import annotations

from enum import IntEnum

from telemetry.rejection import Reason


class Result(IntEnum):
    """The code of one message. A refused message is in quarantine."""

    STORED = 0
    """At least one fix or punch of the message is stored, by this message or before."""
    UNDECODABLE = 1
    NO_POSITION = 2
    BAD_COORDINATE = 3
    FUTURE = 4
    ANCIENT = 5
    UNKNOWN_TRACKER = 6
    REVOKED_TRACKER = 7
    RATE = 8
    OVERSIZE = 9
    REFUSED_BY_DATABASE = 10
    WRONG_TOPIC = 11
    CONFLICT = 12
    UNKNOWN_EMPLOYEE = 13
    BEYOND_QUARANTINE = 255
    """Refused, and counted only: the bound of the quarantine was reached."""

    @classmethod
    def of(cls, reason: Reason) -> Result:
        """Return the code of a message that is refused for `reason`."""
        return cls[reason.name]
