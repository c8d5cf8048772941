"""One packet of every kind that a broker sends; framing, truncation and state tests run over it."""

import mqtt5

SPOKEN_BY_BROKER: dict[str, mqtt5.Packet] = {
    "CONNACK, bare": mqtt5.ConnAckPacket(),
    "CONNACK, every property": mqtt5.ConnAckPacket(
        session_present=True,
        session_expiry_interval=3600,
        assigned_client_id="auto-1",
        server_keep_alive=20,
        response_info="r/",
        server_reference="other:1883",
        reason_str="welcome",
        receive_max=20,
        topic_alias_max=10,
        max_qos=mqtt5.QoS.AT_LEAST_ONCE,
        retain_available=False,
        max_packet_size=2_097_152,
        user_properties=[("zone", "eu")],
    ),
    "CONNACK, refusing": mqtt5.ConnAckPacket(
        reason_code=mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD
    ),
    "PUBLISH, QoS 0": mqtt5.PublishPacket("trackers/a/fixes", b"{}"),
    "PUBLISH, QoS 1, empty": mqtt5.PublishPacket(
        "t", b"", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1
    ),
    "PUBLISH, QoS 1, every property": mqtt5.PublishPacket(
        "trackers/ä/fixes",
        bytes(range(256)),
        qos=mqtt5.QoS.AT_LEAST_ONCE,
        packet_id=65_535,
        retain=True,
        duplicate=True,
        payload_format_indicator=1,
        message_expiry_interval=60,
        content_type="application/json",
        response_topic="trackers/ä/ack",
        correlation_data=b"\x00\xff",
        subscription_ids=[1, 300],
        user_properties=[("k", "v"), ("k", "w")],
    ),
    "PUBLISH, two length bytes": mqtt5.PublishPacket("t", b"x" * 200),
    "PUBACK": mqtt5.PubAckPacket(7),
    "PUBACK, refusing": mqtt5.PubAckPacket(
        7, reason_code=mqtt5.PubAckReasonCode.QUOTA_EXCEEDED, reason_str="full"
    ),
    "SUBACK": mqtt5.SubAckPacket(9, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]),
    "UNSUBACK": mqtt5.UnsubAckPacket(9, [mqtt5.UnsubAckReasonCode.SUCCESS]),
    "PUBREC": mqtt5.PubRecPacket(3),
    "PUBREL": mqtt5.PubRelPacket(3),
    "PUBCOMP": mqtt5.PubCompPacket(3),
    "PINGRESP": mqtt5.PingRespPacket(),
    "AUTH": mqtt5.AuthPacket(
        reason_code=mqtt5.AuthReasonCode.CONTINUE_AUTHENTICATION,
        authentication_method="SCRAM",
        authentication_data=b"1",
    ),
    "DISCONNECT": mqtt5.DisconnectPacket(),
    "DISCONNECT, with reason": mqtt5.DisconnectPacket(
        reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN, reason_str="bye"
    ),
}


def publish(payload: bytes, packet_id: int | None = None, *, topic: str = "t") -> bytes:
    """Return an encoded PUBLISH; QoS 1 if it has a packet id."""
    qos = mqtt5.QoS.AT_MOST_ONCE if packet_id is None else mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet_id).write()


def connack(*, session_present: bool = False, receive_max: int = 65_535) -> bytes:
    return mqtt5.ConnAckPacket(session_present=session_present, receive_max=receive_max).write()


def puback(packet_id: int) -> bytes:
    return mqtt5.PubAckPacket(packet_id).write()


def suback(qos: int = 1, *, packet_id: int = 65_535) -> bytes:
    return mqtt5.SubAckPacket(packet_id, [mqtt5.SubAckReasonCode(qos)]).write()


def read_all(data: bytes) -> list[mqtt5.Packet]:
    """Return every packet in `data`, which must end with one."""
    packets: list[mqtt5.Packet] = []
    while data:
        packet, size = mqtt5.read(memoryview(data))
        packets.append(packet)
        data = data[size:]
    return packets
