"""The bounds of a connection and what the server announces."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Bounds of one connection. They are the same for all connections of a port."""

    receive_maximum: int = 64
    """Messages of QoS 1 and 2 that a client may have unanswered. Version 5 is told so. Beyond,
    whatever the version, `is_full` says that reading should pause.
    """
    topic_alias_maximum: int = 4
    aliased_max_characters: int = 256
    """A longer topic, which is none of ours, is not remembered."""
    max_payload_bytes: int = 512 * 1024
    """A longer payload is read past and handed out as `oversize_bytes`."""
    max_packet_bytes: int = 4 * 1024 * 1024
    """A longer packet ends the connection."""
    max_head_bytes: int = 72 * 1024
    """Bound of a PUBLISH without its payload, and of every other packet."""
    max_filters: int = 8
    max_filter_bytes: int = 256
    session_expiry_max_s: int = 7 * 24 * 3600
    connect_limit_s: float = 10.0
    """How long a client may take from its connection to its CONNECT."""
    keepalive_max_s: int = 1200
    """A longer keepalive, or none, becomes this in version 5 (Server Keep Alive)."""
    idle_limit_s: float = 3600.0
    """The same for the older versions, to which the server cannot tell a keepalive."""
    correlation_max_bytes: int = 256
    """Longer correlation data is dropped."""
    waiting_max_bytes: int = 64 * 1024
    """What may follow CONNECT before it is answered."""
    unread_max_bytes: int = 64 * 1024
    """Output that may wait to be taken."""
    receipts_max: int = 64
    """Receipts that wait for the client or for its PUBACK."""
