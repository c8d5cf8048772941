"""Who may sign in over the network, and who is let go."""

from collections.abc import Callable, Iterator

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant
from tests.listener.registering import registered, revoke, rotate
from tests.listener.running import System, running
from tests.listener.wire import PINGREQ, PINGRESP, Wire, connect
from tests.servers import DatabaseUnderTest, PostgresUnderTest

BAD_USER_NAME_OR_PASSWORD, SERVER_UNAVAILABLE, ADMINISTRATIVE_ACTION = 0x86, 0x88, 0x98


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    with running(database) as running_system:
        yield running_system


def answer(system: System, username: str, password: str = "secret", version: int = 5) -> int | None:
    """Return what CONNACK says."""
    with Wire(system.port) as wire:
        wire.send(connect(username, password, version=version))
        return wire.connack()


async def test_a_tracker_registered_just_now_signs_in(system: System, tenant: Tenant) -> None:
    vehicle = await registered(tenant)
    assert answer(system, vehicle.name) == 0


async def test_who_is_not_known_or_has_a_wrong_secret_is_refused(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    wrong = [
        (vehicle.name, "secreT"),
        (vehicle.name, ""),
        ("", ""),
        (format_id("trk", new_id()), "secret"),
        ("trk_\u00e9" * 1_000, "secret"),
    ]
    assert [answer(system, *pair) for pair in wrong] == [BAD_USER_NAME_OR_PASSWORD] * len(wrong)
    assert [answer(system, *pair, version=4) for pair in wrong] == [4] * len(wrong)


async def test_a_revoked_tracker_is_cut_and_hears_why(system: System, tenant: Tenant) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name) as wire:
        await revoke(tenant, vehicle.tracker_id)
        assert wire.end() == ADMINISTRATIVE_ACTION
    assert answer(system, vehicle.name) == BAD_USER_NAME_OR_PASSWORD


async def test_a_rotated_tracker_is_cut_and_comes_back_with_its_new_secret(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name, version=4) as wire:
        await rotate(tenant, vehicle.tracker_id, "another")
        assert wire.end() is None
    assert answer(system, vehicle.name) == BAD_USER_NAME_OR_PASSWORD
    assert answer(system, vehicle.name, "another") == 0


async def test_without_the_database_the_known_sign_in_and_nobody_is_refused_for_good(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    tenant = await Tenant.create(postgres.migrated_database())
    vehicle = await registered(tenant)
    with running(tenant.database) as system, Wire.signed_in(system.port, vehicle.name) as wire:
        postgres.kill()
        assert answer(system, vehicle.name, "wrong") == SERVER_UNAVAILABLE
        assert answer(system, format_id("trk", new_id()), version=4) == 3
        wire.send(PINGREQ)
        assert wire.read() == (PINGRESP, b"")
        assert answer(system, vehicle.name) == 0
        postgres.start()
