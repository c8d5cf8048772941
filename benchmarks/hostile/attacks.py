"""The attacks, one function each, and the table of all (`ATTACKS`).

The victims' trackers have the numbers below `FIRST_TRACKER`; the attackers' organization has
those from there on.
"""

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from benchmarks.common.packets import remaining_length
from benchmarks.common.payloads import tracker_id, tracker_secret
from benchmarks.hostile.box_attacks import (
    endless_line,
    forged_lengths,
    half_logins,
    not_understood,
    slow_logins,
    unknown_datagrams,
    unknown_imeis,
    waiting_for_a_place,
)
from benchmarks.hostile.crowd import (
    Crowd,
    Door,
    Fleet,
    Line,
    Step,
    again_and_again,
    kept,
    packet,
    sign_in,
    text,
)

FIRST_TRACKER = 1_000
TRACKERS = 200
CROSSED_LAT, CROSSED_LON = 10.0, 20.0
BACKLOG_MESSAGES = 26
MIB = 1024 * 1024
PINGREQ = b"\xc0\x00"


@dataclass(frozen=True, slots=True)
class Attack:
    """A row. processes: of attackers, which share what the attack may use of a core. addresses: it
    comes from. seconds: it lasts, where it needs longer than the others. holds: what is in its way.
    door: the port that it comes by.
    """

    step: Step
    name: str
    holds: str
    addresses: int = 16
    processes: int = 1
    seconds: float | None = None
    door: Door = "mqtt"


# Not signed in --------------------------------------------------------------------------------


def silent(crowd: Crowd) -> Iterator[None]:
    """Say nothing."""
    for _ in kept(crowd, 10_000, b""):
        yield


