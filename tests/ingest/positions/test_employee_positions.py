"""The newest position of each employee who is shown: what the fixes of their trackers say, or
nothing.
"""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db.core.connect import connect
from db.core.errors import DatabaseError
from ingest.positions.newest import NewestPositions
from ingest.positions.writer import PositionWriter
from ingest.recovery import recover
from ingest.runtime import IngestRuntime
from ingest.transaction import LeaderTerm
from telemetry.topics import fixes_topic
from tests.ingest.conftest import Device, fix
from tests.ingest.punches.punching import Crew, Worker
from tests.ingest.seam import DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.servers import DatabaseUnderTest
from tests.waiting import until

EAST, NORTH = 13.4, 52.5


@pytest.fixture
async def term(database: DatabaseUnderTest) -> AsyncIterator[LeaderTerm]:
    async with term_of(database) as leading:
        yield leading


@pytest.fixture
async def crew(database: DatabaseUnderTest) -> Crew:
    crew = Crew(await Tenant.create(database))
    await crew.tenant.settings(shows_employees=True)
    return crew


def kept(crew: Crew) -> dict[UUID, float]:
    """Return the latitude of each employee who has a position."""
    query = "SELECT employee_id, lat FROM latest_employee_positions WHERE time IS NOT NULL"
    return dict(crew.tenant.rows(query))


def rows(crew: Crew) -> int:
    return crew.tenant.rows("SELECT count(*) FROM latest_employee_positions")[0][0]


async def write_all(term: LeaderTerm) -> None:
    writer = PositionWriter(term.epoch, term.positions, term.memory.registry, term.metrics)
    while term.positions:
        await writer.write_some(term.conn, soon(0))


async def send(term: LeaderTerm, worker: Worker, *fixes: dict[str, Any]) -> None:
    """Store fixes of an employee's tracker, and write the positions."""
    payload = json.dumps(list(fixes)).encode()
    await settle(term, [DeviceMessage(None, fixes_topic(worker.tracker_name), payload)])
    await write_all(term)


async def test_an_employee_is_where_their_newest_fix_is(term: LeaderTerm, crew: Crew) -> None:
    worker, other = await crew.worker(), await crew.worker()
    at = soon(-5)
    values = {"seq": 7, "speed_mps": 2.5, "course_deg": 90.25, "accuracy_m": 3.5}
    await send(term, worker, fix(at, EAST, NORTH, **values))
    await send(term, other, fix(soon(-5), EAST, NORTH + 0.1))
    assert crew.tenant.rows(
        "SELECT employee_id, tracker_id, time, seq, lat, lon, speed_mps, course_deg, accuracy_m"
        " FROM latest_employee_positions WHERE lat < 52.55"
    ) == [(worker.employee_id, worker.tracker_id, at, 7, NORTH, EAST, 2.5, 90.25, 3.5)]
    await send(term, worker, fix(soon(-1), EAST, NORTH + 0.001))
    assert kept(crew) == {worker.employee_id: NORTH + 0.001, other.employee_id: NORTH + 0.1}


async def test_of_two_trackers_the_newest_fix_counts_and_a_late_one_never(
    term: LeaderTerm, crew: Crew
) -> None:
    one = await crew.worker()
    two = Worker(one.employee_id, await crew.tenant.loose_tracker())
    await crew.put_on(two.tracker_id, two.employee_id)
    await send(term, one, fix(soon(-10), EAST, NORTH))
    await send(term, two, fix(soon(-5), EAST, NORTH + 0.001))
    await send(term, one, fix(soon(-7), EAST, NORTH + 0.002))
    assert kept(crew) == {one.employee_id: NORTH + 0.001}
    await send(term, two, fix(soon(-6), EAST, NORTH + 0.003))
    assert kept(crew) == {one.employee_id: NORTH + 0.001}


async def test_fixes_count_from_the_beginning_to_the_end_of_an_assignment(
    term: LeaderTerm, crew: Crew
) -> None:
    first, second = await crew.worker(), await crew.employee()
    await send(term, first, fix(soon(-30), EAST, NORTH), fix(soon(-10), EAST, NORTH + 0.001))
    await crew.tenant.take_off(first.tracker_id, soon(-20))  # the newest one is of nobody now
    await crew.put_on(first.tracker_id, second, soon(-15))
    await settle(term, [])
    await write_all(term)
    assert kept(crew) == {first.employee_id: NORTH, second: NORTH + 0.001}


async def test_a_tracker_that_goes_to_an_asset_shows_the_asset_and_no_employee_any_more(
    term: LeaderTerm, crew: Crew
) -> None:
    worker, asset_id = await crew.worker(), await crew.tenant.asset()
    await send(term, worker, fix(soon(-30), EAST, NORTH))
    await crew.tenant.take_off(worker.tracker_id, soon(-20))
    await crew.tenant.put_on(worker.tracker_id, asset_id, soon(-20))
    await send(term, worker, fix(soon(-5), EAST, NORTH + 0.001))
    assert kept(crew) == {worker.employee_id: NORTH}
    assert crew.tenant.rows("SELECT asset_id, lat FROM latest_positions") == [
        (asset_id, NORTH + 0.001)
    ]


