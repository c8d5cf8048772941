"""Our reading of version 5 is held against the codec, which reads it in its own way.

Where the codec takes what the specification does not allow, the case is named here.
"""

import mqtt5
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mqtt.server import Connect, Ended, Publish, ServerConnection, ServerOptions
from tests.mqtt.server.packets import connect, packet, publish, signed_in, string

codec_may_panic = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def codec_reads(data: bytes) -> mqtt5.Packet | None:
    """Return the packet; None if the codec does not take it."""
    try:
        read, size = mqtt5.read(memoryview(data))
    except (ValueError, IndexError):
        return None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None
    return read if size == len(data) else None


def machine_reads(data: bytes) -> Publish | Ended:
    connection = signed_in(5)
    try:
        (message,) = connection.receive(data, 0.0)
    except Ended as ended:
        return ended
    assert isinstance(message, Publish)
    return message


def codec_is_lax(data: bytes, read: mqtt5.PublishPacket) -> bool:
    """Return whether the specification, or a bound of ours, forbids what the codec took."""
    has_id = read.packet_id is not None
    properties_begin = 2 + (data[1] > 127) + 2 + len(read.topic.encode()) + 2 * has_id
    properties_bytes = len(data) - properties_begin - 1 - len(read.payload)
    strings = [read.topic, read.content_type or "", read.response_topic or ""]
    strings += [part for pair in read.user_properties for part in pair]
    return (
        read.packet_id == 0
        or (read.duplicate and not has_id)
        or bool({"#", "+"} & set(read.topic))
        or any("\0" in text for text in strings)
        or read.payload_format_indicator > 1
        or bool(read.subscription_ids)
        or (read.topic_alias or 0) > 4
        or not read.topic  # no alias is defined here
        or data[properties_begin] != properties_bytes  # properties reach beyond their length
    )


def assert_alike(data: bytes) -> None:
    read, message = codec_reads(data), machine_reads(data)
    if read is None or codec_is_lax(data, read):
        assert isinstance(message, Ended)
        return
    assert isinstance(read, mqtt5.PublishPacket)
    correlation = read.correlation_data
    assert message == Publish(
        0,
        read.topic,
        read.payload,
        int(read.qos),
        correlation if correlation is None or len(correlation) <= 256 else None,
        0,
        read.payload_format_indicator == 1,
        b"" if read.packet_id is None else read.packet_id.to_bytes(2, "big"),
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TOPICS = st.one_of(texts, st.sampled_from(["trackers/trk_1/fixes", "a/#", "+", "ä"]))
properties_of_publish = st.lists(
    st.one_of(
        st.sampled_from([b"\x01\0", b"\x01\1", b"\x02\0\0\0\1", b"\x23\0\1", b"\x23\0\5"]),
        st.builds(lambda text: b"\x03" + string(text), texts),
        st.builds(lambda text: b"\x08" + string(text), texts),
        st.builds(lambda data: b"\x09" + string(data), st.binary(max_size=20)),
        st.builds(lambda k, v: b"\x26" + string(k) + string(v), texts, texts),
        st.sampled_from([b"\x0b\x01", b"\x23\0\0", b"\x11\0\0\0\1", b"\x7e"]),
    ),
    max_size=3,
).map(lambda parts: b"".join(parts)[:120])


@codec_may_panic
@given(
    topic=TOPICS,
    payload=st.binary(max_size=40),
    packet_id=st.one_of(st.none(), st.integers(0, 65_535)),
    props=properties_of_publish,
    flags=st.sampled_from([0, 1, 8, 9]),
)
def test_a_publish_is_read_as_the_codec_reads_it(topic, payload, packet_id, props, flags):
    assert_alike(publish(5, packet_id, payload, topic=topic, props=props, flags=flags))


@codec_may_panic
@given(st.integers(0x30, 0x3F), st.binary(max_size=40))
@example(0x32, string("t") + b"\0\1\x00x")
def test_any_content_of_a_publish_is_read_as_the_codec_reads_it(head: int, content: bytes):
    assert_alike(packet(head, content))


@codec_may_panic
@given(
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3),
    properties_of_publish,
)
def test_a_damaged_publish_is_read_as_the_codec_reads_it(packet_id, damage, props):
    data = bytearray(publish(5, packet_id, b"payload", topic="a/b", props=props))
    for at, byte in damage:
        if at >= 2:
            data[at % (len(data) - 2) + 2] = byte
    assert_alike(bytes(data))


@given(
    client_id=texts,
    username=st.one_of(st.none(), texts),
    password=st.one_of(st.none(), st.binary(max_size=8)),
    clean_start=st.booleans(),
    keep_alive=st.integers(0, 65_535),
    session_expiry=st.integers(0, 604_800),
    will=st.one_of(st.none(), st.tuples(st.sampled_from("ab"), st.binary(max_size=8))),
)
def test_a_connect_that_the_codec_writes_is_read(
    client_id, username, password, clean_start, keep_alive, session_expiry, will
):
    data = mqtt5.ConnectPacket(
        client_id,
        username=username,
        password=password,
        clean_start=clean_start,
        keep_alive=keep_alive,
        session_expiry_interval=session_expiry,
        will=mqtt5.Will(will[0], payload=will[1], qos=mqtt5.QoS.AT_LEAST_ONCE) if will else None,
        user_properties=[("k", "v")],
    ).write()
    connection = ServerConnection(ServerOptions(), 0.0)
    has_nul = "\0" in client_id + (username or "")
    if has_nul:
        with pytest.raises(Ended, match="U\\+0000"):
            connection.receive(data, 0.0)
        return
    (event,) = connection.receive(data, 0.0)
    expected = (client_id, username, password, clean_start, keep_alive, session_expiry)
    assert isinstance(event, Connect)
    assert event[1:7] == expected
    assert (event.will and event.will[:2]) == will


@codec_may_panic
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3))
def test_a_damaged_connect_is_not_taken_where_the_codec_does_not_take_it(damage):
    rest = b"\x05\x18\0\0\0\1" + string("w") + string("gone") + string("user") + string("pass")
    data = bytearray(connect(5, flags=0xC6, props=b"\x11\0\0\0\x05\x21\0\x05", rest=rest))
    for at, byte in damage:
        if at >= 2:
            data[at % (len(data) - 2) + 2] = byte
    connection = ServerConnection(ServerOptions(), 0.0)
    try:
        events = connection.receive(bytes(data), 0.0)
    except Ended:
        return
    assert events
    if connection.version == 5:
        assert isinstance(codec_reads(bytes(data)), mqtt5.ConnectPacket)
