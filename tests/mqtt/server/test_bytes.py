"""Whatever bytes come, however they are cut: the same events, `Ended` and nothing else, bounded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt.server import Connect, Ended, Event, Publish, ServerConnection, ServerOptions
from tests.mqtt.server.packets import (
    ACK,
    DISCONNECT,
    PINGREQ,
    VERSIONS,
    accept,
    connect,
    packet,
    properties,
    puback,
    publish,
    pubrel,
    string,
    subscribe,
    unsubscribe,
)

each_version = pytest.mark.parametrize("version", VERSIONS)
SMALL = ServerOptions(
    max_payload_bytes=300, max_packet_bytes=2000, max_head_bytes=200, waiting_max_bytes=10_000
)
Seen = tuple[list[Event], bytes, int | None]
"""Events, all output, and the reason of the end."""


def dialogue(version: int) -> dict[str, bytes]:
    """Return one packet of every kind that a device sends, in an order that makes sense."""
    rest = properties(version, b"\x18\0\0\0\1") + string("w") + string("gone")
    rest += string("user") + string("secret")
    props = b"\x21\0\x10\x27\0\0\x10\0\x17\1" if version == 5 else b""
    every = b"\x01\1\x02\0\0\0\1\x03" + string("json") + b"\x08" + string("r") + b"\x09"
    every += string("id") + b"\x23\0\1\x26" + string("k") + string("v")
    return {
        "CONNECT": connect(version, flags=0xC6, props=props, rest=rest),
        "SUBSCRIBE": subscribe(version, (ACK, 1), ("other", 0)),
        "PUBLISH, QoS 0": publish(version, None, b"{}"),
        "PUBLISH, QoS 1": publish(version, 1, b"y" * 200, topic="trackers/ä/fixes"),
        "PUBLISH, properties": publish(version, 2, props=every),
        "PUBLISH, QoS 2": publish(version, 3, qos=2),
        "PUBLISH, empty": publish(version, 4, b""),
        "PUBLISH, oversize": publish(version, 5, b"z" * 301),
        "PUBLISH, long, but not too long": publish(version, 6, b"z" * 300),
        "PUBREL": pubrel(3),
        "PUBACK": puback(1),
        "PINGREQ": PINGREQ,
        "UNSUBSCRIBE": unsubscribe(version, ACK, "never"),
        "DISCONNECT": DISCONNECT,
    }


def seen(pieces: list[bytes], *, bound: int | None = None, settle: bool = False) -> Seen:
    """Sign everybody in at once on a connection that is fed, and settle everything at
    once or not.
    """
    connection = ServerConnection(SMALL, 0.0)
    events: list[Event] = []
    output = b""
    try:
        for piece in pieces:
            new = connection.receive(piece, 0.0)
            events += new
            if new and isinstance(new[-1], Connect):
                events += accept(connection)
            for event in events if settle else ():
                if isinstance(event, Publish):
                    connection.settle(event.number)
            output += connection.output()
            if bound is not None:
                assert connection.held_bytes <= bound
    except Ended as ended:
        assert connection.held_bytes == 0
        return events + ended.events, output + connection.output(), ended.reason_code
    return events, output, None


@each_version
def test_byte_by_byte_is_the_same_as_all_at_once(version: int):
    data = b"".join(dialogue(version).values())
    whole = seen([data])
    assert whole[2] is None
    assert len(whole[0]) == 11  # all but PUBREL, PUBACK and PINGREQ
    assert seen([bytes((byte,)) for byte in data]) == whole


@given(st.sampled_from(VERSIONS), st.lists(st.integers(0, 5000)))
def test_any_pieces_give_the_same(version: int, cuts: list[int]):
    data = b"".join(dialogue(version).values())
    edges = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    assert seen([data[a:b] for a, b in pairwise(edges)]) == seen([data])


@each_version
@pytest.mark.parametrize("name", dialogue(4))
def test_every_truncation_waits_and_the_rest_completes_it(version: int, name: str):
    data = dialogue(version)[name]
    before = b"" if name == "CONNECT" else dialogue(version)["CONNECT"]
    expected = seen([before, data])
    for cut in range(1, len(data)):
        half = seen([before, data[:cut]])
        assert half == seen([before])
        assert seen([before, data[:cut], data[cut:]]) == expected


@each_version
@pytest.mark.parametrize("name", dialogue(4))
def test_every_byte_that_is_missing_is_survived(version: int, name: str):
    packets = dialogue(version)
    data = packets[name]
    before = b"" if name == "CONNECT" else packets["CONNECT"]
    for cut in range(len(data)):
        seen([before, data[:cut] + data[cut + 1 :] + PINGREQ * 200], bound=2000, settle=True)


@each_version
@pytest.mark.parametrize("name", ["CONNECT", "SUBSCRIBE", "PUBLISH, properties", "UNSUBSCRIBE"])
def test_a_packet_whose_length_is_right_and_whose_content_is_cut_ends_the_connection(
    version: int, name: str
):
    packets = dialogue(version)
    data = packets[name]
    head, content = data[0], data[2:] if data[1] < 128 else data[3:]
    before = b"" if name == "CONNECT" else packets["CONNECT"]
    payload_bytes = 1 if name.startswith("PUBLISH") else 0
    for size in range(len(content) - payload_bytes):
        reason_code = seen([before, packet(head, content[:size])])[2]
        is_whole = name == "UNSUBSCRIBE" and size == len(content) - len(string("never"))
        is_whole |= name == "SUBSCRIBE" and size == len(content) - len(string("other")) - 1
        assert (reason_code is None) is is_whole, size


@each_version
def test_every_byte_changed_to_any_other_is_survived(version: int):
    packets = dialogue(version)
    for name in ("CONNECT", "SUBSCRIBE", "PUBLISH, properties", "PUBREL", "DISCONNECT"):
        data = packets[name]
        before = b"" if name == "CONNECT" else packets["CONNECT"]
        for at in range(len(data)):
            for byte in (0, 1, 0x23, 0x7F, 0x80, 0xFF, data[at] ^ 1, data[at] ^ 0x10):
                seen([before, data[:at] + bytes((byte,)) + data[at + 1 :]], bound=2000, settle=True)


@given(st.lists(st.binary(max_size=600), max_size=10))
def test_any_bytes_raise_nothing_but_ended_and_hold_little(pieces: list[bytes]):
    seen(pieces, bound=1500, settle=True)


PLAUSIBLE = st.one_of(
    st.sampled_from([piece for version in VERSIONS for piece in dialogue(version).values()]),
    st.builds(packet, st.integers(0, 255), st.binary(max_size=400)),
    st.builds(
        lambda flags, topic, rest: packet(0x30 | flags, string(topic), rest),
        st.integers(0, 15),
        st.binary(max_size=5),
        st.binary(max_size=30),
    ),
    st.binary(max_size=20),
)


@given(st.sampled_from(VERSIONS), st.lists(PLAUSIBLE, max_size=20), st.integers(1, 700))
def test_plausible_bytes_raise_nothing_but_ended_and_hold_little(
    version: int, parts: list[bytes], size: int
):
    data = dialogue(version)["CONNECT"] + b"".join(parts)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    seen(pieces, bound=1500, settle=True)
    assert seen(pieces) == seen([bytes((byte,)) for byte in data])