async def test_nothing_is_kept_until_the_organization_shows_its_employees_and_again_after(
    term: LeaderTerm, crew: Crew
) -> None:
    worker = await crew.worker()
    await crew.tenant.settings(shows_employees=False)
    await send(term, worker, fix(soon(-9), EAST, NORTH))
    assert rows(crew) == 0
    assert term.positions.pop_of_employees(9) == []  # it costs nothing
    await crew.tenant.settings(shows_employees=True)  # without another fix
    await settle(term, [])
    await write_all(term)
    assert kept(crew) == {worker.employee_id: NORTH}
    await crew.tenant.settings(shows_employees=False)
    await settle(term, [])
    await write_all(term)  # what was being written when it was turned off goes, too
    assert rows(crew) == 0
    await send(term, worker, fix(soon(-1), EAST, NORTH + 0.001))
    assert rows(crew) == 0


@pytest.mark.parametrize("one_of_it", ["left_on = '2026-01-31'", "active = false"])
async def test_nothing_is_kept_of_an_employee_who_has_left(
    term: LeaderTerm, crew: Crew, one_of_it: str
) -> None:
    worker = await crew.worker()
    await send(term, worker, fix(soon(-9), EAST, NORTH))
    await crew.execute(f"UPDATE employees SET {one_of_it} WHERE id = %s", [worker.employee_id])
    await send(term, worker, fix(soon(-1), EAST, NORTH + 0.001))
    assert rows(crew) == 0


async def test_a_fix_of_an_asset_asks_for_no_employee(term: LeaderTerm, crew: Crew) -> None:
    await crew.worker()
    vehicle = await crew.tenant.vehicle()
    loose = Vehicle(await crew.tenant.loose_tracker(), vehicle.asset_id)
    await settle(term, [])
    await write_all(term)
    for each in (vehicle, loose):
        payload = json.dumps([fix(soon(-1), EAST, NORTH)]).encode()
        await settle(term, [DeviceMessage(None, fixes_topic(each.name), payload)])
    assert term.positions.pop_of_employees(9) == []


async def test_what_cannot_be_written_waits(
    database: DatabaseUnderTest, term: LeaderTerm, crew: Crew
) -> None:
    worker = await crew.worker()
    payload = json.dumps([fix(soon(-1), EAST, NORTH)]).encode()
    await settle(term, [DeviceMessage(None, fixes_topic(worker.tracker_name), payload)])
    writer = PositionWriter(term.epoch, term.positions, term.memory.registry, term.metrics)
    async with await connect(database.url("opsc_ingest"), "test") as broken:
        await broken.execute("SET default_transaction_read_only = on")
        with pytest.raises(DatabaseError):
            await writer.write_some(broken, soon(0))
    assert kept(crew) == {}
    await write_all(term)
    assert kept(crew) == {worker.employee_id: NORTH}


def test_a_number_of_trackers_is_looked_at_a_time() -> None:
    positions = NewestPositions()
    positions.outdate_employees(range(5))
    positions.outdate_employees([0, 7])
    assert positions.pop_of_employees(4) == [0, 1, 2, 3]
    assert positions.pop_of_employees(4) == [4, 7]
    assert not positions


async def test_two_organizations_keep_their_own(
    database: DatabaseUnderTest, term: LeaderTerm, crew: Crew
) -> None:
    theirs = Crew(await Tenant.create(database))
    ours, hidden = await crew.worker(), await theirs.worker()
    for worker in (ours, hidden):
        await send(term, worker, fix(soon(-1), EAST, NORTH))
    assert kept(crew) == {ours.employee_id: NORTH}
    assert rows(theirs) == 0


async def test_a_new_term_derives_them_and_removes_those_that_are_hidden(
    term: LeaderTerm, crew: Crew
) -> None:
    worker = await crew.worker()
    await send(term, worker, fix(soon(-9), EAST, NORTH))
    await crew.tenant.settings(shows_employees=False)
    assert rows(crew) == 1  # the leader was gone by then
    memory = await recover(term.conn)
    later = LeaderTerm(term.conn, term.epoch, memory, term.metrics, term.now_us)
    later.positions.outdate_employees(memory.registry.employee_trackers)
    await write_all(later)
    assert rows(crew) == 0


async def test_positions_of_employees_follow_their_fixes_and_a_new_term(
    ingest: IngestRuntime, device: Device, crew: Crew
) -> None:
    worker = await crew.worker()
    at = soon(-1) - timedelta(seconds=1)
    await device.send(Vehicle(worker.tracker_id, worker.employee_id), fix(at, EAST, NORTH))
    await until(lambda: kept(crew) == {worker.employee_id: NORTH})
    with psycopg.connect(crew.tenant.database.url("admin"), autocommit=True) as conn:
        conn.execute("DELETE FROM latest_employee_positions")
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await until(lambda: kept(crew) == {worker.employee_id: NORTH})