def half_open(crowd: Crowd) -> Iterator[None]:
    """Send half a CONNECT of ordinary size."""
    connect = sign_in(FIRST_TRACKER)
    for _ in kept(crowd, 2_000, connect[: len(connect) // 2]):
        yield


def half_open_long(crowd: Crowd) -> Iterator[None]:
    """Send the longest CONNECT that is taken, but for its last byte, from as many connections as
    there is room for.
    """
    connect = _long_connect(72 * 1024)
    for _ in kept(crowd, 9_500, connect[:-1]):
        yield


def _long_connect(size: int) -> bytes:
    """Return a CONNECT of version 5 that is nearly all user properties."""
    properties = b"\x26\0\0\0\0" * ((size - 200) // 5)
    body = text("MQTT") + b"\x05\xc2\0\0" + remaining_length(len(properties)) + properties
    name = tracker_id(FIRST_TRACKER)
    return packet(0x10, body + text(name) + text(name) + text("wrong"))


def properties_before_sign_in(crowd: Crowd) -> Iterator[None]:
    """CONNECT with 14,000 user properties and a wrong secret."""
    yield from again_and_again(crowd, _long_connect(72 * 1024))


def publish_without_sign_in(crowd: Crowd) -> Iterator[None]:
    """PUBLISH as the first packet."""
    yield from again_and_again(crowd, _publish(FIRST_TRACKER, 1, _fix(0)))


def wrong_secrets(crowd: Crowd) -> Iterator[None]:
    """CONNECT with a wrong secret."""
    yield from again_and_again(crowd, sign_in(FIRST_TRACKER, "wrong"))


def a_byte_a_minute(crowd: Crowd) -> Iterator[None]:
    """Send 1,000 CONNECTs and 100 PUBLISHes that come a byte a second, and one a byte a minute."""
    connect, began_s = sign_in(FIRST_TRACKER), time.monotonic()
    half = kept(crowd, 1_000, connect[:1])
    fleet = Fleet(crowd, range(FIRST_TRACKER + 1, FIRST_TRACKER + 101))
    slow = Fleet(crowd, [FIRST_TRACKER])
    message = _publish(FIRST_TRACKER + 1, 1, _fix(0))
    sent, slow_sent = Counter[Line](), 0
    for tick in count(1):
        for line in next(half):
            line.send(connect[1:2])
        for _, line in fleet.ready():
            line.send(message[sent[line] % len(message) :][:1])
            sent[line] += 1
        for _, line in slow.ready():
            if time.monotonic() - began_s >= 60 * slow_sent:
                line.send(message[slow_sent : slow_sent + 1])
                slow_sent += 1
                crowd.done["bytes of the slowest"] += 1
        due_s = began_s + tick
        while time.monotonic() < due_s:
            crowd.look()
            yield


# By HTTP --------------------------------------------------------------------------------------


def half_heads(crowd: Crowd) -> Iterator[None]:
    """Send half a head of ordinary size."""
    for _ in kept(crowd, 2_000, b"POST /v1/ingest/fixes HTTP/1.1\r\nHost: "):
        yield


def wrong_keys(crowd: Crowd) -> Iterator[None]:
    """Send a body of 500 KiB with a wrong key."""
    yield from again_and_again(crowd, _request("wrong", bytes(500 * 1024)))


def requests(crowd: Crowd) -> Iterator[None]:
    """Let 200 trackers send one fix after the other."""
    lines: dict[int, tuple[Line, int]] = {}
    for number in count():
        for tracker in range(FIRST_TRACKER, FIRST_TRACKER + TRACKERS):
            line, answers = lines.get(tracker, (None, 0))
            if line is None or not line.is_open:
                line, answers = crowd.connect(), -1
            if line is not None and line.answers > answers:
                lines[tracker] = line, line.answers
                key = f"{tracker_id(tracker)}.{tracker_secret(tracker)}"
                line.send(_request(key, _fix(number)))
        crowd.look()
        yield


def _request(key: str, body: bytes) -> bytes:
    head = f"POST /v1/ingest/fixes/{key} HTTP/1.1\r\nHost: x\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# Signed in ------------------------------------------------------------------------------------

Make = Callable[[int, int], bytes]
"""Makes what a tracker sends in a round: its number, the round's number."""


def _flood(crowd: Crowd, trackers: int, make: Make, version: int = 4) -> Iterator[None]:
    """Let this many trackers send whatever the listener reads."""
    fleet = Fleet(crowd, range(FIRST_TRACKER, FIRST_TRACKER + trackers), version=version)
    for number in count():
        for tracker, line in fleet.ready():
            if line.may_send:
                line.send(make(tracker, number))
                crowd.done["sent"] += 1
        crowd.look()
        yield


def subscriptions(crowd: Crowd) -> Iterator[None]:
    """Subscribe by 4 trackers in SUBSCRIBEs of 16,000 filters, and by 4 in ten of 60."""
    one = b"\0\x01a\0"
    long, short = (packet(0x82, b"\0\x01" + one * filters) for filters in (16_000, 60))
    yield from _flood(crowd, 8, lambda tracker, number: long if tracker % 2 else short * 10)


def subscribe_and_unsubscribe(crowd: Crowd) -> Iterator[None]:
    """Send 200 pairs of SUBSCRIBE and UNSUBSCRIBE of the own `ack`, by 50 trackers, without a
    pause.
    """

    def make(tracker: int, number: int) -> bytes:
        topic = text(f"trackers/{tracker_id(tracker)}/ack")
        pair = packet(0x82, b"\0\x01" + topic + b"\1") + packet(0xA2, b"\0\x02" + topic)
        return pair * 200

    yield from _flood(crowd, 50, make)


def pings(crowd: Crowd) -> Iterator[None]:
    """Send PINGREQs by 50 trackers, 8,000 at a time."""
    yield from _flood(crowd, 50, lambda tracker, number: PINGREQ * 8_000)


def line_speed(crowd: Crowd) -> Iterator[None]:
    """Send messages of 2 MiB by 8 trackers: too large, read past, quarantined."""
    yield from _flood(crowd, 8, _sized(2 * MIB))


def largest(crowd: Crowd) -> Iterator[None]:
    """Send messages of 512 KiB, kept whole, by 8 trackers."""
    yield from _flood(crowd, 8, _sized(512 * 1024))


def oversize(crowd: Crowd) -> Iterator[None]:
    """Send messages of nearly 4 MiB by 8 trackers, and by 8 others of 5 MiB, which are cut."""

    def make(tracker: int, number: int) -> bytes:
        size = 4 * MIB - 200 if tracker % 2 else 5 * MIB
        return _sized(size)(tracker, number)

    yield from _flood(crowd, 16, make)


def unread(crowd: Crowd) -> Iterator[None]:
    """Send QoS 1 by 50 trackers that never read a PUBACK."""
    lines: list[tuple[int, Line]] = []
    for number in count():
        lines = [(tracker, line) for tracker, line in lines if line.is_open]
        for tracker in set(range(FIRST_TRACKER, FIRST_TRACKER + 50)) - dict(lines).keys():
            if (line := crowd.connect(reads=False)) is not None:
                line.send(sign_in(tracker))
                lines.append((tracker, line))
        for tracker, line in lines:
            if line.may_send and number % 10 == 9:  # not before CONNACK
                line.send(_publishes(tracker, number, 100))
                crowd.done["sent"] += 100
        crowd.look()
        yield


def one_packet_id(crowd: Crowd) -> Iterator[None]:
    """Send packet id 1 for each of 50 different messages, and for 50 that are equal, by 20
    trackers.
    """

    def make(tracker: int, number: int) -> bytes:
        different = (_publish(tracker, 1, _fix(number * 50 + one)) for one in range(50))
        return b"".join(different) + _publish(tracker, 1, _fix(number * 50)) * 50

    yield from _flood(crowd, 20, make)


def aliases(crowd: Crowd) -> Iterator[None]:
    """Define aliases anew with topics of 60 KiB; and one that is too high, one not defined."""

    def make(tracker: int, number: int) -> bytes:
        if tracker % 3:
            wrong = b"\0\0" + b"\3\x23\0" + (b"\x05" if tracker % 3 == 1 else b"\x04")
            return packet(0x30, wrong + _fix(number))
        topic = text("a" * 60_000 + str(number))
        return packet(0x32, topic + _packet_id(number) + b"\3\x23\0\1" + _fix(number))

    yield from _flood(crowd, 30, make, version=5)


def user_properties(crowd: Crowd) -> Iterator[None]:
    """Send PUBLISHes with 13,000 user properties, by 4 trackers."""
    properties = b"\x26\0\0\0\0" * 13_000
    properties = remaining_length(len(properties)) + properties

    def make(tracker: int, number: int) -> bytes:
        topic = text(f"trackers/{tracker_id(tracker)}/fixes")
        return packet(0x32, topic + _packet_id(number) + properties + _fix(number))

    yield from _flood(crowd, 4, make, version=5)


def wrong_topics(crowd: Crowd) -> Iterator[None]:
    """Send each message on another topic that is not the tracker's, by 20 trackers."""

    def make(tracker: int, number: int) -> bytes:
        return b"".join(
            packet(0x32, text(f"wrong/{number}/{one}") + _packet_id(one) + _fix(number))
            for one in range(50)
        )

    yield from _flood(crowd, 20, make)


def one_floods(crowd: Crowd) -> Iterator[None]:
    """Let one tracker send right fixes as fast as it can."""
    yield from _flood(crowd, 1, lambda tracker, number: _publishes(tracker, number, 200))


def all_flood(crowd: Crowd) -> Iterator[None]:
    """Let 200 trackers send right fixes as fast as they can."""
    yield from _flood(crowd, TRACKERS, lambda tracker, number: _publishes(tracker, number, 50))


def late_fixes(crowd: Crowd) -> Iterator[None]:
    """Let 20 trackers send right fixes, each older than the one before."""

    def make(tracker: int, number: int) -> bytes:
        return b"".join(_publish(tracker, one + 1, _fix(-50 * number - one)) for one in range(50))

    yield from _flood(crowd, 20, make)


def zone_backlog(crowd: Crowd) -> Iterator[None]:
    """Send 26 messages of 500 old fixes by each of four trackers, which pass through ten zones on
    one place from each fix to the next.
    """
    trackers = range(FIRST_TRACKER, FIRST_TRACKER + 4)
    fleet, sent = Fleet(crowd, trackers), Counter[int]()
    while True:
        for tracker, line in fleet.ready():
            if line.may_send and sent[tracker] < BACKLOG_MESSAGES:
                line.send(_publish(tracker, sent[tracker] + 1, _crossings(sent[tracker])))
                sent[tracker] += 1
                crowd.done["sent"] += 1
        crowd.look()
        yield


def _crossings(number: int) -> bytes:
    """Return 500 fixes, a minute apart, on this and that side of the zones in turn."""
    first = number * 500
    fixes = (
        f'{{"time":"{(_BACKLOG_BEGAN + timedelta(minutes=at)).isoformat()}",'
        f'"lat":{CROSSED_LAT + (at % 2 - 0.5) * 0.01},"lon":{CROSSED_LON}}}'
        for at in range(first, first + 500)
    )
    return f"[{','.join(fixes)}]".encode()


def second_logins(crowd: Crowd) -> Iterator[None]:
    """Let 10 trackers sign in again and again, each time with the older connection open."""
    while True:
        for tracker in range(FIRST_TRACKER, FIRST_TRACKER + 10):
            if crowd.open < 1_000 and (line := crowd.connect()) is not None:
                line.send(sign_in(tracker))
        crowd.look()
        yield


def connect_and_leave(crowd: Crowd) -> Iterator[None]:
    """Let 200 trackers sign in, send a fix, and leave at once."""
    fleet = Fleet(crowd, range(FIRST_TRACKER, FIRST_TRACKER + TRACKERS))
    for number in count():
        for tracker, line in fleet.ready():
            line.send(_publish(tracker, 1, _fix(number)))
            line.close()
        crowd.look()
        yield


def _sized(size: int) -> Make:
    """Return messages of this many bytes that are no fixes."""
    payload = bytes(size)
    return lambda tracker, number: _publish(tracker, number % 60 + 1, payload)


def _publishes(tracker: int, number: int, fixes: int) -> bytes:
    """Return this many messages with a fix each, of a round."""
    first = number * fixes
    return b"".join(
        _publish(tracker, one % 60 + 1, _fix(one)) for one in range(first, first + fixes)
    )


def _publish(tracker: int, packet_id: int, payload: bytes) -> bytes:
    topic = text(f"trackers/{tracker_id(tracker)}/fixes")
    return packet(0x32, topic + struct.pack(">H", packet_id) + payload)


def _packet_id(number: int) -> bytes:
    return struct.pack(">H", number % 60 + 1)


def _fix(number: int) -> bytes:
    """Return a fix of an hour ago, a millisecond after the one before."""
    at = _BEGAN + timedelta(milliseconds=number)
    return f'{{"time":"{at.isoformat()}","lat":52.5,"lon":13.4}}'.encode()


_BEGAN = datetime.now(UTC) - timedelta(hours=1)
"""Later than any fix of the attacks before."""
_BACKLOG_BEGAN = _BEGAN - timedelta(days=10)

ATTACKS = [
    Attack(silent, "20,000 silent connections", "the oldest makes place", 400, 2),
    Attack(half_open, "2,000 half-open CONNECTs", "10 s until CONNECT", 64),
    Attack(half_open_long, "9,500 CONNECTs of 72 KiB but a byte", "bytes before sign-in", 200),
    Attack(a_byte_a_minute, "a byte a second, a byte a minute", "10 s, one a tracker", 64, 1, 75),
    Attack(publish_without_sign_in, "PUBLISH without sign-in", "cut at the first byte", 64),
    Attack(wrong_secrets, "wrong secrets in a loop", "30 a minute and address", 64),
    Attack(wrong_secrets, "wrong secrets, 20,000 addresses", "-", 20_000),
    Attack(properties_before_sign_in, "CONNECT of 14,000 properties", "longest CONNECT", 20_000),
    Attack(subscriptions, "50,000 subscriptions", "filters a packet"),
    Attack(subscribe_and_unsubscribe, "SUBSCRIBE and UNSUBSCRIBE", "packets a second"),
    Attack(pings, "PINGREQs", "packets a second"),
    Attack(line_speed, "2 MiB at line speed", "bytes a second"),
    Attack(largest, "512 KiB at line speed", "bytes a second"),
    Attack(oversize, "4 MiB and 5 MiB at line speed", "bytes a second, cut beyond 4 MiB"),
    Attack(unread, "PUBACKs never read", "64 KiB unread"),
    Attack(one_packet_id, "one packet id for all", "compared, or both forwarded"),
    Attack(aliases, "topic aliases", "4, and what is announced"),
    Attack(user_properties, "PUBLISH with 13,000 properties", "bytes a second"),
    Attack(wrong_topics, "topics of no tracker", "messages a second"),
    Attack(one_floods, "one tracker floods", "messages a second"),
    Attack(all_flood, "200 trackers flood", "credit of an organization"),
    Attack(late_fixes, "fixes from late to early", "credit of an organization"),
    Attack(zone_backlog, "a backlog that crosses zones", "time of a batch"),
    Attack(second_logins, "a second login in a loop", "newcomers wait"),
    Attack(connect_and_leave, "sign in, send, leave", "-"),
    Attack(half_heads, "2,000 half heads", "30 s until the end, 64 an address", 64, door="http"),
    Attack(wrong_keys, "500 KiB with a wrong key", "4 KiB, 30 a minute", 64, door="http"),
    Attack(requests, "200 trackers by HTTP", "messages a second", door="http"),
    Attack(half_logins, "2,000 half IMEIs", "10 s, 64 an address", 64, door="teltonika"),
    Attack(slow_logins, "IMEIs of a byte a second", "10 s, 64 an address", 64, door="teltonika"),
    Attack(endless_line, "a report without an end", "4 KiB", 64, door="queclink"),
    Attack(forged_lengths, "forged lengths", "cut at the first bytes", 64, door="teltonika"),
    Attack(unknown_imeis, "unknown IMEIs", "30 a minute and address", 64, door="teltonika"),
    Attack(unknown_imeis, "unknown IMEIs, 20,000 addresses", "-", 20_000, door="teltonika"),
    Attack(unknown_datagrams, "datagrams of nobody", "nothing is kept", 20_000, door="datagrams"),
    Attack(not_understood, "reports nobody understands", "messages a second", door="queclink"),
    Attack(waiting_for_a_place, "500 connections of an IMEI", "64 an address", 64, door="queclink"),
]
