"""The targets of the fuzzers, the inputs that they begin with, and the corpus that they found."""

import base64
import logging
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import structlog

from telemetry import link
from telemetry.formats.decode import Format
from telemetry.link import Connections, Extra, Hello, Opened, Receipt, Topic, Welcome
from tests.fuzz.others import BETWEEN, boxes, frames, payloads, proxy, requests
from tests.fuzz.packets import packets
from tests.fuzz.script import play
from tests.listener.tcp.streams import STREAMS, TELTONIKA_DATAGRAM
from tests.mqtt.server.packets import PINGREQ
from tests.telemetry.payloads import CASES

TARGETS: dict[str, Callable[[bytes], None]] = {
    "machine": play,
    "payloads": payloads,
    "proxy": proxy,
    "requests": requests,
    "boxes": boxes,
    "frames": frames,
}
CORPUS = Path(__file__).parent / "corpus"
VERSIONS = (3, 4, 5)
RAW, CANNED, BUILT, SETTLE, SETTLE_ALL, ANSWER_CONNECT, DELIVER = 0, 1, 5, 7, 9, 10, 11
"""Steps of a script, by their place in `tests.fuzz.script`."""
UNREAD = 135
"""Added to the version: the device reads no answer (`how` in `tests.fuzz.script.Play`)."""
_TRACKER = UUID(int=7)


def seeds(target: str) -> list[bytes]:
    """Return inputs made from tables: each packet in each version, each payload, each frame."""
    made = {
        "machine": _machine,
        "payloads": _payloads,
        "proxy": _proxy,
        "requests": _requests,
        "boxes": _boxes,
        "frames": _frames,
    }
    return list(made[target]())


def corpus(target: str) -> list[bytes]:
    """Return inputs that a fuzzer found to reach something new."""
    return [base64.b64decode(line) for line in (CORPUS / target).read_text().splitlines()]


