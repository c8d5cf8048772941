"""What is acknowledged is stored once, and what is sent is stored in the end, whatever breaks.

`make faults` breaks whole systems for longer (docs/faults.md).
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
import pytest

from benchmarks.faults.proxy import Link
from stack.servers.listening import BY_IMEI
from stack.servers.postgres import free_port
from tests.ingest.tenants import Tenant
from tests.listener.raw_devices import Device
from tests.listener.registering import revoke, rotate
from tests.listener.running import RoleProcess, System, running
from tests.servers import ANY_PORT, DatabaseUnderTest, PostgresUnderTest, beside
from tests.waiting import until

KINDS = [(version, qos) for version in (4, 5) for qos in (1, 2)]


@dataclass(slots=True)
class Fleet:
    """Devices of each kind, that send from beginning to end. by_log: an answer means that a log
    has the message, which is stored later.
    """

    tenant: Tenant
    devices: Sequence[Device]
    by_log: bool = False

    @property
    def acknowledged(self) -> int:
        return sum(len(one.acknowledged) for one in self.devices)

    async def progress(self, count: int = 40) -> None:
        """Wait until this many more messages are acknowledged."""
        wanted = self.acknowledged + count
        await until(lambda: self.acknowledged >= wanted)

    def stored(self, device: Device) -> list[datetime]:
        """Return the times of a device's fixes that are stored, in order."""
        rows = self.tenant.rows("SELECT tracker_id, time FROM gps_events ORDER BY time")
        return [at for tracker_id, at in rows if tracker_id == device.vehicle.tracker_id]

    async def check(self) -> None:
        """Let all devices come to their end; compare."""
        await until(lambda: not any(one.waiting for one in self.devices if not one.is_refused))
        if self.by_log:
            await until(lambda: all(self._has_all(one) for one in self.devices))
        rows = self.tenant.rows("SELECT convert_from(payload, 'UTF8') FROM quarantine")
        quarantined = [datetime.fromisoformat(json.loads(text)["time"]) for (text,) in rows]
        for one in self.devices:
            stored = self.stored(one)
            acknowledged = {one.sent[number] for number in one.acknowledged}
            assert acknowledged <= {*stored, *quarantined}, "acknowledged and not stored"
            assert len(stored) == len(set(stored)), "stored twice"
            if not one.is_refused:
                assert stored == list(one.sent.values()), "sent and not stored"

    def _has_all(self, device: Device) -> bool:
        return {device.sent[number] for number in device.acknowledged} <= {*self.stored(device)}


@asynccontextmanager
async def sending(
    tenant: Tenant, *ports: int, patience_s: float | None = None, by_log: bool = False
) -> AsyncIterator[Fleet]:
    """Run a fleet in traffic, and check it at the end."""
    devices = []
    for version, qos in KINDS:
        vehicle, secret = await tenant.vehicle(), secrets.token_urlsafe(32)
        await rotate(tenant, vehicle.tracker_id, secret)
        devices.append(Device(vehicle, secret, version, qos, patience_s))
    fleet = Fleet(tenant, devices, by_log)
    async with asyncio.TaskGroup() as tasks:
        running_devices = [tasks.create_task(one.run(ports)) for one in devices]
        await fleet.progress()
        yield fleet
        for one in devices:
            one.stop.set()
        await fleet.check()
        for task in running_devices:
            task.cancel()


async def nothing_is_left(listener: RoleProcess) -> None:
    """Wait until all that the listener held is let go of, and so is its credit at ingest."""

    async def is_empty() -> bool:
        page = await asyncio.to_thread(listener.page, "/metrics")
        figures = ("held_bytes", "unanswered")
        return all(f"opsc_listener_{name} 0.0" in page for name in figures)

    await until(is_empty)


def second(role: RoleProcess, **settings: str) -> RoleProcess:
    """Return another process of a role, which is not started yet."""
    http = f"127.0.0.1:{free_port(ANY_PORT)}"
    variable = "OPSC_INGEST_HTTP" if role.module == "ingest" else "OPSC_LISTEN_HTTP"
    log = role.log.with_name(f"{role.module}-2.log")
    closed = dict.fromkeys(("OPSC_LISTEN_INGEST_HTTP", *BY_IMEI), "off")
    own = {**role.settings, **closed, **settings, variable: http}
    return RoleProcess(role.module, http, log, own)


async def test_a_listener_that_is_killed_costs_nothing(tenant: Tenant) -> None:
    with running(tenant.database) as system:
        async with sending(tenant, system.port) as fleet:
            for _ in range(3):
                await asyncio.to_thread(system.listener.kill)
                await beside(system.listener.start)
                await fleet.progress()
        await nothing_is_left(system.listener)


