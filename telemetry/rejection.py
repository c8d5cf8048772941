"""The reasons why something that arrived is not a stored fix: a closed list of codes, and the
facts.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The code kept with what is put into quarantine."""

    UNDECODABLE = "undecodable"  # not the format, or a field of the wrong type
    NO_POSITION = "no_position"  # lat or lon is missing or null
    BAD_COORDINATE = "bad_coordinate"  # not finite, out of range, or exactly 0,0
    FUTURE = "future"  # more than 5 minutes ahead of its receipt
    ANCIENT = "ancient"  # before 2000-01-01, or older than what is kept
    UNKNOWN_TRACKER = "unknown_tracker"
    REVOKED_TRACKER = "revoked_tracker"
    RATE = "rate"  # more fixes a second than the tracker may send, or more punches in a day
    OVERSIZE = "oversize"  # the message, attributes or note are over the limit
    REFUSED_BY_DATABASE = "refused_by_database"  # a message that never could be stored
    WRONG_TOPIC = "wrong_topic"  # a topic that is not the sender's own, or that nobody has
    CONFLICT = "conflict"  # another place than the fix of the same time and seq that came first
    UNKNOWN_EMPLOYEE = "unknown_employee"  # a punch of nobody in the tracker's organization


@dataclass(frozen=True, slots=True)
class Rejection:
    """One message, or one fix or punch of it, that was refused.

    message: its place in the decoded sequence.
    position: which element of the message's array; None where the message as a whole is refused or
        was one object.
    kind: of a message that nobody understands, in the words of its protocol: of all those of a
        tracker in an hour one is kept, and the others are counted. None: each is kept.
    """

    message: int
    position: int | None
    reason: Reason
    detail: str
    kind: str | None = None
