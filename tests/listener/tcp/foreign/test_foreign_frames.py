"""Frames of other systems' tests at our doors: each is a fix, or it is known what became of it."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from listener.tcp.meitrack import Meitrack
from listener.tcp.protocol import Damaged, DeviceProtocol, Login, Packet
from listener.tcp.queclink import Queclink
from listener.tcp.teltonika import Teltonika
from telemetry.formats.decode import decode, format_of
from tests.data import cases_of, needs_vectors, rows_after
from tests.listener.tcp import boxes, gt06_devices
from tests.listener.tcp.streams import IMEI, events, gt06, h02
from tests.telemetry.payloads import described

PAGE = Path(__file__).parents[4] / "docs" / "devices.md"
DOORS: Mapping[str, Callable[[], DeviceProtocol]] = {
    "teltonika": Teltonika,
    "gt06": gt06,
    "queclink": Queclink,
    "meitrack": Meitrack,
    "h02": h02,
}
FRAMES = [case for case in cases_of("device_frames") if case["protocol"] in DOORS]
OUTCOMES = ("fix", "says it has none", "known", "quarantine", "cut")
IS_IMEI = re.compile("0[0-9]{15}")
PLACE = re.compile(r'position\("(\S+) (\S+)", true, (\S+), (\S+)\)')


def sent(case: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return a login, where the protocol has one, and the frame as it goes over the wire."""
    frame = bytes.fromhex(case["frame_hex"])
    match case["protocol"]:
        case "gt06" if frame[3] != 0x01:
            own = frame[4:12].hex()  # some kinds repeat the IMEI
            imei = own if IS_IMEI.fullmatch(own) else f"0{IMEI}"
            return gt06_devices.login(imei[1:]), frame
        case "teltonika" if len(frame) != 17:
            return boxes.login(IMEI), frame
        case "queclink" if not frame.endswith(b"$"):  # these tests leave the end out
            return b"", frame + b"$"
        case "meitrack" if not frame.endswith(b"\r\n"):
            return b"", frame + b"\r\n"
        case _:
            return b"", frame


@cache
def became_of(number: int) -> tuple[str | None, list[dict[str, Any]]]:
    """Return what becomes of a frame, and its fixes; None: nothing at all."""
    case = FRAMES[number]
    make = DOORS[case["protocol"]]
    begin, frame = sent(case)
    protocol = make()
    said, is_broken = events(protocol, [begin + frame])
    payloads = [event.payload for event in said if isinstance(event, Packet)]
    for event in said:
        unasked = getattr(event, "unasked", None)
        payloads += [] if unasked is None else [unasked.payload]
    decoded = decode(payloads, [format_of(protocol.topic("trk"))] * len(payloads))
    if len(decoded.batch):
        return "fix", described(decoded.batch)
    if decoded.rejections or any(isinstance(event, Damaged) for event in said):
        return "quarantine", []
    if is_broken or protocol.held_bytes:
        return "quarantine" if said else "cut", []
    if payloads:
        return "says it has none", []
    is_login = not begin and case["protocol"] in ("gt06", "teltonika")
    is_known = is_login or any(not isinstance(event, Login) for event in said)
    return "known" if is_known else None, []


@needs_vectors
@pytest.mark.parametrize("number", range(len(FRAMES)), ids=lambda number: FRAMES[number]["id"])
def test_a_frame_of_others_is_not_dropped_in_silence(number: int) -> None:
    case = FRAMES[number]
    outcome, fixes = became_of(number)
    assert outcome in OUTCOMES
    if case["kind"] in ("verifyNull", "verifyNothing"):
        assert not fixes
    for expected in case["expected"]:
        if (place := PLACE.fullmatch(expected)) is not None:
            date, clock, lat, lon = place.groups()
            assert fixes[0]["time"].startswith(f"{date}T{clock[:8]}")
            assert fixes[0]["lat"] == pytest.approx(float(lat), abs=1e-5)
            assert fixes[0]["lon"] == pytest.approx(float(lon), abs=1e-5)


@needs_vectors
def test_the_page_says_what_becomes_of_the_frames_of_others() -> None:
    counts = {name: Counter[str | None]() for name in DOORS}
    for number, case in enumerate(FRAMES):
        counts[case["protocol"]][became_of(number)[0]] += 1
    told = {row[0]: row[1:] for row in rows_after("| frames of |", PAGE.read_text())}
    assert told == {
        name: [str(count.total()), *(str(count[outcome]) for outcome in OUTCOMES), "0", "0"]
        for name, count in counts.items()
    }
