"""The end of a connection, as an error that says why and whose fault it was."""

from mqtt.errors import AtFault
from mqtt.server.events import Event

NORMAL = 0x00
MALFORMED_PACKET = 0x81
PROTOCOL_ERROR = 0x82
UNSUPPORTED_PROTOCOL_VERSION = 0x84
CLIENT_ID_NOT_VALID = 0x85
BAD_USER_NAME_OR_PASSWORD = 0x86
NOT_AUTHORIZED = 0x87
SERVER_UNAVAILABLE = 0x88
BAD_AUTHENTICATION_METHOD = 0x8C
KEEP_ALIVE_TIMEOUT = 0x8D
TOPIC_FILTER_INVALID = 0x8F
TOPIC_NAME_INVALID = 0x90
PACKET_ID_NOT_FOUND = 0x92
TOPIC_ALIAS_INVALID = 0x94
PACKET_TOO_LARGE = 0x95
QUOTA_EXCEEDED = 0x97
SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
MAXIMUM_CONNECT_TIME = 0xA0
SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1

CAUSES = {
    MALFORMED_PACKET: "malformed packet",
    PROTOCOL_ERROR: "protocol error",
    UNSUPPORTED_PROTOCOL_VERSION: "unsupported protocol version",
    CLIENT_ID_NOT_VALID: "client id not valid",
    BAD_AUTHENTICATION_METHOD: "bad authentication method",
    KEEP_ALIVE_TIMEOUT: "keepalive timeout",
    TOPIC_NAME_INVALID: "topic name invalid",
    TOPIC_ALIAS_INVALID: "topic alias invalid",
    PACKET_TOO_LARGE: "packet too large",
    QUOTA_EXCEEDED: "quota exceeded",
    MAXIMUM_CONNECT_TIME: "connect timeout",
    SUBSCRIPTION_IDS_NOT_SUPPORTED: "subscription ids not supported",
}
"""The reason codes that the server ends a connection with by itself, in words."""


class Violation(Exception):
    """Bytes that the specification or one of our bounds does not allow. It becomes an `Ended`."""

    def __init__(self, reason_code: int, text: str) -> None:
        self.reason_code = reason_code
        self.text = text
        super().__init__(text)


class Ended(Exception):
    """The connection has to be closed, after `output()` was sent; where its state is ENDING, after
    the answers to what came before, and `ServerConnection.end_answered`.

    reason_code: one of `CAUSES`; clients before version 5 do not hear it. text: the details.
    events: what came before the end in the same read; it counts.
    """

    def __init__(self, reason_code: int, text: str, fault: AtFault, events: list[Event]) -> None:
        self.reason_code = reason_code
        self.text = text
        self.fault = fault
        self.events = events
        super().__init__(f"{self.cause}: {text}")

    @property
    def cause(self) -> str:
        """The reason code in words, such as a metric's label."""
        return CAUSES[self.reason_code]
