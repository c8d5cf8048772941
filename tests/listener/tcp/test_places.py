"""Devices that lose their connection without a word, and strangers who know their IMEI."""

import asyncio
import ctypes
import socket
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from listener.tcp.probes import PROBE_S, probe
from tests.ingest.tenants import Tenant
from tests.listener.running import System
from tests.listener.tcp import gt06_devices
from tests.listener.tcp.boxes import Box, claimed, login, packet, record
from tests.listener.tcp.test_text_doors import sentence
from tests.listener.udp.datagrams import Radio, accepted, datagram
from tests.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
NOW_MS = 1_000 * int(NOW.timestamp())
COUNT = "SELECT count(*), count(DISTINCT time) FROM gps_events"
SO_ATTACH_FILTER = 26
"""linux/socket.h"""
TAKES_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A filter of one instruction: return 0 bytes."""
SOON_S = 9.0
"""Two connections that are probed in turn, and the looks between."""


_lost: list[asyncio.StreamWriter] = []


@pytest.fixture(autouse=True)
async def _lost_at_last() -> AsyncIterator[None]:
    yield
    for writer in _lost:
        writer.close()
    _lost.clear()


def loses_bearer(writer: asyncio.StreamWriter) -> None:
    """Let whatever arrives at a socket be lost from now on: it answers nothing, not even a probe.
    It stays open until the test ends.
    """
    _lost.append(writer)
    program = ctypes.create_string_buffer(TAKES_NOTHING, len(TAKES_NOTHING))
    wanted = struct.pack("HL", 1, ctypes.addressof(program))
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, wanted)


async def test_a_box_that_loses_its_bearer_twice_is_let_in_within_seconds(
    system: System, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    for number in range(3):
        async with asyncio.timeout(SOON_S):
            box = await Box.signed_in(system, imei)
            assert await box.asked(packet([record(NOW_MS + number)])) == b"\0\0\0\x01"
        loses_bearer(box.writer)
    assert tenant.rows(COUNT) == [(3, 3)]


@pytest.mark.parametrize("number_lost", [2, 3])
async def test_what_an_h02_sends_at_once_over_its_third_connection_is_stored(
    system: System, tenant: Tenant, number_lost: int
) -> None:
    """It waits for no answer before it sends."""
    imei = await claimed(tenant)
    for number in range(number_lost + 1):
        _, writer = await asyncio.open_connection("127.0.0.1", system.h02_port)
        at = NOW - timedelta(seconds=60 - 10 * number)
        writer.write(sentence(imei, at) + sentence(imei, at + timedelta(seconds=1)))
        await until(lambda wanted=2 * (number + 1): tenant.rows(COUNT) == [(wanted, wanted)])
        loses_bearer(writer)


async def test_a_gt06_that_has_unread_answers_is_gone_as_soon(
    system: System, tenant: Tenant
) -> None:
    """What is not acknowledged is repeated in place of probes."""
    imei = await claimed(tenant)
    for number in range(2):
        tracker = await gt06_devices.Tracker.signed_in(system, imei)
        loses_bearer(tracker.writer)
        tracker.writer.write(gt06_devices.frame(0x13, b"\0\0\0", number))
    await asyncio.sleep(0.5)
    async with asyncio.timeout(SOON_S):
        tracker = await gt06_devices.Tracker.signed_in(system, imei)
    tracker.writer.close()


async def test_a_box_that_is_there_and_says_nothing_keeps_its_place(
    system: System, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    first, second = [await Box.signed_in(system, imei) for _ in range(2)]
    loses_bearer(second.writer)
    async with asyncio.timeout(SOON_S):
        third = await Box.signed_in(system, imei)
    await asyncio.sleep(1.2 * PROBE_S)
    for number, box in enumerate((first, third)):
        assert await box.asked(packet([record(NOW_MS + number)])) == b"\0\0\0\x01"
        box.close()


@pytest.mark.long
async def test_who_was_silent_for_long_has_as_much_time_to_answer() -> None:
    """The kernel would count the silence, and end the connection after one probe."""
    ended = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(PROBE_S)
        began_s = asyncio.get_running_loop().time()
        probe(writer.transport, PROBE_S)
        with pytest.raises(TimeoutError):
            await reader.read()
        ended.set_result(asyncio.get_running_loop().time() - began_s)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        loses_bearer(writer)
        assert await ended > 0.7 * PROBE_S


async def test_addresses_that_send_datagrams_keep_no_connection_out(
    system: System, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    forged = [Radio(system.teltonika_port, f"127.0.0.{number}") for number in (2, 3)]
    for number, radio in enumerate(forged):
        assert await radio.asked(datagram(imei, [record(NOW_MS + number)])) == accepted(1)
    boxes = list[Box]()
    for number in range(2):
        async with asyncio.timeout(2):
            box = await Box.signed_in(system, imei)
            assert await box.asked(packet([record(NOW_MS + 10 + number)])) == b"\0\0\0\x01"
        boxes.append(box)
    forged[0].send(datagram(imei, [record(NOW_MS + 20)]))
    assert await forged[0].heard() == b""  # nor do they come back
    for each in (*boxes, *forged):
        each.close()


@pytest.mark.long
async def test_a_box_that_changes_its_address_loses_nothing_that_was_answered(
    system: System, tenant: Tenant
) -> None:
    """Ten bearers in two minutes, without a word; it sends a packet until that is answered."""
    imei, sent = await claimed(tenant), list[int]()
    async with asyncio.timeout(120):
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", system.teltonika_port)
            box = Box(reader, writer)
            assert await box.asked(login(imei), 1) == b"\x01"
            for number in range(len(sent), len(sent) + 5):
                assert await box.asked(packet([record(NOW_MS + number)])) == b"\0\0\0\x01"
                sent.append(number)
            box.writer.write(packet([record(NOW_MS + len(sent))]))  # its answer is lost
            loses_bearer(box.writer)
    times = "SELECT extract(epoch FROM time)::numeric * 1000 FROM gps_events ORDER BY time"
    stored = [int(time) - NOW_MS for (time,) in tenant.rows(times)]
    assert set(sent) <= set(stored)
    assert len(stored) == len(set(stored))
