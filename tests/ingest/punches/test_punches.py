"""Punches that trackers send are judged, stored once, told by an event, and acknowledged then."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from db.core.connect import connect
from db.core.tenant import act_for
from db.history import inbox
from db.punches.rows import Fate, NewPunch, Recorded
from ingest import splitting
from ingest.planning.decoded_batch import decode_batch
from ingest.planning.poison_messages import DATA_ERRORS
from ingest.results import results
from ingest.splitting import store_in_parts
from ingest.transaction import plan_with_lookups, store
from telemetry.ids import format_id
from telemetry.result import Result
from telemetry.times import parse_time_us
from telemetry.topics import fixes_topic, teltonika_imei_topic, teltonika_topic
from tests.ingest.conftest import fix
from tests.ingest.punches.punching import AWAY, HOME, Crew, Worker, punch
from tests.ingest.seam import DeviceMessage, now_us, settle, term_of
from tests.ingest.tenants import Tenant, soon, square
from tests.listener.tcp import boxes
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from use_cases.punches.record import record

REFUSED = (
    "SELECT reason, positions, tracker_id IS NOT NULL FROM quarantine ORDER BY reason, positions"
)


@pytest.fixture
async def crew(tenant: Tenant) -> Crew:
    """The employees of an organization with a jobsite at HOME."""
    await tenant.zone(square(*HOME), kind="jobsite", name="Quarry")
    return Crew(tenant)


def rules(reasons: list[dict[str, Any]]) -> list[str]:
    return [reason["rule"] for reason in reasons]


HOUR_S = 3600


async def test_a_leap_from_a_fix_of_the_employees_tracker_is_seen(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    elsewhere = fix(soon(-60), 8.54, 47.37, accuracy_m=5)
    fixes = worker.message()._replace(
        topic=fixes_topic(worker.tracker_name), payload=json.dumps(elsewhere).encode()
    )
    async with term_of(database) as term:
        told = await settle(term, [fixes, worker.message(punch(worker.employee_id))])
    assert told == [Result.STORED] * 2
    ((verdict, reasons),) = crew.stored("verdict, reasons")
    assert (verdict, rules(reasons)) == ("failed", ["inside", "teleport"])
    assert crew.tenant.rows("SELECT FROM visits") == []


async def test_a_punch_that_failed_is_no_place_to_leap_from(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    sent = [
        punch(worker.employee_id, ago_s=60, place=(8.54, 47.37)),
        punch(worker.employee_id, ago_s=30, place=(8.54, 47.37), mock=True),
        punch(worker.employee_id, ago_s=2),
    ]
    async with term_of(database) as term:
        await settle(term, [worker.message(*sent[:2])])
        await settle(term, [worker.message(sent[2])])
    assert crew.stored("verdict") == [("failed",), ("failed",), ("verified",)]


async def test_who_may_punch_with_what(crew: Crew, database: DatabaseUnderTest) -> None:
    own, other = await crew.worker(), await crew.worker()
    guest = await crew.employee(by=["terminal"])
    nobody = await crew.worker(by=["phone"])
    wall = Worker(guest, await crew.tenant.loose_tracker())
    await crew.terminal(wall.tracker_id)
    sent = [
        own.message(punch(own.employee_id)),
        other.message(punch(own.employee_id, ago_s=2)),
        wall.message(punch(guest)),
        wall.message(punch(other.employee_id, ago_s=2)),
        nobody.message(punch(nobody.employee_id)),
    ]
    async with term_of(database) as term:
        assert await settle(term, sent) == [Result.STORED] * 5
    expected = {
        (own.employee_id, own.tracker_id): "verified",
        (own.employee_id, other.tracker_id): "failed",
        (guest, wall.tracker_id): "verified",
        (other.employee_id, wall.tracker_id): "failed",
        (nobody.employee_id, nobody.tracker_id): "failed",
    }
    stored = crew.stored("employee_id, tracker_id, verdict, reasons")
    assert {(who, by): verdict for who, by, verdict, _ in stored} == expected
    wrong = [rules(reasons) for *_, verdict, reasons in stored if verdict == "failed"]
    assert wrong == [["inside", "wrong_device"]] * 3


async def test_of_two_sites_the_best_counts_and_only_those_of_the_employee(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    near = await crew.tenant.zone(square(13.405, 52.5), kind="jobsite", punch_tolerance_m=500.0)
    yard = await crew.tenant.zone(square(*AWAY), kind="yard")
    site, of_near = await crew.site(yard), await crew.site(near)
    anywhere, at_yard = await crew.worker(), await crew.worker(sites=[site])
    place = (13.4035, 52.5)  # 33 m outside of `near`, farther from the others
    async with term_of(database) as term:
        for one, ago_s, where in ((at_yard, 60, AWAY), (at_yard, 30, place), (anywhere, 1, place)):
            sent = punch(one.employee_id, ago_s=ago_s, place=where)
            await settle(term, [one.message(sent)])
    found = crew.stored("employee_id, zone_id, site_id, verdict, round(margin_m / 10)")
    assert found == [
        (at_yard.employee_id, yard, site, "verified", 9),
        (at_yard.employee_id, yard, site, "failed", -35),
        (anywhere.employee_id, near, of_near, "verified", 47),
    ]


async def test_the_zone_counts_as_it_was_at_the_time_of_the_fix(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    crew = Crew(tenant)
    zone = await tenant.zone(square(*HOME), kind="jobsite")
    await tenant.change_zone(zone, square(*AWAY), soon(-1800))
    worker = await crew.worker()
    before, after = (punch(worker.employee_id, ago_s=ago_s) for ago_s in (3600, 900))
    async with term_of(database) as term:
        await settle(term, [worker.message(before, after)])
    found = crew.stored("verdict, zone_version, reasons -> 0 ->> 'rule'")
    assert found == [("unverified", 1, "inside"), ("failed", 2, "outside")]


async def test_a_deleted_zone_and_no_zone_prove_nothing(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    crew = Crew(tenant)
    zone = await tenant.zone(square(*HOME), kind="jobsite")
    await tenant.zone(square(*HOME), kind="yard")
    await tenant.change_zone(zone, None, soon(-600))
    worker = await crew.worker()
    async with term_of(database) as term:
        await settle(term, [worker.message(punch(worker.employee_id))])
    assert crew.stored("verdict, zone_id, reasons -> 0 ->> 'rule'") == [
        ("unverified", None, "no_zone")
    ]


async def test_a_machine_that_the_terminal_is_on_is_evidence(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    machine, guest = await crew.tenant.vehicle(), await crew.employee(by=["terminal"])
    await crew.terminal(machine.tracker_id)
    wall = Worker(guest, machine.tracker_id)
    near = fix(soon(-100), HOME[0], HOME[1] + 0.0001, accuracy_m=5)
    fixes = wall.message()._replace(
        topic=fixes_topic(machine.name), payload=json.dumps(near).encode()
    )
    async with term_of(database) as term:
        await settle(term, [wall.message(punch(guest)), fixes])
    assert crew.stored("verdict, asset_id, round(machine_distance_m)") == [
        ("verified", machine.asset_id, 11)
    ]


@pytest.mark.parametrize(
    ("topic", "distance_m", "verdict"),
    [(teltonika_topic, 11, "unverified"), (teltonika_imei_topic, None, "verified")],
)
async def test_fixes_of_a_device_without_a_secret_are_no_evidence(
    crew: Crew,
    database: DatabaseUnderTest,
    topic: Callable[[str], str],
    distance_m: int | None,
    verdict: str,
) -> None:
    machine, guest = await crew.tenant.vehicle(), await crew.employee(by=["terminal"])
    await crew.terminal(machine.tracker_id)
    wall, worker = Worker(guest, machine.tracker_id), await crew.worker()

    def sent(who: Worker, lat: float) -> DeviceMessage:
        time_ms = int(soon(-100).timestamp() * 1000)
        payload = boxes.packet([boxes.record(time_ms, lat, HOME[0])])
        return who.message()._replace(topic=topic(who.tracker_name), payload=payload)

    async with term_of(database) as term:
        await settle(term, [wall.message(punch(guest)), sent(wall, HOME[1] + 0.0001)])
        await settle(term, [sent(worker, HOME[1] + 1)])  # 111 km off
        await settle(term, [worker.message(punch(worker.employee_id))])
    assert crew.stored("verdict, round(machine_distance_m)") == [
        ("verified", distance_m),
        (verdict, None),
    ]


async def test_a_second_in_is_stored_and_breaks_have_no_event(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    kinds = ["in", "in", "break_start", "break_end", "out"]
    sent = [punch(worker.employee_id, kind, ago_s=50 - n) for n, kind in enumerate(kinds)]
    async with term_of(database) as term:
        await settle(term, [worker.message(*sent)])
    assert [kind for (kind,) in crew.stored("kind")] == kinds
    types = [event_type for event_type, _ in crew.events()]
    assert types == ["employee.punched_in"] * 2 + ["employee.punched_out"]


async def test_an_event_tells_the_verdict_and_the_evidence(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    sent = punch(worker.employee_id, ago_s=2, note="gate 3")
    async with term_of(database) as term:
        await settle(term, [worker.message(sent)])
    ((event_type, data),) = crew.events()
    assert event_type == "employee.punched_in"
    assert data["employee_id"] == worker.name
    assert data["tracker_id"] == worker.tracker_name
    assert data["claimed_at"] == data["pay_time"]
    assert parse_time_us(data["claimed_at"]) == parse_time_us(sent["time"])
    assert (data["verdict"], data["zone_name"], data["late"]) == ("verified", "Quarry", False)
    assert rules(data["reasons"]) == ["inside"]
    assert data["reasons"][0]["figures"]["tolerance_m"] == 25
    assert data["margin_m"] == pytest.approx(25 - data["distance_m"])
    ((punch_id, note),) = crew.stored("id, note")
    assert (data["punch_id"], note) == (format_id("pun", punch_id), "gate 3")


async def test_a_time_that_nothing_confirms_is_not_paid_before_the_punch_before(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    blind = {"lat": None, "lon": None, "fix_time": None}
    first, second = soon(-HOUR_S), soon(-2 * HOUR_S)
    sent = [
        punch(worker.employee_id, ago_s=HOUR_S, time=first.isoformat(), fix_time=first.isoformat()),
        punch(worker.employee_id, "out", ago_s=2 * HOUR_S, time=second.isoformat(), **blind),
    ]
    async with term_of(database) as term:
        for one in sent:
            await settle(term, [worker.message(one)])
    columns = "claimed_at, pay_time, pay_time_source, server_time = received_at"
    assert crew.stored(columns) == [
        (second, first, "disputed", True),
        (first, first, "claimed", None),
    ]


# Messages -----------------------------------------------------------------------------------------


async def test_a_message_that_comes_again_is_stored_once(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    message = worker.message(*(punch(worker.employee_id, ago_s=n + 1) for n in range(3)))
    moved = worker.message({**json.loads(message.payload)[0], "lat": 1.0})
    async with term_of(database) as term:
        told = await settle(term, [message, message])
        again = await settle(term, [message, moved])
    assert told == again == [Result.STORED] * 2
    assert crew.stored("verdict, revision") == [("verified", 1)] * 3
    assert len(crew.events()) == 3
    assert crew.tenant.rows(REFUSED) == []


async def test_what_is_wrong_with_one_punch_does_not_cost_the_others(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    stranger = await Crew(await Tenant.create(database)).employee()
    good = punch(worker.employee_id)
    message = worker.message(
        {**good, "kind": "lunch"},
        good,
        {**good, "lat": 91},
        punch(stranger),
        {**good, "time": "1999-12-31T23:59:59Z"},
        {**good, "employee_id": None},
        "in",
    )
    async with term_of(database) as term:
        assert await settle(term, [message]) == [Result.STORED]
        assert await settle(term, [worker.message(punch(stranger))]) == [Result.UNKNOWN_EMPLOYEE]
    assert crew.stored("employee_id") == [(worker.employee_id,)]
    assert crew.tenant.rows(REFUSED) == [
        ("ancient", [4], True),
        ("bad_coordinate", [2], True),
        ("undecodable", [0, 5, 6], True),
        ("unknown_employee", [], True),
        ("unknown_employee", [3], True),
    ]


async def test_nobody_punches_for_an_employee_of_another_organization(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    others = Crew(await Tenant.create(database))
    theirs, own = await others.worker(by=["tracker", "terminal"]), await crew.worker()
    await crew.terminal(own.tracker_id)
    async with term_of(database) as term:
        told = await settle(term, [own.message(punch(theirs.employee_id))])
    assert told == [Result.UNKNOWN_EMPLOYEE]
    assert crew.stored("id") == others.stored("id") == []
    ((detail,),) = crew.tenant.rows("SELECT detail FROM quarantine")
    assert detail == f"no employee of the tracker's organization is {theirs.name}"


async def test_more_than_the_bound_of_a_day_goes_into_quarantine_and_can_be_released(
    crew: Crew, database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("use_cases.punches.record.MAX_PUNCHES_PER_DAY", 3)
    worker = await crew.worker()
    sent = [punch(worker.employee_id, ago_s=n + 1) for n in range(5)]
    async with term_of(database) as term:
        assert await settle(term, [worker.message(*sent[:2])]) == [Result.STORED]
        assert await settle(term, [worker.message(*sent[2:])]) == [Result.STORED]
        assert await settle(term, [worker.message(sent[4])]) == [Result.RATE]
        assert len(crew.stored("id")) == 3
        for (row_id,) in crew.tenant.rows("SELECT id FROM quarantine WHERE positions <> '{}'"):
            assert await crew.tenant.release(row_id) == "released"
        async with await connect(database.url("opsc_ingest"), "test") as conn:
            released = await inbox.waiting(conn, 10, 1_000_000)
        assert await settle(term, released) == [Result.STORED]
    assert len(crew.stored("id")) == 5


async def test_a_punch_that_the_database_refuses_costs_no_other(
    crew: Crew, database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, other = await crew.worker(), await crew.worker()
    poison = worker.message(punch(worker.employee_id, note="poison"))
    messages = [poison, other.message(punch(other.employee_id))]
    messages += [worker.message(punch(worker.employee_id, ago_s=n + 2)) for n in range(6)]
    told: list[Result] = []
    monkeypatch.setattr(splitting, "SEARCH_S", 600.0)
    async with await connect(database.url("admin"), "test") as conn:
        await conn.execute("ALTER TABLE punches ADD CONSTRAINT picky CHECK (note <> 'poison')")
    try:
        async with term_of(database) as term:
            arrivals = decode_batch(messages, now_us())
            plan = await plan_with_lookups(term.conn, arrivals, term.memory, now_us)
            try:
                await store(term, arrivals, plan)
            except DATA_ERRORS as error:
                await store_in_parts(
                    term,
                    arrivals,
                    (),
                    error,
                    lambda stored: told.extend(map(Result, results(*stored))),
                )
    finally:
        async with await connect(database.url("admin"), "test") as conn:
            await conn.execute("ALTER TABLE punches DROP CONSTRAINT picky")
    assert sorted(told) == [Result.STORED] * 7 + [Result.REFUSED_BY_DATABASE]
    assert len(crew.stored("id")) == 7
    assert crew.tenant.rows(REFUSED) == [("refused_by_database", [], True)]


# Ingest beside the API ----------------------------------------------------------------------------


async def recorded_by_api(tenant: Tenant, *punches: NewPunch) -> list[Recorded]:
    """Record punches as the API does: as its role, for its tenant."""
    conn = await connect(tenant.database.url("opsc_app"), "test")
    async with conn, conn.transaction():
        await act_for(conn, tenant.org_id)
        return await record(conn, punches)


def by_phone(tenant: Tenant, employee_id: UUID, ago_s: float = 1, **more: Any) -> NewPunch:
    at_us = now_us() - round(ago_s * 1_000_000)
    place = {"fix_time_us": at_us, "lon": HOME[0], "lat": HOME[1], "accuracy_m": 8.0}
    return NewPunch(tenant.org_id, employee_id, "in", at_us, now_us(), **place, **more)


async def test_the_application_records_punches_of_its_own_tenant_alone(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    others = Crew(await Tenant.create(database))
    own, theirs = await crew.employee(by=["phone"]), await others.employee(by=["phone"])
    new = by_phone(crew.tenant, own)
    (made,) = await recorded_by_api(crew.tenant, new)
    (again,) = await recorded_by_api(crew.tenant, new)
    (foreign,) = await recorded_by_api(crew.tenant, by_phone(others.tenant, theirs))
    (stranger,) = await recorded_by_api(crew.tenant, by_phone(crew.tenant, theirs))
    assert [one.fate for one in (made, again)] == [Fate.STORED, Fate.KNOWN]
    assert foreign.fate == stranger.fate == Fate.UNKNOWN_EMPLOYEE
    assert crew.stored("id, verdict, tracker_id") == [(made.id, "verified", None)]
    assert others.stored("id") == []
    assert [event_type for event_type, _ in crew.events()] == ["employee.punched_in"]


async def test_what_somebody_enters_by_hand_is_asked_for_no_device(crew: Crew) -> None:
    employee = await crew.employee(by=[])
    ((user,),) = crew.tenant.rows("SELECT id FROM users")
    by_hand = {"entered_by": user, "entry_reason": "the phone was broken"}
    new = by_phone(crew.tenant, employee, ago_s=2 * 86_400, **by_hand)
    await recorded_by_api(crew.tenant, new._replace(lat=None, lon=None, fix_time_us=None))
    found = crew.stored("verdict, reasons, pay_time = claimed_at, pay_time_source, server_time")
    ((verdict, reasons, *pay),) = found
    assert (verdict, rules(reasons)) == ("unverified", ["no_fix", "offline"])
    assert pay == [True, "entered", None]


async def test_ingest_waits_for_the_api_and_sees_its_punch(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker(by=["phone", "tracker"])
    far = by_phone(crew.tenant, worker.employee_id, ago_s=2)
    far = far._replace(lon=8.54, lat=47.37, fix_time_us=now_us() - 400_000_000)
    conn = await connect(database.url("opsc_app"), "test")
    async with conn, term_of(database) as term:
        async with conn.transaction():
            await act_for(conn, crew.tenant.org_id)
            await record(conn, [far])
            settling = asyncio.create_task(
                settle(term, [worker.message(punch(worker.employee_id))])
            )
            await waits_for_a_lock(database)
        assert await settling == [Result.STORED]
    assert crew.stored("verdict, reasons -> 1 ->> 'rule'")[-1] == ("failed", "teleport")


async def waits_for_a_lock(database: DatabaseUnderTest) -> None:
    query = (
        b"SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'opsc_ingest'"
    )
    async with await connect(database.url("admin"), "test") as conn:

        async def is_waiting() -> bool:
            return bool(await (await conn.execute(query)).fetchall())

        await until(is_waiting)


async def test_two_that_record_one_punch_at_once_store_it_once(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    employee = await crew.employee(by=["phone"])
    new = by_phone(crew.tenant, employee)
    ends = await asyncio.gather(*(recorded_by_api(crew.tenant, new) for _ in range(5)))
    assert sorted(one.fate for (one,) in ends) == [Fate.KNOWN] * 4 + [Fate.STORED]
    assert len(crew.stored("id")) == len(crew.events()) == 1
