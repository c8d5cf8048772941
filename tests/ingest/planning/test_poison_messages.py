"""A message that the database refuses for ever holds up no other, and ends no term."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from ingest import splitting
from ingest.planning import deferral
from ingest.planning.decoded_batch import decode_batch
from ingest.planning.deferral import finished, joined, shared
from ingest.planning.poison_messages import DATA_ERRORS
from ingest.results import results
from ingest.runtime import IngestRuntime
from ingest.sources.source import RawMessage
from ingest.splitting import clear_poisoned, store_in_parts
from ingest.transaction import LeaderTerm, Stored, plan_with_lookups, store
from telemetry.result import Result
from telemetry.topics import fixes_topic
from tests.ingest.conftest import Device, fix
from tests.ingest.seam import DeviceMessage, now_us, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.ingest.walking import all_known
from tests.servers import DatabaseUnderTest
from tests.waiting import until

PLACE, AWAY = (13.4, 52.5), (13.4, 52.5013)
FIXES = "SELECT count(*) FROM gps_events"
REFUSED = "SELECT reason, detail, positions FROM quarantine"
NO_EVENTS_OF = """
CREATE FUNCTION refuse_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.org_id = '{}' THEN RAISE SQLSTATE '23514'; END IF;
    RETURN new;
END $$;
CREATE TRIGGER picky BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_events();
"""


@pytest.fixture
def picky(database: DatabaseUnderTest) -> Iterator[DatabaseUnderTest]:
    """A database that does not take one seq."""
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        conn.execute("ALTER TABLE gps_events ADD CONSTRAINT picky CHECK (seq <> 666)")
        yield database
        conn.execute("ALTER TABLE gps_events DROP CONSTRAINT IF EXISTS picky")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that ends by what failed alone, however busy the machine is."""
    monkeypatch.setattr(splitting, "SEARCH_S", 600.0)


@contextmanager
def without_events_of(tenant: Tenant) -> Iterator[None]:
    with psycopg.connect(tenant.database.url("admin"), autocommit=True) as conn:
        conn.execute(NO_EVENTS_OF.format(tenant.org_id))
        try:
            yield
        finally:
            conn.execute("DROP TRIGGER picky ON events")
            conn.execute("DROP FUNCTION refuse_events")


def sent(vehicle: Vehicle, number: int, place: tuple[float, float] = AWAY, seq: int = 0) -> Any:
    body = json.dumps(fix(soon(number), *place, seq=seq)).encode()
    return DeviceMessage(vehicle.tracker_id, fixes_topic(vehicle.name), body)


class Answers:
    """The results that a source is told, and in how many transactions."""

    def __init__(self) -> None:
        self.transactions = 0
        self.results: dict[RawMessage, Result] = {}

    def __call__(self, stored: Stored) -> None:
        self.transactions += 1
        done = finished(stored.arrivals, stored.plan)
        self.results.update(zip(done, map(Result, results(*stored)), strict=True))


async def stored_anyhow(term: LeaderTerm, messages: Sequence[RawMessage], told: Answers) -> bool:
    """Store messages as the leader does. Returns whether the batch had to be split."""
    arrivals = decode_batch(messages, now_us())
    plan = await plan_with_lookups(term.conn, arrivals, term.memory, now_us)
    try:
        told(await store(term, arrivals, plan))
    except DATA_ERRORS as error:
        await store_in_parts(term, arrivals, (), error, told)
        return True
    return False