async def test_a_listener_that_is_frozen_while_devices_go_to_another_costs_nothing(
    tenant: Tenant,
) -> None:
    port = free_port(ANY_PORT)
    with running(tenant.database) as system, ExitStack() as ends:
        other = second(system.listener, OPSC_LISTEN_PORT=str(port))
        ends.callback(other.stop)
        await beside(other.start)
        async with sending(tenant, system.port, port, patience_s=2) as fleet:
            system.listener.freeze()
            await until(lambda: all(one.connects > 1 for one in fleet.devices))
            await fleet.progress()
            system.listener.thaw()
            await fleet.progress()
        for listener in (system.listener, other):
            await nothing_is_left(listener)


@asynccontextmanager
async def linked_by_proxy(tenant: Tenant) -> AsyncIterator[tuple[System, Link]]:
    """Provide a system whose listener finds ingest behind a proxy."""
    port = free_port(ANY_PORT)
    address, key = f"tcp://127.0.0.1:{port}", {"OPSC_LINK_SECRET": secrets.token_urlsafe(32)}
    async with Link(port) as link:
        detour = {"OPSC_INGEST_LINK_ADVERTISED": f"tcp://127.0.0.1:{link.port}"}
        system = running(tenant.database, key, {**key, "OPSC_INGEST_LINK": address, **detour})
        started = await beside(system.__enter__)
        try:
            yield started, link
        finally:
            link.go_on()
            await asyncio.to_thread(system.__exit__, None, None, None)


async def test_a_link_that_is_cut_stalled_or_slow_costs_nothing(tenant: Tenant) -> None:
    async with linked_by_proxy(tenant) as (system, link):
        async with sending(tenant, system.port) as fleet:
            for _ in range(3):
                link.reset()
                await fleet.progress()
            for _ in range(2):
                link.stall()
                await asyncio.sleep(1)
                link.go_on()
                await fleet.progress()
            link.stall()
            link.reset()  # the next one is not welcomed in time
            await asyncio.sleep(6)
            link.go_on()
            await fleet.progress()
            link.dribble()
            await fleet.progress()
        await nothing_is_left(system.listener)


async def test_an_ingest_that_is_killed_costs_nothing(tenant: Tenant) -> None:
    with running(tenant.database) as system:
        async with sending(tenant, system.port) as fleet:
            for _ in range(2):
                await asyncio.to_thread(system.ingest.kill)
                await beside(system.ingest.start)
                await fleet.progress()
            assert {one.connects for one in fleet.devices} == {1}
        await nothing_is_left(system.listener)


async def test_an_ingest_that_is_frozen_while_another_takes_over_costs_nothing(
    tenant: Tenant,
) -> None:
    with running(tenant.database) as system, ExitStack() as ends:
        link = system.ingest.settings["OPSC_INGEST_LINK"].replace("ingest.sock", "standby.sock")
        standby = second(system.ingest, OPSC_INGEST_LINK=link)
        async with sending(tenant, system.port) as fleet:
            system.ingest.freeze()
            ends.callback(standby.stop)
            await beside(standby.start)
            await fleet.progress()
            system.ingest.thaw()
            await fleet.progress()
            await asyncio.to_thread(standby.kill)
            await fleet.progress()
            assert {one.connects for one in fleet.devices} == {1}
        await nothing_is_left(system.listener)


async def test_a_database_that_is_killed_and_away_for_a_while_costs_nothing(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    tenant = await Tenant.create(postgres.migrated_database())
    with running(tenant.database) as system:
        async with sending(tenant, system.port) as fleet:
            for away_s in (0, 8):
                await asyncio.to_thread(postgres.kill)
                await asyncio.sleep(away_s)
                await beside(postgres.start)
                await fleet.progress()
            assert {one.connects for one in fleet.devices} == {1}
        await nothing_is_left(system.listener)


async def test_sessions_of_the_database_that_are_terminated_cost_nothing(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    with running(tenant.database) as system:
        async with sending(tenant, system.port) as fleet:
            with psycopg.connect(database.url("admin"), autocommit=True) as conn:
                for _ in range(15):
                    conn.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE usename LIKE 'opsc%' AND datname = current_database()"
                    )
                    await asyncio.sleep(0.2)
            await fleet.progress()
            assert {one.connects for one in fleet.devices} == {1}
        await nothing_is_left(system.listener)


@pytest.mark.parametrize("number", range(len(KINDS)))
async def test_of_a_tracker_that_is_revoked_nothing_more_is_stored(
    tenant: Tenant, number: int
) -> None:
    with running(tenant.database) as system:
        async with sending(tenant, system.port) as fleet:
            one = fleet.devices[number]
            await revoke(tenant, one.vehicle.tracker_id)
            await until(lambda: one.is_refused)
            stored = fleet.stored(one)
            await fleet.progress()
            assert fleet.stored(one) == stored
        await nothing_is_left(system.listener)
