"""Boxes of Teltonika at the real door: stored before the answer, whatever happens."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from listener.tcp.probes import PROBE_S
from telemetry.fix import Flag
from telemetry.formats.boxes.crc import crc_16
from tests.ingest.tenants import Tenant
from tests.listener.registering import claim, registered, revoke, rows
from tests.listener.running import System
from tests.listener.tcp.boxes import Box, claimed, login, new_imei, packet, record
from tests.waiting import until

NOW_MS = 1_000 * int(datetime.now(UTC).timestamp())
STORED = "SELECT lat, lon, speed_mps, satellites, flags FROM gps_events ORDER BY time"


async def test_a_box_hears_how_many_records_are_stored(system: System, tenant: Tenant) -> None:
    box = await Box.signed_in(system, await claimed(tenant))
    sent = packet([record(NOW_MS), record(NOW_MS + 1_000)])
    assert await box.asked(sent) == b"\0\0\0\x02"
    stored = (52.5, 13.4, 10.0, 9, Flag.UNAUTHENTICATED)
    assert tenant.rows(STORED) == [stored, stored]
    assert await box.asked(sent) == b"\0\0\0\x02"  # sent again
    assert len(tenant.rows(STORED)) == 2
    box.close()


async def test_an_imei_that_nobody_has_claimed_is_refused(system: System) -> None:
    box = await Box.connected(system)
    assert await box.asked(login(new_imei()), 1) == b"\0"
    assert await box.is_cut()


async def test_what_is_in_quarantine_is_kept_and_answered(system: System, tenant: Tenant) -> None:
    box = await Box.signed_in(system, await claimed(tenant))
    data = b"\x0c\x01\x06\0\0\0\0\x01"  # Codec 12 has no positions
    sent = packet([])
    sent = sent[:7] + bytes((len(data),)) + data + crc_16(data).to_bytes(4)
    assert await box.asked(sent) == b"\0\0\0\x01"
    assert tenant.rows("SELECT reason FROM quarantine") == [("undecodable",)]
    box.close()


async def test_a_damaged_packet_is_sent_again_and_many_in_a_row_end_the_connection(
    system: System, tenant: Tenant
) -> None:
    box = await Box.signed_in(system, await claimed(tenant))
    sent = packet([record(NOW_MS)])
    damaged = sent[:-1] + bytes((sent[-1] ^ 1,))
    assert await box.asked(damaged) == bytes(4)
    assert tenant.rows(STORED) == []
    assert await box.asked(sent) == b"\0\0\0\x01"
    for _ in range(10):
        assert await box.asked(damaged) == bytes(4)
    assert await box.asked(damaged) == b""
    assert len(tenant.rows(STORED)) == 1


@pytest.mark.parametrize("sent", [b"\0\0\0\0\x7f\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", bytes(8)])
async def test_lengths_that_no_packet_has_end_the_connection(
    system: System, tenant: Tenant, sent: bytes
) -> None:
    box = await Box.signed_in(system, await claimed(tenant))
    assert await box.asked(sent) == b""


async def test_a_tracker_that_is_revoked_or_gives_its_imei_up_is_cut_within_a_second_or_so(
    system: System, tenant: Tenant
) -> None:
    for is_revoked in (True, False):
        imei, vehicle = new_imei(), await registered(tenant)
        await claim(tenant, vehicle.tracker_id, imei)
        box = await Box.signed_in(system, imei)
        if is_revoked:
            await revoke(tenant, vehicle.tracker_id)
        else:
            await claim(tenant, vehicle.tracker_id, None)
        async with asyncio.timeout(3):
            assert await box.is_cut()
        box = await Box.connected(system)
        assert await box.asked(login(imei), 1) == b"\0"


async def test_two_connections_of_an_imei_stay_and_a_third_waits_for_a_place(
    system: System, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    first, second = [await Box.signed_in(system, imei) for _ in range(2)]
    third = await Box.connected(system)
    waiting = asyncio.create_task(third.asked(login(imei), 1))
    await asyncio.sleep(1.5 * PROBE_S)
    assert not waiting.done()
    for number, box in enumerate((first, second)):
        assert await box.asked(packet([record(NOW_MS + number)])) == b"\0\0\0\x01"
    first.close()
    assert await waiting == b"\x01"
    assert await third.asked(packet([record(NOW_MS)])) == b"\0\0\0\x01"


async def test_fixes_over_a_day_confirm_a_claim(system: System, tenant: Tenant) -> None:
    claims = "SELECT first_fix_at, confirmed_at FROM imei_claims WHERE imei = %s"
    imei = await claimed(tenant)
    assert rows(tenant, claims, imei) == [(None, None)]
    box = await Box.signed_in(system, imei)
    await box.asked(packet([record(NOW_MS)]))
    await until(lambda: rows(tenant, claims, imei)[0][0] is not None)
    with psycopg.connect(tenant.database.url("admin")) as conn:
        conn.execute("UPDATE imei_claims SET first_fix_at = first_fix_at - interval '1 day'")
    assert rows(tenant, claims, imei)[0][1] is None
    box = await Box.signed_in(system, imei)
    await box.asked(packet([record(NOW_MS)]))
    await until(lambda: rows(tenant, claims, imei)[0][1] is not None)


async def test_the_older_connection_of_an_imei_is_shown_while_it_lasts(
    system: System, tenant: Tenant
) -> None:
    shown = "SELECT connected_at, listener_id IS NOT NULL FROM device_connections"
    imei = await claimed(tenant)
    older = await Box.signed_in(system, imei)
    await until(lambda: len(tenant.rows(shown)) == 1)
    ((first_at, is_open),) = tenant.rows(shown)
    assert is_open
    newer = await Box.signed_in(system, imei)
    await asyncio.sleep(1)  # it would be written by now
    assert tenant.rows(shown) == [(first_at, True)]
    older.close()
    await until(lambda: tenant.rows(shown)[0][0] > first_at)
    newer.close()
    await until(lambda: not tenant.rows(shown)[0][1])
