"""The codes with which a WebSocket is closed, as docs/live.md publishes them.

The reason of a close is a JSON object: `{"code": "too_slow", "seq": 17}`. An event stream ends with
the same object.
"""

from typing import NamedTuple

import msgspec

_MOST_REASON_BYTES = 123  # RFC 6455, section 5.5


class Closing(NamedTuple):
    """The reason why a connection ends. seq: the last event that was sent, if events were read."""

    status: int
    code: str
    seq: int | None = None

    def reason(self) -> str:
        """Return the reason as it is sent."""
        members = {"code": self.code} | ({} if self.seq is None else {"seq": self.seq})
        text = msgspec.json.encode(members).decode()
        assert len(text) <= _MOST_REASON_BYTES
        return text


NOT_TEXT = Closing(1003, "not_text")
GOING_AWAY = Closing(1012, "restarting")
BAD_MESSAGE = Closing(4000, "bad_message")
UNAUTHORIZED = Closing(4001, "unauthorized")
TOKEN_EXPIRED = Closing(4002, "token_expired")
PLAN_REQUIRED = Closing(4003, "plan_required")
FORBIDDEN = Closing(4003, "forbidden")
EMPLOYEES_NOT_SHOWN = Closing(4003, "employees_not_shown")
AUTHENTICATION_TIMEOUT = Closing(4005, "authentication_timeout")
TOO_SLOW = Closing(4008, "too_slow")
TOO_MANY_CONNECTIONS = Closing(4009, "too_many_connections")
EVENTS_GONE = Closing(4010, "events_gone")
UNAVAILABLE = Closing(4013, "unavailable")
TOO_MANY_MESSAGES = Closing(4029, "too_many_messages")
