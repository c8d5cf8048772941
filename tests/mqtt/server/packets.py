"""Packets of devices in every version, written by hand so that they can also be wrong."""

from mqtt.server import Connect, Event, ServerConnection, ServerOptions

VERSIONS = (3, 4, 5)
ACK = "trackers/trk_1/ack"


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(2, "big") + data


def varint(value: int) -> bytes:
    written = bytearray()
    while True:
        value, byte = divmod(value, 128)
        written.append(byte | (128 if value else 0))
        if not value:
            return bytes(written)


def packet(head: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return bytes((head,)) + varint(len(body)) + body


def properties(version: int, content: bytes = b"") -> bytes:
    return varint(len(content)) + content if version == 5 else b""


def connect(
    version: int = 5,
    *,
    client_id: str | bytes = "c",
    flags: int = 0x02,
    keepalive_s: int = 60,
    props: bytes = b"",
    rest: bytes = b"",
    level: int | None = None,
    name: str | None = None,
    head: int = 0x10,
) -> bytes:
    protocol = name if name is not None else ("MQIsdp" if version == 3 else "MQTT")
    return packet(
        head,
        string(protocol),
        bytes((version if level is None else level, flags)),
        keepalive_s.to_bytes(2, "big"),
        properties(version, props),
        string(client_id),
        rest,
    )


def publish(
    version: int,
    packet_id: int | None = None,
    payload: bytes = b"x",
    *,
    topic: str | bytes = "t",
    props: bytes = b"",
    qos: int | None = None,
    flags: int = 0,
) -> bytes:
    """Encode a PUBLISH with QoS 1 if it has a packet id. flags: DUP and RETAIN."""
    qos = (0 if packet_id is None else 1) if qos is None else qos
    id_bytes = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    head = 0x30 | qos << 1 | flags
    return packet(head, string(topic), id_bytes, properties(version, props), payload)


def subscribe(version: int, *filters: tuple[str, int], packet_id: int = 9) -> bytes:
    pairs = b"".join(string(pattern) + bytes((qos,)) for pattern, qos in filters)
    return packet(0x82, packet_id.to_bytes(2, "big"), properties(version), pairs)


def unsubscribe(version: int, *filters: str, packet_id: int = 9) -> bytes:
    patterns = b"".join(map(string, filters))
    return packet(0xA2, packet_id.to_bytes(2, "big"), properties(version), patterns)


def puback(packet_id: int) -> bytes:
    return packet(0x40, packet_id.to_bytes(2, "big"))


def pubrel(packet_id: int) -> bytes:
    return packet(0x62, packet_id.to_bytes(2, "big"))


PINGREQ = packet(0xC0)
DISCONNECT = packet(0xE0)


COMMANDS = "trackers/trk_1/phone/cmd"


def is_own(pattern: str) -> bool:
    return pattern.startswith("trackers/trk_1/")


def signed_in(
    version: int,
    options: ServerOptions | None = None,
    *,
    connect_packet: bytes | None = None,
    session_present: bool = False,
    wants_receipts: bool = False,
    command_topic: str | None = None,
) -> ServerConnection:
    """Return a connection after its CONNACK, which is taken."""
    connection = ServerConnection(options or ServerOptions(), 0.0)
    (event,) = connection.receive(connect_packet or connect(version), 0.0)
    assert isinstance(event, Connect)
    accept(
        connection,
        session_present=session_present,
        wants_receipts=wants_receipts,
        command_topic=command_topic,
    )
    assert connection.output()[0] == 0x20
    return connection


def accept(
    connection: ServerConnection,
    *,
    session_present: bool = False,
    wants_receipts: bool = False,
    command_topic: str | None = None,
    client_id: str = "assigned",
) -> list[Event]:
    """Accept and return what has waited."""
    connection.accept(
        session_present=session_present,
        client_id=client_id,
        ack_topic=ACK,
        may_filter=is_own,
        is_command_topic=lambda wanted: wanted == COMMANDS,
        wants_receipts=wants_receipts,
        command_topic=command_topic,
    )
    return connection.receive(b"", 0.0)
