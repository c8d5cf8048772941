"""What a box says and nobody understands, at the real doors: kept, counted, and in nobody's way."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from tests.ingest.tenants import Tenant
from tests.listener.running import System
from tests.listener.tcp import boxes, gt06_devices
from tests.listener.tcp.boxes import claimed
from tests.listener.tcp.test_queclink_door import report
from tests.listener.tcp.test_text_doors import packet, sentence
from tests.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
NETWORKS = bytes.fromhex("110c0e06372c8136010400005912000000009d7c")
"""The begin of a list of networks, of kind A2, of the tests of Traccar."""
KEPT = "SELECT payload, seen, reason FROM quarantine ORDER BY first_received_at"


class Door(NamedTuple):
    """port: the name of the system's. login: what a connection begins with. strange: messages of
    one kind that nobody understands. prefix: whether they are kept behind the login. damaged: one
    that did not arrive as it was sent. position: one that is stored.
    """

    port: str
    login: Callable[[str], bytes]
    strange: Callable[[str], Sequence[bytes]]
    damaged: Callable[[str], bytes]
    position: Callable[[str, datetime], bytes]
    prefix: bool = False


def _meitrack(imei: str, body: str) -> bytes:
    begin = f"$$A{len(imei) + len(body) + 7},{imei},{body}*".encode()
    return begin + b"%02X\r\n" % (sum(begin) & 255)


def _codec_12(text: bytes) -> bytes:
    data = b"\x0c\x01\x06" + len(text).to_bytes(4) + text + b"\x01"
    return len(data).to_bytes(8) + data + boxes.crc_16(data).to_bytes(4)


def _wrong(frame: bytes, at: int) -> bytes:
    """Return a frame with one byte that was changed on its way."""
    return frame[:at] + bytes((frame[at] ^ 1,)) + frame[at + 1 :]


def _nothing(_: str) -> bytes:
    return b""


DOORS = {
    "gt06": Door(
        "gt06_port",
        gt06_devices.login,
        lambda _: [gt06_devices.frame(0xA2, NETWORKS, serial) for serial in range(3)],
        lambda _: _wrong(gt06_devices.position(NOW), 20),
        lambda _, at: gt06_devices.position(at),
        prefix=True,
    ),
    "teltonika": Door(
        "teltonika_port",
        boxes.login,
        lambda _: [_codec_12(b"line %d" % number) for number in range(3)],
        lambda _: _wrong(boxes.packet([boxes.record(1)]), 20),
        lambda _, at: boxes.packet([boxes.record(1_000 * int(at.timestamp()))]),
    ),
    "queclink": Door(
        "queclink_port",
        _nothing,
        lambda imei: [
            f"+RESP:GTXYZ,210102,{imei},,9.87654321,5.4321000,{number},00A3$".encode()
            for number in range(3)
        ],
        _nothing,
        lambda imei, at: report(imei, int((at - NOW).total_seconds())),
    ),
    "meitrack": Door(
        "meitrack_port",
        _nothing,
        lambda imei: [_meitrack(imei, f"D03,{number}") for number in range(3)],
        lambda imei: _wrong(packet(imei, NOW), 40),
        packet,
    ),
    "h02": Door(
        "h02_port",
        _nothing,
        lambda imei: [f"*HQ,{imei},XT,{number}#".encode() for number in range(3)],
        _nothing,
        sentence,
    ),
}
WITH_CHECKSUM = [name for name, door in DOORS.items() if door.damaged is not _nothing]


async def _connected(
    system: System, door: Door
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", getattr(system, door.port))


@pytest.mark.parametrize("name", DOORS)
async def test_what_nobody_understands_is_one_row_of_an_hour_and_ends_no_connection(
    system: System, tenant: Tenant, name: str
) -> None:
    door, imei = DOORS[name], await claimed(tenant)
    first, *others = door.strange(imei)
    _, writer = await _connected(system, door)
    writer.write(door.login(imei) + first)
    kept = door.login(imei) + first if door.prefix else first
    await until(lambda: tenant.rows(KEPT) == [(kept, 1, "undecodable")])
    writer.write(b"".join(others) + door.position(imei, NOW - timedelta(minutes=1)))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    await until(lambda: tenant.rows(KEPT) == [(kept, 3, "undecodable")])
    writer.close()


@pytest.mark.parametrize("name", WITH_CHECKSUM)
async def test_frames_that_are_damaged_are_one_row_of_an_hour(
    system: System, tenant: Tenant, name: str
) -> None:
    door, imei = DOORS[name], await claimed(tenant)
    _, writer = await _connected(system, door)
    good = [door.position(imei, NOW - timedelta(minutes=minutes)) for minutes in (2, 1)]
    writer.write(door.login(imei) + good[0] + 2 * door.damaged(imei) + good[1])
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 2)
    await until(lambda: [row[1:] for row in tenant.rows(KEPT)] == [(2, "undecodable")])
    writer.close()


@pytest.mark.parametrize("name", DOORS)
async def test_the_begin_of_what_is_no_protocol_is_kept_where_it_is_known_whose_it_is(
    system: System, tenant: Tenant, name: str
) -> None:
    door, imei = DOORS[name], await claimed(tenant)
    reader, writer = await _connected(system, door)
    noise = b"\x24\x91" + bytes(range(250)) * 2
    writer.write(door.login(imei) + door.position(imei, NOW) + noise)
    await reader.read()  # until the connection ends
    assert len(tenant.rows("SELECT FROM gps_events")) == 1
    await until(lambda: len(tenant.rows(KEPT)) == 1)
    (payload, seen, reason) = tenant.rows(KEPT)[0]
    assert (seen, reason) == (1, "undecodable")
    assert noise.startswith(payload)
    assert len(payload) <= 256
    other, other_writer = await _connected(system, door)
    other_writer.write(noise)
    await other.read()
    assert len(tenant.rows(KEPT)) == 1
    writer.close()
    other_writer.close()


async def test_cells_and_further_information_are_counted_and_not_kept(
    system: System, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    tracker = await gt06_devices.Tracker.signed_in(system, imei)
    before = _counted(system)
    information = gt06_devices.frame(0x94, b"\0\x04\xb0", is_long=True)
    heartbeat = gt06_devices.frame(0x13, b"\0\0\0", 5)
    assert await tracker.asked(2 * information + heartbeat) == gt06_devices.frame(0x13, b"", 5)
    assert _counted(system) == before + 2
    assert tenant.rows(KEPT) == []
    tracker.writer.close()


def _counted(system: System) -> int:
    name = r'opsc_listener_without_position_total\{kind="94",protocol="gt06"\} (\S+)'
    found = re.search(name, system.listener.page("/metrics"))
    return 0 if found is None else int(float(found[1]))
