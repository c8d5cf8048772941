"""Devices that are not let in are written once, however often and by whomever they are seen, and
bounded, however many there are.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from db.core.connect import connect
from db.core.ids import new_id
from db.core.table import db_now
from db.listener import unknown_devices as stored
from db.resources import gateways
from listener.stored import unknown_devices
from listener.stored.gateways import Gateway
from listener.stored.unknown_devices import UnknownDevices
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.listener.registering import change, registered, revoke, rows
from tests.servers import DatabaseUnderTest

NOW = datetime.now(UTC).replace(microsecond=0)
IMEI = "867060033461332"


async def gateway_of(tenant: Tenant, kind: str = "traccar") -> Gateway:
    async with transaction(tenant.database, "opsc_app", tenant.org_id) as conn:
        at = await db_now(conn)
        row = gateways.Gateway(new_id(), "Gate", kind, None, at, at)
        await gateways.gateways.insert(conn, row, secret_hash=bytes(32))
    return Gateway(row.id, tenant.org_id, kind)


async def write(tenant: Tenant, *each: UnknownDevices) -> None:
    """Let listeners write at the same time."""

    async def write_one(devices: UnknownDevices) -> None:
        async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
            await devices.write(conn)

    await asyncio.gather(*map(write_one, each))


def kept(tenant: Tenant, columns: str = "external_id, tracker_id, reason, seen") -> list[Any]:
    query = f"SELECT {columns} FROM unknown_devices WHERE org_id = %s ORDER BY last_seen_at"
    return rows(tenant, query, tenant.org_id)


def message(lat: float | None, lon: float = 13.4, at: datetime = NOW) -> bytes:
    """Return what Traccar forwards of a device. lat: None where it has no position."""
    position = {"latitude": lat, "longitude": lon, "fixTime": at.isoformat()}
    return json.dumps({"position": None if lat is None else position}).encode()


async def test_two_listeners_write_a_device_once(tenant: Tenant) -> None:
    gateway, vehicle = await gateway_of(tenant), await registered(tenant)
    listeners = [UnknownDevices() for _ in range(2)]
    for devices in listeners:
        for _ in range(3):
            devices.forwarded(gateway, IMEI, b"{}", "http")
            devices.refused(tenant.org_id, vehicle.tracker_id, "mqtt")
    await write(tenant, *listeners)
    assert kept(tenant) == [
        (IMEI, None, "not_registered", 6),
        (None, vehicle.tracker_id, "wrong_secret", 6),
    ]
    await write(tenant, *listeners)
    assert [row[-1] for row in kept(tenant)] == [6, 6]  # nothing is written twice


async def test_a_flood_of_ids_leaves_those_that_were_seen_last(tenant: Tenant) -> None:
    gateway, listeners = await gateway_of(tenant), [UnknownDevices() for _ in range(2)]
    for number in range(0, 5_000, 200):
        for devices, start in zip(listeners, (number, number + 100), strict=True):
            for device in range(start, start + 100):
                devices.forwarded(gateway, f"{device:015}", message(52.5), "http")
        await write(tenant, *listeners)
    names = [name for (name,) in kept(tenant, "external_id")]
    assert len(names) == stored.MOST_OF_ORGANIZATION
    assert set(names) == {f"{device:015}" for device in range(4_000, 5_000)}


async def test_listeners_that_write_at_the_same_time_keep_to_the_bound(tenant: Tenant) -> None:
    gateway = await gateway_of(tenant)

    def some(start: int, number: int) -> list[stored.UnregisteredDevice]:
        what = (gateway.gateway_id, "http", "traccar", 1, NOW, NOW, None)
        names = (f"{device:05}" for device in range(start, start + number))
        return [stored.UnregisteredDevice(tenant.org_id, name, *what) for name in names]

    url = tenant.database.url("opsc_listen")
    async with await connect(url, "test") as first, await connect(url, "test") as second:
        async with first.transaction():
            await stored.write(first, some(0, 900), [])
            writing = asyncio.create_task(stored.write(second, some(900, 900), []))
            await asyncio.wait([writing], timeout=0.5)
        await writing
    assert len(kept(tenant)) == stored.MOST_OF_ORGANIZATION


async def test_what_is_held_is_bounded_for_each_organization_and_in_all(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    devices, gateway = UnknownDevices(), await gateway_of(tenant)
    for number in range(5_000):
        devices.forwarded(gateway, f"{number}", b"x" * 1_000_000, "http")
    assert len(devices) == unknown_devices.MOST_OF_ORGANIZATION
    other = await Tenant.create(database)
    devices.forwarded(await gateway_of(other), IMEI, b"{}", "http")
    devices.forwarded(gateway, "0", b"{}", "http")  # there is room for what is there
    for _ in range(100):
        crowd = Gateway(new_id(), new_id(), "tts")  # of organizations that are gone by now
        for number in range(100):
            devices.forwarded(crowd, f"{number}", b"{}", "http")
    assert len(devices) == unknown_devices.MOST
    await write(tenant, devices)
    assert len(devices) == 0
    assert len(kept(tenant)) == unknown_devices.MOST_OF_ORGANIZATION
    assert [seen for name, _, _, seen in kept(tenant) if name == "0"] == [2]
    assert kept(other) == [(IMEI, None, "not_registered", 1)]


async def test_the_last_position_is_kept_and_no_other(tenant: Tenant) -> None:
    devices, gateway = UnknownDevices(), await gateway_of(tenant)
    place = "lat, lon, position_time, seen"
    devices.forwarded(gateway, IMEI, message(52.1), "http")
    devices.forwarded(gateway, IMEI, message(52.2, at=NOW), "http")
    devices.forwarded(gateway, IMEI, b'{"batteryLevel": 50}', "http")
    await write(tenant, devices)
    assert kept(tenant, place) == [(52.2, 13.4, NOW, 3)]
    for payload in (message(None), b"{", message(91.0), message(1, at=NOW.replace(year=2199))):
        devices.forwarded(gateway, IMEI, payload, "http")
        await write(tenant, devices)
    assert kept(tenant, place) == [(52.2, 13.4, NOW, 7)]
    devices.forwarded(
        gateway, IMEI, message(52.3) + b" " * unknown_devices.MOST_PAYLOAD_BYTES, "http"
    )
    await write(tenant, devices)
    assert kept(tenant, place) == [(52.2, 13.4, NOW, 8)]  # too long to be read


@pytest.mark.parametrize("device", ["x" * 65, "", " 7", "ä", "\u202e7", "a\nb", "\0", "\x7f"])
async def test_ids_that_cannot_be_shown_are_not_kept(tenant: Tenant, device: str) -> None:
    devices, gateway = UnknownDevices(), await gateway_of(tenant)
    devices.forwarded(gateway, device, b"{}", "http")
    assert len(devices) == 0
    devices.forwarded(gateway, "x" * 64, b"{}", "http")
    devices.forwarded(gateway, "~ !", b"{}", "http")
    await write(tenant, devices)
    assert {name for (name,) in kept(tenant, "external_id")} == {"x" * 64, "~ !"}


async def test_an_id_of_a_tracker_is_not_kept_and_that_of_a_revoked_one_is_the_trackers(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    devices, gateway = UnknownDevices(), await gateway_of(tenant)
    other = await Tenant.create(database)
    theirs, ours = await registered(other), await registered(tenant)
    await change(other, theirs.tracker_id, external_id=IMEI)
    await revoke(other, theirs.tracker_id)
    devices.forwarded(gateway, IMEI, message(52.5), "http")
    await write(tenant, devices)
    assert kept(tenant) == [(IMEI, None, "not_registered", 1)]
    await change(tenant, ours.tracker_id, external_id=IMEI)
    assert kept(tenant) == []  # it was registered
    devices.forwarded(gateway, IMEI, message(52.5), "http")  # noted before
    await write(tenant, devices)
    assert kept(tenant) == []
    await revoke(tenant, ours.tracker_id)
    devices.forwarded(gateway, IMEI, message(52.5), "http")
    await write(tenant, devices)
    columns = "external_id, tracker_id, reason, gateway_id, lat"
    expected = (None, ours.tracker_id, "revoked", gateway.gateway_id, None)
    assert kept(tenant, columns) == [expected]
    assert kept(other) == []


async def test_a_tracker_that_is_gone_holds_nobody_up(tenant: Tenant) -> None:
    devices, gateway, vehicle = UnknownDevices(), await gateway_of(tenant), await registered(tenant)
    devices.refused(tenant.org_id, new_id(), "mqtt")
    devices.refused(new_id(), vehicle.tracker_id, "mqtt")
    devices.forwarded(gateway._replace(gateway_id=new_id()), "7", b"{}", "http")
    devices.refused(tenant.org_id, vehicle.tracker_id, "http", "osmand")
    await write(tenant, devices)
    columns = "tracker_id, protocol, format, seen"
    assert kept(tenant, columns) == [(vehicle.tracker_id, "http", "osmand", 1)]


async def test_failed_sign_ins_push_out_nothing_that_gateways_forward(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_OF_ORGANIZATION", 3)
    monkeypatch.setattr(unknown_devices, "MOST_OF_ORGANIZATION", 4)
    gateway, devices = await gateway_of(tenant), UnknownDevices()
    names = [f"{number}" for number in range(3)]
    for name in names:
        devices.forwarded(gateway, name, b"{}", "mqtt")
    await write(tenant, devices)
    for _ in range(5):
        devices.refused(tenant.org_id, (await registered(tenant)).tracker_id, "mqtt")
    devices.forwarded(gateway, names[0], b"{}", "mqtt")  # there is room for it, too
    assert len(devices) == 5
    await write(tenant, devices)
    shown = [name for (name,) in kept(tenant, "external_id") if name is not None]
    assert sorted(shown) == names
    assert len(kept(tenant)) == 6


async def test_a_payload_that_fails_as_nobody_foresaw_keeps_no_other_device_from_being_shown(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = unknown_devices.decode

    def faulty(payloads: Sequence[bytes], forms: Any) -> Any:
        if any(b"66.6" in payload for payload in payloads):
            raise TypeError("nobody foresaw this")
        return decode(payloads, forms)

    monkeypatch.setattr(unknown_devices, "decode", faulty)
    gateway, devices = await gateway_of(tenant), UnknownDevices()
    for number, lat in enumerate((52.5, 66.6, 52.6)):
        devices.forwarded(gateway, f"device-{number}", message(lat), "http")
    await write(tenant, devices)
    assert sorted(kept(tenant, "external_id, lat")) == [
        ("device-0", 52.5),
        ("device-1", None),
        ("device-2", 52.6),
    ]
