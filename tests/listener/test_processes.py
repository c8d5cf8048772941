"""Several processes behind one port, and what a listener does when there is no place."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from stack.servers.postgres import free_port
from stack.servers.supervisor import answers_ready
from tests.audit.certificates import write_certificates
from tests.ingest.tenants import Tenant
from tests.listener.registering import registered
from tests.listener.running import System, running
from tests.listener.wire import PINGREQ, PINGRESP, Wire
from tests.servers import ANY_PORT, PostgresUnderTest
from tests.waiting import until

SERVER_SHUTTING_DOWN = 0x8B


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


async def until_both_are_ready(system: System) -> None:
    host, _, port = system.listener.http.rpartition(":")
    pages = [f"http://{host}:{int(port) + number}/readyz" for number in range(2)]
    await until(lambda: all(answers_ready(page)() for page in pages))


async def test_silent_connections_keep_nobody_out(postgres: PostgresUnderTest) -> None:
    tenant = await Tenant.create(postgres.migrated_database())
    vehicles = [await registered(tenant) for _ in range(4)]
    few = {"OPSC_LISTEN_MAX_CONNECTIONS": "4"}
    with running(tenant.database, few) as system, ExitStack() as stack:
        silent = [stack.enter_context(Wire(system.port)) for _ in range(4)]
        devices = [stack.enter_context(Wire.signed_in(system.port, one.name)) for one in vehicles]
        assert [wire.read() for wire in silent] == [None] * 4
        assert stack.enter_context(Wire(system.port)).read() is None  # nobody can be cut for it
        for device in devices:
            device.send(PINGREQ)
            assert device.read() == (PINGRESP, b"")


async def test_a_process_that_is_killed_comes_back_and_none_outlives_the_parent(
    postgres: PostgresUnderTest,
) -> None:
    tenant = await Tenant.create(postgres.migrated_database())
    vehicle = await registered(tenant)
    with running(tenant.database, {"OPSC_LISTEN_PROCESSES": "2"}) as system:
        parent = system.listener.pid
        await until(lambda: len(children(parent)) == 2)
        second = subprocess.run(  # noqa: ASYNC221  # nothing else runs here
            [sys.executable, "-P", "-m", "listener"],
            env={**os.environ, **system.listener.settings, "OPSC_LISTEN_HTTP": "127.0.0.1:1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 1
        assert "in use" in second.stdout + second.stderr
        before = children(parent)
        os.kill(before[0], signal.SIGKILL)
        await until(lambda: len(set(children(parent)) - {before[0]}) == 2)
        system.listener.wait_until_ready()
        Wire.signed_in(system.port, vehicle.name).close()
        processes = children(parent)
        os.kill(parent, signal.SIGKILL)
        await until(lambda: not any(map(is_running, processes)))
        system.listener.kill()
        system.listener.start()
        Wire.signed_in(system.port, vehicle.name).close()


async def test_processes_are_restarted_one_after_the_other(postgres: PostgresUnderTest) -> None:
    tenant = await Tenant.create(postgres.migrated_database())
    vehicles = [await registered(tenant) for _ in range(10)]
    with running(tenant.database, {"OPSC_LISTEN_PROCESSES": "2"}) as system, ExitStack() as stack:
        parent = system.listener.pid
        await until_both_are_ready(system)
        devices = [stack.enter_context(Wire.signed_in(system.port, one.name)) for one in vehicles]
        before, seen = set(children(parent)), set[frozenset[int]]()
        os.kill(parent, signal.SIGHUP)

        def are_new() -> bool:
            seen.add(frozenset(children(parent)))
            return len(set(children(parent)) - before) == 2

        await until(are_new)
        assert all(seen), "at no time there is none"
        assert any(one & before and one - before for one in seen)
        assert [device.end() for device in devices] == [SERVER_SHUTTING_DOWN] * 10
        system.listener.wait_until_ready()
        Wire.signed_in(system.port, vehicles[0].name).close()


async def test_the_others_stay_when_a_process_cannot_be_restarted(
    postgres: PostgresUnderTest, tmp_path: Path
) -> None:
    tenant = await Tenant.create(postgres.migrated_database())
    vehicle = await registered(tenant)
    _, chain, key = write_certificates(tmp_path)
    settings = {
        "OPSC_LISTEN_PROCESSES": "2",
        "OPSC_LISTEN_TLS_PORT": str(free_port(ANY_PORT)),
        "OPSC_TLS_CERT": str(chain),
        "OPSC_TLS_KEY": str(key),
    }
    with running(tenant.database, settings) as system:
        parent, right = system.listener.pid, chain.read_text()
        await until_both_are_ready(system)
        first, second = children(parent)
        chain.write_text("no certificate")
        os.kill(parent, signal.SIGHUP)
        await until(lambda: "the others stay" in system.listener.log.read_text())
        assert first not in children(parent)
        assert second in children(parent)
        Wire.signed_in(system.port, vehicle.name).close()
        chain.write_text(right)
        system.listener.wait_until_ready()
        assert second in children(parent)
