"""Positions of an employee are erased in all places, and nobody else's, wherever a process ends."""

from __future__ import annotations

import asyncio
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from archive.errors import StoreError
from archive.store import Store, StoreUrl
from db.archive import moving
from db.core.connect import Connection, connect
from db.core.ids import new_id
from tests.archive.erasures import (
    CHANGED,
    Phones,
    erase,
    erasing_asked,
    erasing_that_dies,
    last_job,
    phones,
    stored_keys,
)
from tests.archive.fleet import NOW, OLD, insert, minutes, objects_of, seen, truck
from tests.archive.passes import FORK, archive, folder_store
from tests.servers import DatabaseUnderTest


@pytest_asyncio.fixture
async def people(database: DatabaseUnderTest, admin: Connection, store: Store) -> Phones:
    """Two days are archived, and each of Anna's has a late fix."""
    await admin.execute("DELETE FROM jobs")
    await admin.execute("TRUNCATE fix_hours, fix_hours_changed, quarantine")
    tenant, _ = await truck(admin, database)
    people = await phones(admin, tenant)
    await archive(database, store)
    await insert(admin, tenant, people.shared, minutes(5.5))
    await insert(admin, tenant, people.own, [OLD + timedelta(days=1, minutes=5.5)])
    return people


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def left(database: DatabaseUnderTest, people: Phones, store: Store) -> dict[str, int]:
    """Return how many fixes readers are shown."""
    tenant = people.tenant
    found = {
        name: len((await seen(database, tenant, store, employee_ids=[employee_id]))[0])
        for name, employee_id in (("anna", people.anna), ("ben", people.ben))
    }
    return {"all": (await seen(database, tenant, store))[1], **found}


def of_anna(people: Phones, folder: Path) -> set[tuple[str, datetime]]:
    """Return Anna's fixes in any file of the archive."""
    shared, own = str(people.shared.tracker_id), str(people.own.tracker_id)
    return {
        (tracker, at)
        for tracker, at in stored_keys(folder)
        if tracker == own or (tracker == shared and at < CHANGED)
    }


async def test_all_of_an_employee_is_erased_and_read_back(
    database: DatabaseUnderTest, admin: Connection, people: Phones, store: Store, tmp_path: Path
) -> None:
    neighbour, _ = await truck(admin, database)
    await archive(database, store)  # so that an older object waits for its removal
    assert await left(database, people, store) == {"all": 236, "anna": 94, "ben": 41}
    assert of_anna(people, tmp_path)
    await erasing_asked(database, people.tenant, people.anna)
    job = await erase(database, store, people.tenant)
    erased = job["result"]["erased"]
    assert (job["state"], job["done"], job["total"], job["error"]) == ("done", 94, 94, None)
    assert (erased["fixes"], erased["archived_fixes"], erased["messages"]) == (2, 92, 0)
    assert erased["read_back_at"] is not None
    assert await left(database, people, store) == {"all": 142, "anna": 0, "ben": 41}
    assert of_anna(people, tmp_path) == set()
    # Nothing is in the store but what is named: the day that was hers alone has no object at all.
    days = await objects_of(admin)
    assert files(tmp_path) == sorted(tmp_path / day.path for day in days)
    assert [(day.day, day.rows) for day in days if day.org_id == people.tenant.org_id] == [
        (OLD.date(), 140)
    ]
    assert (await seen(database, neighbour, store))[1] == 101
    assert people.tenant.rows("SELECT count(*) FROM job_inputs") == [(0,)]


async def test_of_a_time_only_that_is_erased(
    database: DatabaseUnderTest, people: Phones, store: Store
) -> None:
    since, until = minutes(10, 20)
    await erasing_asked(database, people.tenant, people.anna, since, until)
    job = await erase(database, store, people.tenant)
    assert (job["state"], job["done"]) == ("done", 10)
    assert await left(database, people, store) == {"all": 226, "anna": 84, "ben": 41}
    # A second time finds nothing, and says so.
    await erasing_asked(database, people.tenant, people.anna, since, until)
    assert (await erase(database, store, people.tenant))["done"] == 0


async def test_marks_positions_and_quarantine_go_with_the_fixes(
    database: DatabaseUnderTest, admin: Connection, people: Phones, store: Store
) -> None:
    tenant, own = people.tenant, people.own.tracker_id
    await admin.execute(
        "INSERT INTO fix_hours SELECT org_id, tracker_id, date_trunc('hour', time, 'UTC'), 1,"
        " 1, 1, 1, 1 FROM gps_events WHERE time >= %s ON CONFLICT DO NOTHING",
        (NOW - timedelta(hours=1),),
    )
    await admin.execute(
        "INSERT INTO latest_employee_positions (org_id, employee_id, tracker_id, time, seq, lat,"
        " lon) VALUES (%s, %s, %s, %s, 0, 52.5, 13.4)",
        (tenant.org_id, people.anna, own, NOW),
    )
    came = {own: NOW, people.shared.tracker_id: NOW}  # the second is Ben's by then
    for tracker_id, at in came.items():
        await admin.execute(
            "INSERT INTO quarantine (org_id, id, tracker_id, digest, topic, reason, detail,"
            " positions, payload, payload_bytes, payload_sha256, first_received_at,"
            " last_received_at) VALUES (%s, %s, %s, %s, 't', 'r', 'd', '{}', 'x', 1, '', %s, %s)",
            (tenant.org_id, new_id(), tracker_id, tracker_id.bytes * 2, at, at),
        )
    await erasing_asked(
        database, tenant, people.anna, NOW - timedelta(minutes=30), NOW + timedelta(minutes=1)
    )
    job = await erase(database, store, tenant)
    assert (job["result"]["erased"]["fixes"], job["result"]["erased"]["messages"]) == (1, 1)
    assert tenant.rows("SELECT tracker_id FROM quarantine") == [(people.shared.tracker_id,)]
    hour = NOW.replace(minute=0)
    assert tenant.rows(f"SELECT hour FROM fix_hours WHERE tracker_id = '{own}'") == [
        (hour - timedelta(hours=1),)
    ]
    marks = tenant.rows(f"SELECT DISTINCT hour FROM fix_hours_changed WHERE tracker_id = '{own}'")
    assert (hour,) in marks
    position = "SELECT tracker_id, time FROM latest_employee_positions"
    assert tenant.rows(position) == [(own, NOW - timedelta(hours=1))]
    await erasing_asked(database, tenant, people.anna)
    await erase(database, store, tenant)
    assert tenant.rows(position) == [(None, None)]