async def test_one_fix_among_thousands_is_found_in_few_transactions(
    tenant: Tenant, picky: DatabaseUnderTest
) -> None:
    vehicles = [await tenant.vehicle() for _ in range(50)]
    messages = [sent(vehicles[n % 50], n // 50 - 200, PLACE) for n in range(5_000)]
    messages[3_333] = sent(vehicles[33], 3_333 // 50 - 200, PLACE, seq=666)
    told = Answers()
    async with term_of(picky) as term:
        assert await stored_anyhow(term, messages, told)
    assert told.results.pop(messages[3_333]) == Result.REFUSED_BY_DATABASE
    assert list(told.results.values()) == [Result.STORED] * 4_999
    assert told.transactions <= 14
    assert tenant.rows(FIXES) == [(4_999,)]
    assert tenant.rows(REFUSED) == [("refused_by_database", "CheckViolation, SQLSTATE 23514", [])]


async def test_one_organizations_events_are_refused_and_all_others_are_stored(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    other = await Tenant.create(database)
    poisoned, vehicles = await other.vehicle(), [await tenant.vehicle() for _ in range(20)]
    for one in (tenant, other):
        await one.zone(square(*PLACE))
    places = [AWAY, PLACE]
    messages = [sent(vehicles[n % 20], n // 20 - 90, places[n // 20 % 2]) for n in range(600)]
    bad = [sent(poisoned, number - 90, places[number % 2]) for number in range(4)]
    for number, message in enumerate(bad):
        messages.insert(100 * number, message)
    told = Answers()
    with without_events_of(other):
        async with term_of(database) as term:
            assert await stored_anyhow(term, messages, told)
            known = all_known(term.memory)
    async with term_of(database) as term:
        assert all_known(term.memory) == known, "memory says what the database says"
    refused = [message for message, code in told.results.items() if code != Result.STORED]
    assert refused
    assert set(refused) <= set(bad)
    assert len(told.results) == 604
    assert len(tenant.rows("SELECT FROM events")) > 0
    assert len(tenant.rows("SELECT FROM gps_events")) == 600


async def test_what_has_failed_in_memory_is_as_if_it_had_never_come(
    tenant: Tenant, picky: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*PLACE))
    async with term_of(picky) as term:
        told = Answers()
        await stored_anyhow(term, [sent(vehicle, -90), sent(vehicle, -80, PLACE)], told)
        await stored_anyhow(term, [sent(vehicle, -5, AWAY, seq=666)], told)
        assert not await stored_anyhow(term, [sent(vehicle, -60, PLACE)], told)
    assert tenant.rows("SELECT left_at FROM visits") == [(None,)]
    late = "SELECT FROM events WHERE data ->> 'late' = 'true'"
    assert tenant.rows(late) == []


async def test_many_that_are_refused_leave_the_rest_for_the_next_batch(
    tenant: Tenant, picky: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "MOST_FAILURES", 8)
    other = await Tenant.create(picky)
    vehicle, quiet = await tenant.vehicle(), await other.vehicle()
    flood = [sent(vehicle, number - 90, seq=666) for number in range(40)]
    good = sent(quiet, -9)
    told, rounds = Answers(), 0
    async with term_of(picky) as term:
        await stored_anyhow(term, [*flood, good], told)
        assert told.results[good] == Result.STORED, "it waits for none of what is refused"
        assert term.memory.deferred
        while term.memory.deferred:
            rounds += 1
            left = joined([one.part for one in term.memory.deferred])
            term.memory.deferred = ()
            await store_in_parts(term, left, (), psycopg.errors.CheckViolation(), told)
    assert rounds < 40
    assert len(told.results) == 41
    assert tenant.rows("SELECT count(*) FROM quarantine") == [(40,)]
    assert other.rows(FIXES) == [(1,)]


async def test_a_poisoned_organization_has_little_of_a_batch_until_one_passes(
    tenant: Tenant, picky: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferral, "POISONED_FIXES", 10)
    other = await Tenant.create(picky)
    poisoned, quiet = await tenant.vehicle(), await other.vehicle()
    async with term_of(picky) as term:
        await stored_anyhow(term, [sent(poisoned, -90, seq=666), sent(quiet, -90)], Answers())
        both = [*(sent(one, n - 60) for one in (poisoned, quiet) for n in range(30))]
        batch = shared(decode_batch(both, now_us()), term.memory, 1_000)
        assert [one.identity for one in batch.messages].count(poisoned.tracker_id) == 10
        assert [one.identity for one in batch.messages].count(quiet.tracker_id) == 30
        assert [len(one.part.messages) for one in batch.behind] == [20]
        clear_poisoned(term.memory, decode_batch([sent(quiet, -5)], now_us()))
        assert term.memory.poisoned
        clear_poisoned(term.memory, batch)
        assert shared(decode_batch(both, now_us()), term.memory, 1_000).behind == ()


async def test_of_whom_too_much_is_left_over_is_known_by_organization(
    tenant: Tenant, picky: DatabaseUnderTest
) -> None:
    other = await Tenant.create(picky)
    busy, quiet = await tenant.vehicle(), await other.vehicle()
    messages = [sent(busy, n - 90) for n in range(40)]
    async with term_of(picky) as term:
        for few, most, held in ((5, 100, []), (5, 80, [tenant]), (30, 100, [tenant, other])):
            left = decode_batch([*messages, *(sent(quiet, n - 90) for n in range(few))], now_us())
            registry = term.memory.registry
            waiting = list(deferral.by_organization(left, registry))
            paused = deferral.over_threshold(waiting, registry, most)
            assert paused == {one.org_id for one in held}


async def test_a_running_ingest_goes_on_in_its_turn(
    tenant: Tenant, device: Device, picky: DatabaseUnderTest, ingest: IngestRuntime
) -> None:
    vehicle, other = await tenant.vehicle(), await tenant.vehicle()
    for number in range(-60, -20):
        await device.send(other, fix(soon(number), *PLACE))
        if number % 10 == 0:
            bad = fix(soon(number), *PLACE, seq=666)
            await device.send(vehicle, fix(soon(number - 1), *PLACE), bad)
    await until(lambda: tenant.rows(FIXES) == [(40,)])
    await until(lambda: tenant.rows("SELECT count(*) FROM quarantine") == [(4,)])
    await until(lambda: ingest.session is not None and not ingest.session.counters.unacknowledged)
    assert "opsc_ingest_terms_total 1.0" in ingest.metrics.page().decode()
    ((row_id,), *_) = tenant.rows("SELECT id FROM quarantine")
    with psycopg.connect(picky.url("admin")) as conn:
        conn.execute("ALTER TABLE gps_events DROP CONSTRAINT picky")
    assert await tenant.release(row_id) == "released"
    await until(lambda: tenant.rows(FIXES) == [(42,)])


async def test_a_row_that_memory_does_not_know_ends_the_turn_once_and_is_refused_then(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    message, told = sent(vehicle, -9), Answers()
    async with term_of(database) as term:
        with psycopg.connect(database.url("admin")) as conn:
            conn.execute(
                "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
                " VALUES (%s, %s, %s, 0, now(), 1, 1)",
                (tenant.org_id, vehicle.tracker_id, json.loads(message.payload)["time"]),
            )
        with pytest.raises(psycopg.errors.UniqueViolation):
            await stored_anyhow(term, [message], told)
        assert told.results == {}
        await stored_anyhow(term, [message], told)
    assert told.results == {message: Result.REFUSED_BY_DATABASE}
