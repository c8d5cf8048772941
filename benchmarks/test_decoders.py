"""Decoders in nanoseconds per fix (`extra_info`): 10,000 fixes a round, six optional fields."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from telemetry.fix import FixBatch, Known, blank_rows
from telemetry.formats.boxes.crc import crc_16
from telemetry.formats.decode import Format, decode
from telemetry.formats.encode import encode_json, encode_msgpack, encode_packed
from telemetry.times import format_time

FIXES = 10_000
FILLED = (
    Known.ALTITUDE | Known.SPEED | Known.COURSE | Known.ACCURACY | Known.BATTERY | Known.SATELLITES
)


def moving_fixes() -> FixBatch:
    """Return fixes a second apart with plausible digits, the same in every run."""
    random = np.random.default_rng(7)
    rows = blank_rows(FIXES)
    rows["time_us"] = 1_769_860_800_000_000 + np.arange(FIXES) * 1_000_000
    rows["lat"] = np.round(52.5 + random.normal(0, 0.1, FIXES), 6)
    rows["lon"] = np.round(13.4 + random.normal(0, 0.1, FIXES), 6)
    rows["seq"] = np.arange(FIXES) % 60_000
    rows["altitude_m"] = np.round(random.uniform(0, 90, FIXES), 1)
    rows["speed_mps"] = np.round(random.uniform(0, 30, FIXES), 2)
    rows["course_deg"] = np.round(random.uniform(0, 359, FIXES), 1)
    rows["accuracy_m"] = np.round(random.uniform(2, 15, FIXES), 1)
    rows["battery_pct"] = random.integers(5, 100, FIXES)
    rows["satellites"] = random.integers(4, 14, FIXES)
    rows["known"] = FILLED
    return FixBatch(rows)


def encode_owntracks(batch: FixBatch) -> bytes:
    """Write locations as the app does, without the seq."""
    said = [
        {
            "_type": "location",
            "tst": time_us // 1_000_000,
            "lat": lat,
            "lon": lon,
            "acc": round(accuracy_m),
            "alt": round(altitude_m),
            "vel": round(3.6 * speed_mps),
            "cog": round(course_deg),
            "batt": round(battery_pct),
        }
        for time_us, lat, lon, accuracy_m, altitude_m, speed_mps, course_deg, battery_pct in _rows(
            batch, "accuracy_m", "altitude_m", "speed_mps", "course_deg", "battery_pct"
        )
    ]
    return msgspec.json.encode(said[0] if len(said) == 1 else said)


def encode_osmand(batch: FixBatch) -> bytes:
    """Write a query of one position."""
    ((time_us, lat, lon, accuracy_m, altitude_m, speed_mps, course_deg, battery_pct),) = _rows(
        batch, "accuracy_m", "altitude_m", "speed_mps", "course_deg", "battery_pct"
    )
    return (
        f"id=1&lat={lat}&lon={lon}&timestamp={time_us // 1_000_000}&altitude={altitude_m:.1f}"
        f"&speed_mps={speed_mps:.2f}&bearing={course_deg:.1f}&accuracy={accuracy_m:.1f}"
        f"&batt={battery_pct:.0f}"
    ).encode()


def encode_traccar(batch: FixBatch) -> bytes:
    """Write a position as Traccar forwards it."""
    ((time_us, lat, lon, altitude_m, speed_mps, course_deg, satellites, battery_pct),) = _rows(
        batch, "altitude_m", "speed_mps", "course_deg", "satellites", "battery_pct"
    )
    position = {
        "id": 0,
        "attributes": {"sat": satellites, "batteryLevel": battery_pct, "distance": 12.5},
        "deviceId": 23,
        "protocol": "gt06",
        "fixTime": format_time(time_us),
        "valid": True,
        "latitude": lat,
        "longitude": lon,
        "altitude": round(altitude_m, 1),
        "speed": round(speed_mps * 1.94, 2),
        "course": round(course_deg, 1),
        "accuracy": 0.0,
    }
    return msgspec.json.encode({"position": position, "device": {"uniqueId": "867060033461332"}})


def encode_teltonika(batch: FixBatch) -> bytes:
    """Write a packet of Codec 8; each record has the battery and three more IO elements."""
    records = [
        struct.pack(
            ">QBiihHBH",
            *(time_us // 1_000, 0, round(lon * 1e7), round(lat * 1e7), round(altitude_m)),
            *(round(course_deg), satellites, round(3.6 * speed_mps)),
        )
        + struct.pack(
            ">BBBBBBBBBHBHBB",
            0,
            4,
            2,
            113,
            round(battery_pct),
            21,
            4,
            2,
            66,
            12_100,
            67,
            4_000,
            0,
            0,
        )
        for time_us, lat, lon, altitude_m, course_deg, satellites, speed_mps, battery_pct in _rows(
            batch, "altitude_m", "course_deg", "satellites", "speed_mps", "battery_pct"
        )
    ]
    number = bytes([len(records)])
    data = b"\x08" + number + b"".join(records) + number
    return struct.pack(">II", 0, len(data)) + data + struct.pack(">I", crc_16(data))


def encode_h02(batch: FixBatch) -> bytes:
    """Write a V1 of one position."""
    ((time_us, lat, lon, speed_mps, course_deg),) = _rows(batch, "speed_mps", "course_deg")
    moment = datetime.fromtimestamp(time_us / 1e6, UTC)
    return (
        f"*HQ,353588020068342,V1,{moment:%H%M%S},A,{_angles(lat, lon)},"
        f"{speed_mps * 1.94:.2f},{course_deg:.0f},{moment:%d%m%y},FFFFFBFF,262,03,0,0#"
    ).encode()


def encode_meitrack(batch: FixBatch) -> bytes:
    """Write an AAA of one position."""
    ((time_us, lat, lon, altitude_m, speed_mps, course_deg, satellites),) = _rows(
        batch, "altitude_m", "speed_mps", "course_deg", "satellites"
    )
    moment = datetime.fromtimestamp(time_us / 1e6, UTC)
    body = (
        f",867047043162018,AAA,35,{lat:.6f},{lon:.6f},{moment:%y%m%d%H%M%S},A,{satellites},20,"
        f"{3.6 * speed_mps:.1f},{course_deg:.0f},0.9,{altitude_m:.0f},1,0,262|3|0|0,0000,|||0|0,*"
    )
    begin = f"$$D{len(body) + 4}{body}".encode()
    return begin + b"%02X\r\n" % (sum(begin) & 0xFF)


def encode_nmea(batch: FixBatch) -> bytes:
    """Write an RMC and a GGA of each fix."""
    lines = list[str]()
    for time_us, lat, lon, altitude_m, speed_mps, course_deg, satellites in _rows(
        batch, "altitude_m", "speed_mps", "course_deg", "satellites"
    ):
        moment = datetime.fromtimestamp(time_us / 1e6, UTC)
        at, day = f"{moment:%H%M%S.%f}", f"{moment:%d%m%y}"
        place = _angles(lat, lon)
        lines += [
            f"$GPRMC,{at},A,{place},{speed_mps * 1.94:.2f},{course_deg:.1f},{day},,",
            f"$GPGGA,{at},{place},1,{satellites:02},0.9,{altitude_m:.1f},M,,M,,",
        ]
    return "\r\n".join(lines).encode()


def _angles(lat: float, lon: float) -> str:
    """Write degrees and minutes."""
    return (
        f"{int(abs(lat)):02}{abs(lat) % 1 * 60:07.4f},{'S' if lat < 0 else 'N'},"
        f"{int(abs(lon)):03}{abs(lon) % 1 * 60:07.4f},{'W' if lon < 0 else 'E'}"
    )


def _rows(batch: FixBatch, *columns: str) -> Iterator[tuple[int, float, float, *tuple[int, ...]]]:
    names = ("time_us", "lat", "lon", *columns)
    return zip(*(batch.rows[name].tolist() for name in names), strict=True)


def messages(encode, fixes_per_message: int) -> list[bytes]:
    fixes = moving_fixes()
    starts = range(0, FIXES, fixes_per_message)
    return [encode(fixes.take(np.arange(at, at + fixes_per_message))) for at in starts]


@pytest.mark.parametrize("fixes_per_message", [1, 20])
@pytest.mark.parametrize(
    ("encode", "payload_format"),
    [
        pytest.param(encode_json, Format.NATIVE, id="json"),
        pytest.param(encode_msgpack, Format.NATIVE, id="msgpack"),
        pytest.param(encode_packed, Format.PACKED, id="packed"),
        pytest.param(encode_owntracks, Format.OWNTRACKS, id="owntracks"),
        pytest.param(encode_teltonika, Format.TELTONIKA, id="teltonika"),
        pytest.param(encode_nmea, Format.NMEA, id="nmea"),
    ],
)
def test_decode(benchmark, encode, payload_format: Format, fixes_per_message: int) -> None:
    payloads = messages(encode, fixes_per_message)
    decoded = benchmark(decode, payloads, [payload_format] * len(payloads))
    assert (len(decoded.batch), decoded.rejections) == (FIXES, [])
    note_per_fix(benchmark)


@pytest.mark.parametrize(
    ("encode", "payload_format"),
    [
        pytest.param(encode_osmand, Format.OSMAND, id="osmand"),
        pytest.param(encode_traccar, Format.TRACCAR, id="traccar"),
        pytest.param(encode_h02, Format.H02, id="h02"),
        pytest.param(encode_meitrack, Format.MEITRACK, id="meitrack"),
    ],
)
def test_decode_one_position(benchmark, encode, payload_format: Format) -> None:
    payloads = messages(encode, 1)
    decoded = benchmark(decode, payloads, [payload_format] * len(payloads))
    assert (len(decoded.batch), decoded.rejections) == (FIXES, [])
    note_per_fix(benchmark)


def test_decode_with_an_unknown_key(benchmark) -> None:
    payloads = [p.replace(b'"seq"', b'"hdop":0.9,"seq"') for p in messages(encode_json, 20)]
    decoded = benchmark(decode, payloads, [Format.NATIVE] * len(payloads))
    assert len(decoded.batch.attributes) == FIXES - 1  # seq 0 is not written
    note_per_fix(benchmark)


def test_ceiling_msgspec_into_objects(benchmark) -> None:
    """Measure what reading JSON costs before anything is made of it: the floor under `json`."""

    class Fix(msgspec.Struct, gc=False):
        time: str
        lat: float
        lon: float
        seq: int = 0
        altitude_m: float = 0
        speed_mps: float = 0
        course_deg: float = 0
        accuracy_m: float = 0
        battery_pct: float = 0
        satellites: int = 0

    read = msgspec.json.Decoder(list[Fix]).decode
    payloads = messages(encode_json, 20)
    benchmark(lambda: [len(read(payload)) for payload in payloads])
    note_per_fix(benchmark)


def note_per_fix(benchmark) -> None:
    if benchmark.stats is not None:  # None with --benchmark-disable
        benchmark.extra_info["ns_per_fix"] = round(benchmark.stats.stats.median / FIXES * 1e9, 1)