async def test_the_end_is_in_the_audit_with_what_was_erased(
    database: DatabaseUnderTest, people: Phones, store: Store
) -> None:
    job_id = await erasing_asked(database, people.tenant, people.anna)
    await erase(database, store, people.tenant)
    asked, done = people.tenant.rows(
        f"SELECT action, changes FROM audit_events WHERE resource_id = '{job_id}' ORDER BY seq"
    )
    assert (asked[0], asked[1]["employee_id"]["new"]) == ("insert", str(people.anna))
    assert (done[0], done[1]["state"]) == ("update", {"old": "running", "new": "done"})
    assert done[1]["result"]["new"]["erased"]["archived_fixes"] == 90


async def test_a_cancelled_job_ends_and_what_is_gone_stays_gone(
    database: DatabaseUnderTest, admin: Connection, people: Phones, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()

    class Cancelling(Store):
        def sha256(self, path: str) -> tuple[bytes, int]:
            work = admin.execute(
                "UPDATE jobs SET state = 'cancelled', ended_at = now(), claim = NULL"
            )
            asyncio.run_coroutine_threadsafe(work, loop).result()
            return super().sha256(path)

    store = Cancelling(StoreUrl.read(tmp_path.as_uri()))
    await erasing_asked(database, people.tenant, people.anna)
    job = await erase(database, store, people.tenant)
    assert (job["state"], job["result"]["erased"]["fixes"]) == ("cancelled", 4)
    assert job["result"]["erased"]["archived_fixes"] == 0
    assert (await left(database, people, store))["anna"] == 90
    await archive(database, store)  # the object that nothing names goes
    assert len(files(tmp_path)) == 2


async def test_what_cannot_be_done_fails_with_the_reason_and_what_was_erased(
    database: DatabaseUnderTest, people: Phones, tmp_path: Path
) -> None:
    class Away(Store):
        def open(self, path: str) -> Any:
            raise StoreError("the store is away")

    tenant = people.tenant
    for store, reason in (
        (None, "OPSC_ARCHIVE_URL"),
        (Away(StoreUrl.read(tmp_path.as_uri())), "cut off too often"),
    ):
        await erasing_asked(database, tenant, people.anna)
        job = await erase(database, store, tenant)
        assert (job["state"], reason in job["error"]) == ("failed", True), job
        assert job["result"]["erased"]["read_back_at"] is None
    assert (await left(database, people, folder_store(tmp_path)))["anna"] == 90


async def test_it_waits_for_a_pass_and_a_pass_ends_for_it(
    database: DatabaseUnderTest, admin: Connection, people: Phones, store: Store
) -> None:
    async with await connect(database.url("opsc_deliver"), "test") as conn:
        assert await moving.begin(conn)
        await erasing_asked(database, people.tenant, people.anna)
        waiting = asyncio.create_task(erase(database, store, people.tenant))
        await asyncio.sleep(0.3)
        assert last_job(people.tenant)["state"] == "waiting"
        await moving.end(conn)
        assert (await waiting)["state"] == "done"
    await insert(admin, people.tenant, people.shared, [OLD + timedelta(days=3)])  # Ben's
    await erasing_asked(database, people.tenant, people.anna)
    assert (await archive(database, store)).fixes == 0
    assert (await erase(database, store, people.tenant))["state"] == "done"
    assert (await archive(database, store)).fixes == 1


async def test_a_process_may_be_killed_at_any_step(
    database: DatabaseUnderTest, admin: Connection, people: Phones, store: Store, tmp_path: Path
) -> None:
    await erasing_asked(database, people.tenant, people.anna)
    for steps in range(200):
        # A kill without a step between would be one too many of five.
        await admin.execute("UPDATE jobs SET tries = 0")
        worker = FORK.Process(
            target=erasing_that_dies,
            args=(database.url("opsc_deliver"), tmp_path.as_uri(), steps),
        )
        worker.start()
        await asyncio.to_thread(worker.join)
        shown = await left(database, people, store)
        assert (shown["all"] - shown["anna"], shown["ben"]) == (142, 41), steps
        if worker.exitcode == 0:
            break
        assert worker.exitcode == -signal.SIGKILL
        if steps < 6:  # there is something to do again
            await insert(admin, people.tenant, people.shared, minutes(0.01 * steps))
    assert steps > 8
    job = last_job(people.tenant)
    erased = job["result"]["erased"]
    assert (job["state"], job["done"]) == ("done", erased["fixes"] + erased["archived_fixes"])
    assert shown == {"all": 142, "anna": 0, "ben": 41}
    assert of_anna(people, tmp_path) == set()
    assert files(tmp_path) == sorted(tmp_path / day.path for day in await objects_of(admin))