def log_errors_only() -> None:
    """Do not log each link that is cut."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def write_corpus(target: str, inputs: list[bytes]) -> None:
    """Keep inputs, one a line."""
    lines = sorted({base64.b64encode(data).decode() for data in inputs}, key=lambda x: (len(x), x))
    (CORPUS / target).write_text("".join(f"{line}\n" for line in lines))


# Scripts for the machine --------------------------------------------------------------------------


def script(version: int, *parts: bytes, cut: int = 0, options: int = 0) -> bytes:
    """Return a script of steps."""
    return bytes((version - 3 + 3 * options, cut)) + b"".join(parts)


def raw(data: bytes) -> bytes:
    """Return the steps by which a device sends bytes."""
    pieces = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes((RAW, len(piece))) + piece for piece in pieces)


def signed_in(version: int, name: str = "CONNECT") -> bytes:
    """Return the steps of a sign-in."""
    return bytes((CANNED, list(packets(version)).index(name), ANSWER_CONNECT, 2))


def _machine() -> Iterator[bytes]:
    for version in VERSIONS:
        begin = signed_in(version)
        for place, name in enumerate(packets(version)):
            step = bytes((CANNED, place))
            if name.startswith("CONNECT"):
                yield script(version, step, bytes((ANSWER_CONNECT, 2)))
            yield script(version, begin, step, bytes((SETTLE_ALL, CANNED, place)), cut=place)
        receipts = b"".join(bytes((DELIVER, size, 130)) for size in range(5))
        for name in ("SUBSCRIBE", "SUBSCRIBE, own", "UNSUBSCRIBE"):
            step = bytes((CANNED, list(packets(version)).index(name)))
            puback = bytes((CANNED, list(packets(version)).index("PUBACK")))
            yield script(version, begin, step, receipts, puback, step, receipts)
        early = b"".join(bytes((SETTLE, number, number % 3, 5 - number)) for number in range(5))
        qos_2 = bytes((CANNED, list(packets(version)).index("PUBLISH, QoS 2")))
        for code in range(2, 5):
            refused = bytes((SETTLE, code, 0, 1))
            yield script(version, begin, qos_2, refused, qos_2, refused, qos_2)
        aliased = [(1, 2), (2, 2), (0, 1), (2, 2), (2, 1)]  # topics and properties
        uses = [bytes((BUILT, 0, 0, topic, props, 65)) for topic, props in aliased]
        yield script(version, begin, *uses)
        yield script(version + UNREAD, begin, raw(PINGREQ * 127) * 4, cut=2)
        everything = b"".join(bytes((CANNED, place)) for place in range(14, 20))
        yield script(version, begin, everything, bytes((SETTLE_ALL,)), cut=1)
        yield script(version, begin, everything, early, everything, early, options=2)
        yield script(version, bytes((CANNED, 1)), everything, bytes((ANSWER_CONNECT, 2)))


def truncations(version: int) -> Iterator[bytes]:
    """Yield scripts by which a device sends each packet up to each of its bytes, then the rest."""
    for name, data in packets(version).items():
        begin = b"" if name.startswith("CONNECT") else signed_in(version)
        settle = bytes((SETTLE_ALL,))
        for cut in range(1, len(data)):
            if cut <= 64 or len(data) - cut <= 64 or not cut % 50:
                rest = raw(data[cut:])
                yield script(version, begin, raw(data[:cut]), settle, rest, settle)


def missing_bytes(version: int) -> Iterator[bytes]:
    """Yield scripts by which a device sends each packet without the rest, and other packets after
    it.
    """
    after = bytes((CANNED, list(packets(version)).index("PINGREQ"))) * 20
    for name, data in packets(version).items():
        begin = b"" if name.startswith("CONNECT") else signed_in(version)
        for cut in range(1, min(len(data), 64)):
            yield script(version, begin, raw(data[:cut]), after, bytes((SETTLE_ALL,)), cut=3)


# The others ---------------------------------------------------------------------------------------


def _payloads() -> Iterator[bytes]:
    every = [bytes((case.format,)) + case.payload for case in CASES]
    yield from every
    yield BETWEEN.join(every[:6])
    yield BETWEEN.join(piece for piece in every if piece[0] == Format.PACKED)


def _proxy() -> Iterator[bytes]:
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    bodies = {0x11: bytes(range(12)), 0x21: bytes(range(36)), 0x31: bytes(216), 0x00: b""}
    for command in (0x20, 0x21, 0x22, 0x11):
        for family, body in bodies.items():
            head = signature + struct.pack("!BBH", command, family, len(body))
            yield b"\x13" + head + body + b"\x10\x0crest"
            yield b"\0" + signature + struct.pack("!BBH", command, family, 3) + body
    yield b"\x05" + signature + struct.pack("!BBH", 0x21, 0x11, 4097)
    yield b"\x05" + signature + struct.pack("!BBH", 0x21, 0x11, 14) + bytes(14)


def _boxes() -> Iterator[bytes]:
    for number, (_, stream) in enumerate(STREAMS):
        for size in (0, 1, 7, 64):
            for times in (1, 2):
                yield bytes((number, size)) + times * stream
            yield bytes((number, size)) + stream[:-3] + b"\0" + stream[-2:]
    yield b"\0\0" + TELTONIKA_DATAGRAM


def _requests() -> Iterator[bytes]:
    places = ("/v1/ingest/osmand/trk_1.s?lat=1&lon=2", "/v1/ingest/fixes", "*", "http://x/a?b#c")
    basic = f"Authorization: Basic {base64.b64encode(b'trk_1:s').decode()}\r\n"
    heads = ("", basic, "Expect: 100-continue\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n")
    bodies = (
        "",
        "Content-Length: 2\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    )
    for place in places:
        for head in heads:
            for body in bodies:
                method = "POST" if body else "GET"
                one = f"{method} {place} HTTP/1.1\r\nHost: x\r\n{head}{body}".encode()
                yield b"\0" + one + (b"" if body.endswith("{}") else b"\r\n")
                yield b"\x07" + one + b"\r\n" + one


def _frames() -> Iterator[bytes]:
    hello = link.frame(Hello(link.VERSION, _TRACKER))
    opened = link.frame(Connections([Opened(1, _TRACKER, _TRACKER, "client", 1_000_000)], []))
    topic = [Topic(1, 1, "t")]
    block = link.block(0, [1, 1], [b"a", b"c" * 30], topic, [Extra(1, b"id", 600_000)])
    welcome = link.frame(Welcome(link.VERSION, 12, 65_536, 1 << 26))
    numbers, codes = np.array([0, 1, 3], np.uint64), np.array([0, 0, 1], np.uint8)
    results = link.results(12, numbers, codes)
    for size in (0, 1, 7):
        start = bytes((size,))
        yield start + hello + opened + block + link.frame(Connections([], [1]))
        yield start + welcome + results + link.results(12, numbers[2:] - 1, codes[2:])
        yield start + welcome + link.evicted([1, 9]) + link.receipts([Receipt(_TRACKER, b"{}")])
    for body in (hello, opened, block, welcome, results):
        yield b"\0" + body + body
    for index in (2, -1, -3):
        wrong = link.block(0, [1, 1], [b"a", b"b"], topic, [Extra(index, b"id")])
        yield b"\0" + hello + opened + wrong
    yield b"\0" + hello + opened + link.block(0, [2], [b"a"]) + block
    yield b"\0" + hello + opened + link.block(1, [1], [b"a"], topic)
    yield b"\0" + hello + link.block(0, [1], [b"a"], topic)
    yield b"\0" + welcome + welcome + results
    yield b"\0" + (link.MAX_FRAME_BYTES + 1).to_bytes(4, "little") + b"\x04"
