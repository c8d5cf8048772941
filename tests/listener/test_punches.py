"""A punch that the listener has acknowledged is stored, whatever is killed meanwhile.

While a role is killed, trackers send fixes, and a poller looks at what each COMMIT shows.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from mqtt import BrokerAddress, Session, SessionOptions, Subscription
from telemetry.ids import format_id
from telemetry.topics import ack_topic, punches_topic
from tests.ingest.punches.punching import AWAY, HOME, Crew, Worker, punch
from tests.ingest.tenants import Tenant, soon, square
from tests.listener.running import RoleProcess, System, running
from tests.listener.test_faults import sending
from tests.servers import DatabaseUnderTest, beside
from tests.waiting import until

WORKERS = 3
MOST_PUNCHES = 400  # fewer than an employee may send in a day
PAUSE_S = 0.2
IN_FLIGHT = 3  # an odd number: what is committed together ends with `in` and with `out`
POLL_S = 0.02
TORN = """
    SELECT 'shifts of an employee', array_agg(shifts.open) FROM employees
     CROSS JOIN LATERAL (SELECT kind FROM punches WHERE employee_id = employees.id
                          ORDER BY claimed_at DESC LIMIT 1) AS last
     CROSS JOIN LATERAL (SELECT count(*) AS open FROM shifts
                          WHERE employee_id = employees.id AND ended_at IS NULL) AS shifts
     WHERE shifts.open <> (last.kind = 'in')::int
    HAVING count(*) > 0
     UNION ALL
    SELECT 'punches and events', ARRAY[punches.count, told.count]
      FROM (SELECT count(*) FROM punches) AS punches,
           (SELECT count(*) FROM events WHERE type LIKE 'employee.%') AS told
     WHERE punches.count <> told.count
"""
"""What is never to be seen: an employee whose last punch is `in` without one open shift, another
employee with one, or a punch without its event."""


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    """A listener and an ingest, running again after each test."""
    with running(database) as running_system:
        yield running_system


@pytest.fixture
async def crew(tenant: Tenant) -> Crew:
    """The employees of an organization with a jobsite at HOME."""
    await tenant.zone(square(*HOME), kind="jobsite")
    return Crew(tenant)


@asynccontextmanager
async def signed_in(
    system: System, worker: Worker, *subscriptions: Subscription
) -> AsyncIterator[Session]:
    """Provide the connection of a worker's tracker, which comes again when it is cut."""
    options = SessionOptions(
        worker.tracker_name,
        username=worker.tracker_name,
        password=b"secret",
        subscriptions=subscriptions,
        reconnect_max_s=0.3,
    )
    async with Session(BrokerAddress.parse(system.url), options) as session:
        yield session


async def send(session: Session, worker: Worker, *punches: dict[str, Any]) -> None:
    """Send one message, and return once it is acknowledged."""
    body = punches[0] if len(punches) == 1 else list(punches)
    await session.publish(punches_topic(worker.tracker_name), json.dumps(body).encode(), qos=1)


async def test_a_puback_means_that_the_punch_is_stored_with_its_event(
    system: System, crew: Crew
) -> None:
    worker = await crew.worker()
    async with signed_in(system, worker) as session:
        await send(session, worker, punch(worker.employee_id, ago_s=5))
        assert crew.stored("verdict, kind") == [("verified", "in")]
        assert [event_type for event_type, _ in crew.events()] == ["employee.punched_in"]
        away = punch(worker.employee_id, "out", ago_s=2, place=AWAY)
        await send(session, worker, {**away, "kind": "lunch"}, away, away)
    assert crew.stored("verdict, kind") == [("verified", "in"), ("failed", "out")]
    assert crew.tenant.rows("SELECT reason, positions FROM quarantine") == [("undecodable", [0])]


async def test_a_receipt_counts_punches(system: System, crew: Crew) -> None:
    worker = await crew.worker()
    await crew.execute("UPDATE trackers SET receipts = true, revision = %s", with_revision=True)
    sent = [punch(worker.employee_id, ago_s=ago_s) for ago_s in (9, 8)]
    stranger = punch((await Crew(await Tenant.create(crew.tenant.database)).worker()).employee_id)
    own = Subscription(ack_topic(worker.tracker_name))
    async with signed_in(system, worker, own) as session:
        await send(session, worker, *sent, stranger)
        (message,) = await session.receive(max_messages=1)
    receipt = json.loads(message.payload)
    assert (receipt["count"], receipt["rejected"]) == (2, ["unknown_employee"])


KILLS = [pytest.param(3, id="3"), pytest.param(20, id="20", marks=pytest.mark.long)]


@pytest.mark.parametrize("kills", KILLS)
async def test_an_ingest_that_is_killed_costs_no_punch_and_doubles_none(
    system: System, crew: Crew, kills: int
) -> None:
    await kill_beside(system, crew, kills, system.ingest)


@pytest.mark.parametrize("kills", KILLS)
async def test_a_listener_that_is_killed_costs_no_punch_and_doubles_none(
    system: System, crew: Crew, kills: int
) -> None:
    await kill_beside(system, crew, kills, system.listener)


async def kill_beside(system: System, crew: Crew, kills: int, role: RoleProcess) -> None:
    """Kill a role while workers punch and trackers send, and compare what they were told with what
    is stored.
    """
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    workers = [await crew.worker() for _ in range(WORKERS)]
    stop = asyncio.Event()
    sent: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        polling = tasks.create_task(poll_until(stop, crew))
        async with sending(crew.tenant, system.port) as fleet:
            for worker in workers:
                tasks.create_task(punch_until(stop, system, worker, sent))
            for _ in range(kills):
                await asyncio.sleep(moments.uniform(0.05, 0.6))
                await asyncio.to_thread(role.kill)
                await beside(role.start)
            await fleet.progress()
            await until(lambda: len(sent) >= kills)  # on a busy machine few came between the kills
            stop.set()
    stored = crew.stored("employee_id, claimed_at")
    assert len(stored) == len(set(stored)) == len(sent) >= kills
    told = {data["punch_id"] for _, data in crew.events()}
    assert told == {format_id("pun", punch_id) for (punch_id,) in crew.stored("id")}
    assert len(crew.events()) == len(told)
    assert crew.tenant.rows(TORN) == crew.tenant.rows("SELECT FROM quarantine") == []
    print(f"seed {seed}: {kills} kills, {len(sent)} punches, {fleet.acknowledged} fixes,")
    print(f"{polling.result()} looks at {len(workers)} employees")


async def poll_until(stop: asyncio.Event, crew: Crew) -> int:
    """Look at what is committed until `stop`. Returns how often."""
    looks = 0
    while not stop.is_set():
        assert await asyncio.to_thread(crew.tenant.rows, TORN) == []
        looks += 1
        await asyncio.sleep(POLL_S)
    return looks


async def punch_until(stop: asyncio.Event, system: System, worker: Worker, sent: list[str]) -> None:
    """Send `in` and `out` in turn until `stop`, and add to `sent` what was acknowledged."""
    told: list[str] = []
    began = soon(-MOST_PUNCHES)
    async with signed_in(system, worker) as session:
        while not stop.is_set() and len(told) < MOST_PUNCHES:
            numbers = range(len(told), len(told) + IN_FLIGHT)
            some = [
                punch(
                    worker.employee_id,
                    ("in", "out")[number % 2],
                    time=(began + timedelta(seconds=number)).isoformat(),
                )
                for number in numbers
            ]
            await asyncio.gather(*(send(session, worker, one) for one in some))
            told += [one["time"] for one in some]
            sent += [one["time"] for one in some]
            await asyncio.sleep(PAUSE_S)
