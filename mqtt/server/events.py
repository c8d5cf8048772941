"""The actions of a client, as values that `ServerConnection.receive` returns."""

from typing import NamedTuple, TypeAlias


class Will(NamedTuple):
    """A message that the client left for the case that it is lost."""

    topic: str
    payload: bytes
    delay_s: int
    """How long it is held back. 0 before version 5."""


class Connect(NamedTuple):
    """A CONNECT. Answer it by `accept` or `refuse`; until then what follows it waits."""

    version: int
    """3 (3.1), 4 (3.1.1) or 5."""
    client_id: str
    """Empty if the server has to assign one."""
    username: str | None
    password: bytes | None
    is_clean: bool
    keepalive_s: int
    """As the client said."""
    session_expiry_s: int
    """At most the longest that we grant. 0: the session ends with the connection."""
    will: Will | None


class Publish(NamedTuple):
    """A message. `settle` its number once it is stored."""

    number: int
    """Counts the messages of the connection from 0."""
    topic: str
    payload: bytes
    """Empty if `oversize_bytes` is not 0."""
    qos: int
    correlation_data: bytes | None = None
    oversize_bytes: int = 0
    """Length of a payload that was too long to be held."""
    is_utf8: bool = False
    """Whether the client said that the payload is text (Payload Format Indicator 1)."""
    packet_id: bytes = b""
    """Its two bytes, as they came; empty with QoS 0."""


class Receipts(NamedTuple):
    """A change in what the client hears: it subscribed or unsubscribed."""

    wanted: bool
    """Whether it wants receipts."""
    command_topic: str | None = None
    """On which it hears commands."""


class Goodbye(NamedTuple):
    """A DISCONNECT. Nothing the client sends after it is looked at; close the connection."""

    with_will: bool
    """Whether the will is due all the same."""
    session_expiry_s: int | None = None
    """The new session expiry, if the client changed it."""


Event: TypeAlias = Connect | Publish | Receipts | Goodbye
