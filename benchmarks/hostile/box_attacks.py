"""Attacks on the ports of boxes, which know a sender by no more than an IMEI."""

import random
import struct
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count

from benchmarks.hostile.crowd import Crowd, Line, again_and_again, kept

CLAIMED = [f"36{number:013d}" for number in range(20)]
"""IMEIs that the attackers' organization has claimed."""
_IMEI_LENGTH = struct.pack(">H", 15)


def half_logins(crowd: Crowd) -> Iterator[None]:
    """Hold 2,000 connections that send nothing, or half an IMEI."""
    halves = kept(crowd, 1_000, _IMEI_LENGTH + b"3569380")
    for _ in kept(crowd, 1_000, b""):
        next(halves)
        yield


def slow_logins(crowd: Crowd) -> Iterator[None]:
    """Send 1,000 IMEIs that come a byte a second."""
    began_s, login, sent = time.monotonic(), _login(0), Counter[Line]()
    lines = kept(crowd, 1_000, login[:1])
    for tick in count(1):
        for line in next(lines):
            sent[line] += 1
            line.send(login[sent[line] % len(login) :][:1])
        while time.monotonic() < began_s + tick:
            crowd.look()
            yield


def endless_line(crowd: Crowd) -> Iterator[None]:
    """Send reports of Queclink without an end, 16 KiB at a time."""
    begin = b"+RESP:GTFRI,020102,135790246811220," + 16 * 1024 * b"0"
    for lines in kept(crowd, 500, begin):
        for line in lines:
            if line.may_send:
                line.send(begin)
        yield


def forged_lengths(crowd: Crowd) -> Iterator[None]:
    """Say that the IMEI has 32,767 bytes, and send some of them."""
    yield from again_and_again(crowd, b"\x7f\xff" + bytes(1_000))


def unknown_imeis(crowd: Crowd) -> Iterator[None]:
    """Say IMEIs that nobody has claimed, with a packet behind each."""
    for number in count():
        for line in crowd.lines:
            if line.answers:
                line.close()
        while crowd.open < 500 and (line := crowd.connect()) is not None:
            line.send(_login(number) + bytes(1_000))
        crowd.look()
        yield


def not_understood(crowd: Crowd) -> Iterator[None]:
    """Send reports of 20 claimed IMEIs that nobody understands, no two alike."""
    lines = dict.fromkeys(CLAIMED, None)
    for number in count():
        for imei, line in lines.items():
            if line is None or not line.is_open:
                lines[imei] = line = crowd.connect()
            if line is not None and line.may_send:
                reports = (_strange(imei, 100 * number + each) for each in range(100))
                line.send(b"".join(reports))
                crowd.done["sent"] += 100
        crowd.look()
        yield


def waiting_for_a_place(crowd: Crowd) -> Iterator[None]:
    """Say one claimed IMEI over 500 connections, two of which have a place."""
    yield from again_and_again(crowd, _strange(CLAIMED[0], 0))


def _strange(imei: str, number: int) -> bytes:
    return f"+RESP:GTXYZ,020102,{imei},,13.4000001,52.5000001,{number:08x},00A1$".encode()


def unknown_datagrams(crowd: Crowd) -> Iterator[None]:
    """Send datagrams of IMEIs that nobody has claimed, each 1,200 bytes, and as many of noise."""
    chance = random.Random(1)
    while True:
        while crowd.open < 500 and crowd.connect() is not None:
            pass
        for line in crowd.lines:
            body = b"\xca\xfe\x01\x1b" + _login(chance.randrange(10**12)) + bytes(1_200)
            line.send(struct.pack(">H", len(body)) + body)
            line.send(chance.randbytes(1_200))
            crowd.done["sent"] += 2
        crowd.look()
        yield


def _login(number: int) -> bytes:
    return _IMEI_LENGTH + b"35%013d" % number
