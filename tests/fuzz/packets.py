"""Packets that devices send, in each version, valid and subtly wrong.

Inputs of the fuzzers name them by their place, so new ones are added at the end.
"""

from functools import cache

from tests.mqtt.server.packets import (
    ACK,
    DISCONNECT,
    PINGREQ,
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

_EVERY_PROPERTY = (
    b"\x01\1\x02\0\0\0\1\x03" + string("json") + b"\x08" + string("r") + b"\x09" + string("id")
    + b"\x23\0\1\x26" + string("k") + string("v")
)  # fmt: skip


@cache
def packets(version: int) -> dict[str, bytes]:
    """Name to packet."""
    will = properties(version, b"\x18\0\0\0\1") + string("w") + string("gone")
    login = string("user") + string("secret")
    of_5 = version == 5
    return {
        "CONNECT": connect(version),
        "CONNECT, everything": connect(
            version,
            flags=0xC6,
            props=b"\x21\0\x10\x27\0\0\x10\0\x17\1\x11\0\0\0\x05" if of_5 else b"",
            rest=will + login,
        ),
        "CONNECT, session kept": connect(version, flags=0xC0, keepalive_s=0, rest=login),
        "CONNECT, small client": connect(
            version, props=b"\x21\0\1\x27\0\0\0\x80\x17\0" if of_5 else b""
        ),
        "CONNECT, no client id": connect(version, client_id="", flags=0),
        "CONNECT, level 6": connect(version, level=6),
        "CONNECT, other name": connect(version, name="MQTX"),
        "CONNECT, reserved flag": connect(version, flags=0x03),
        "CONNECT, will of QoS 3": connect(version, flags=0x1E, rest=will),
        "CONNECT, password alone": connect(version, flags=0x42, rest=string("secret")),
        "CONNECT, id is not UTF-8": connect(version, client_id=b"\xff"),
        "CONNECT, too much": connect(version, rest=b"x"),
        "CONNECT, method": connect(version, props=b"\x15" + string("X") if of_5 else b""),
        "CONNECT, maximum 0": connect(version, props=b"\x21\0\0" if of_5 else b""),
        "PUBLISH, QoS 0": publish(version, None, b"{}"),
        "PUBLISH, QoS 1": publish(version, 1, b"y" * 90, topic="trackers/ä/fixes"),
        "PUBLISH, properties": publish(version, 2, props=_EVERY_PROPERTY if of_5 else b""),
        "PUBLISH, alias": publish(version, 2, topic="", props=b"\x23\0\1"),
        "PUBLISH, QoS 2": publish(version, 3, qos=2),
        "PUBLISH, QoS 2 again": publish(version, 3, qos=2, flags=8),
        "PUBLISH, empty": publish(version, 4, b""),
        "PUBLISH, longest": publish(version, 6, b"z" * 300),
        "PUBLISH, oversize": publish(version, 5, b"z" * 301),
        "PUBLISH, too long": publish(version, 5, b"z" * 2000),
        "PUBLISH, id 0": publish(version, 0),
        "PUBLISH, QoS 3": packet(0x36, string("t"), b"\0\1", properties(version)),
        "PUBLISH, DUP with QoS 0": publish(version, None, flags=8),
        "PUBLISH, wildcard": publish(version, 1, topic="t/#"),
        "PUBLISH, no topic": publish(version, 1, topic=""),
        "PUBLISH, U+0000": publish(version, 1, topic="t\0"),
        "PUBLISH, surrogate": publish(version, 1, topic=b"t\xed\xa0\x80"),
        "PUBLISH, topic beyond the end": packet(0x32, b"\0\x09t\0\1"),
        "PUBLISH, nothing": packet(0x30),
        "PUBLISH, longer form of a length": b"\x30\x85\x00" + string("t") + b"12",
        "PUBLISH, properties beyond the end": packet(0x32, string("t"), b"\0\1\x05\1\1"),
        "PUBLISH, property twice": publish(version, 1, props=b"\1\1\1\1"),
        "PUBLISH, alias 5": publish(version, 1, props=b"\x23\0\5"),
        "PUBLISH, correlation": publish(version, 1, props=b"\x09" + string("k" * 40)),
        "PUBACK": puback(1),
        "PUBACK, reason": packet(0x40, b"\0\1\x80\0" if of_5 else b"\0\1"),
        "PUBREC": packet(0x50, b"\0\1"),
        "PUBREL": pubrel(3),
        "PUBREL, DUP": packet(0x6A, b"\0\3"),
        "PUBREL, flags": packet(0x60, b"\0\3"),
        "PUBREL, id 0": pubrel(0),
        "SUBSCRIBE": subscribe(version, (ACK, 1), ("other", 0)),
        "SUBSCRIBE, own": subscribe(version, (ACK, 0), ("trackers/trk_1/#", 2)),
        "SUBSCRIBE, wrong": subscribe(version, ("$share/g/t", 1), ("a#", 0), ("", 0)),
        "SUBSCRIBE, none": subscribe(version),
        "SUBSCRIBE, QoS 3": subscribe(version, ("t", 3)),
        "SUBSCRIBE, id": packet(0x82, b"\0\x09", b"\2\x0b\1", string("t"), b"\1"),
        "UNSUBSCRIBE": unsubscribe(version, ACK, "never"),
        "UNSUBSCRIBE, none": unsubscribe(version),
        "PINGREQ": PINGREQ,
        "PINGREQ, content": packet(0xC0, b"x"),
        "DISCONNECT": DISCONNECT,
        "DISCONNECT, with will": packet(0xE0, b"\x04" if of_5 else b""),
        "DISCONNECT, expiry": packet(0xE0, b"\0\5\x11\0\0\0\1" if of_5 else b""),
        "AUTH": packet(0xF0, b"\x18\0"),
        "packet 0": packet(0x00),
        "CONNACK": packet(0x20, b"\0\0"),
        "length of five bytes": b"\x30\xff\xff\xff\xff\1",
        "4 MiB and a byte": b"\x32\x81\x80\x80\2",
        "PUBREL, too much": packet(0x62, b"\0\3\0\0x" if of_5 else b"\0\3\0"),
        "PUBACK, too much": packet(0x40, b"\0\1\0\0x" if of_5 else b"\0\1\0"),
        "DISCONNECT, too much": packet(0xE0, b"\0\0x" if of_5 else b"\0"),
    }
