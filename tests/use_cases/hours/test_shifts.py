"""Shifts as they are stored: always those that all punches together make, and one open at most."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.ids import new_id
from db.core.table import db_now
from db.hours.periods import KnownTimesheets, add_missing
from db.hours.punches import PunchTimes, punches_around
from db.hours.rules import read_rules, until_left
from db.hours.shifts import SHIFTS, ShiftFilter, ShiftRow
from db.punches import punch_list
from db.punches.rows import NewPunch
from operations.hours.shifts import CreditedPunch, shifts_of
from telemetry.times import to_datetime, to_us
from tests.db.rows import transaction
from tests.ingest.punches.punching import Crew
from tests.ingest.tenants import Tenant, soon
from tests.servers import DatabaseUnderTest
from use_cases.hours.derive import derive_since, shift_rows
from use_cases.punches.record import record
from use_cases.punches.review import record_review

SEED = 20260329
START = datetime(2026, 3, 2, 6, tzinfo=UTC)  # a Monday
KINDS = ("in", "out", "break_start", "break_end", "in", "out")
NEVER_OUT = ("in", "in", "in", "break_start", "break_end")


@pytest.fixture
async def crew(database: DatabaseUnderTest) -> Crew:
    """The employees of a new organization."""
    return Crew(await Tenant.create(database))


@asynccontextmanager
async def acting(crew: Crew, role: str = "opsc_app") -> AsyncIterator[Connection]:
    """Provide a transaction of the organization."""
    async with transaction(crew.tenant.database, role, crew.tenant.org_id) as conn:
        yield conn


def punched(crew: Crew, employee_id: UUID, kind: str, at: datetime) -> NewPunch:
    """Return a punch that is received when it is made."""
    time_us = to_us(at)
    return NewPunch(crew.tenant.org_id, employee_id, kind, time_us, time_us)


async def all_punches(conn: Connection) -> list[CreditedPunch]:
    """Read every punch of the organization."""
    cursor = await conn.execute(
        "SELECT id, kind, (extract(epoch FROM pay_time) * 1000000)::bigint, verdict,"
        " (extract(epoch FROM server_time) * 1000000)::bigint, review, site_id, asset_id"
        " FROM punches"
    )
    return [CreditedPunch(*row) for row in await cursor.fetchall()]


async def stored(conn: Connection, **wanted: Any) -> list[ShiftRow]:
    rows = await SHIFTS.listing(conn, ShiftFilter(**wanted), after=None, limit=1000, offset=0)
    assert await SHIFTS.count(conn, ShiftFilter(**wanted), 1001) == len(rows)
    return sorted(rows, key=lambda row: (row.started_at, row.id))


async def check(conn: Connection, employee_id: UUID) -> None:
    """Compare what is stored with what all punches make."""
    punches = await all_punches(conn)
    now_us = to_us(await db_now(conn))
    rules = until_left(RULES, await value_of(conn, "SELECT left_on FROM employees"), "UTC")
    expected = shift_rows(employee_id, shifts_of(punches, rules.shifts, "UTC", now_us), punches)
    assert await stored(conn) == sorted(expected, key=lambda row: (row.started_at, row.id))


RULES = read_rules({})


@pytest.mark.parametrize(
    ("seed", "kinds"),
    [*((seed, KINDS) for seed in range(12)), *((seed, NEVER_OUT) for seed in range(12, 18))],
)
async def test_shifts_are_those_of_all_punches_in_whatever_order_and_pieces_they_come(
    crew: Crew, seed: int, kinds: Sequence[str]
) -> None:
    random_ = random.Random(SEED + seed)
    employee_id = await crew.employee(by=("phone",))
    # Some punches share a second or an instant, some lie farther apart than a shift may last.
    hours = [random_.choice((0, 0, 1, 2, 4, 9, 20)) for _ in range(40)]
    apart_us = [random_.choice((0, 0, 1, 999_999)) for _ in hours]
    times = [
        START + timedelta(hours=sum(hours[:number]), microseconds=apart_us[number])
        for number in range(40)
    ]
    punches = [punched(crew, employee_id, random_.choice(kinds), at) for at in times]
    random_.shuffle(punches)
    while punches:
        size = random_.randint(1, 8)
        batch, punches = punches[:size], punches[size:]
        async with acting(crew) as conn:
            await record(conn, batch)
            await check(conn, employee_id)
        if random_.random() < 0.6:
            async with acting(crew) as conn:
                await review_any(conn, crew, random_)
                await check(conn, employee_id)
        if random_.random() < 0.3:
            async with acting(crew) as conn:
                await leave(conn, crew, employee_id, random_)
                await check(conn, employee_id)


async def leave(conn: Connection, crew: Crew, employee_id: UUID, random_: random.Random) -> None:
    """Let the employee leave on a day of their punches, or stay."""
    before = await value_of(conn, "SELECT left_on FROM employees")
    days = [START.date() + timedelta(days=number) for number in range(8)]
    then = random_.choice([None, *days])
    await conn.execute("UPDATE employees SET left_on = %s", (then,))
    ends = [datetime.combine(day, time(), UTC) + timedelta(days=1) for day in (before, then) if day]
    if ends:
        await derive_since(conn, (crew.tenant.org_id, employee_id), min(ends))


async def review_any(conn: Connection, crew: Crew, random_: random.Random) -> None:
    """Accept or reject one of the punches."""
    chosen = random_.choice(await all_punches(conn))
    punch = await punch_list.find(conn, chosen.id)
    assert punch is not None
    review = random_.choice(("accepted", "rejected", "rejected"))
    by = (await (await conn.execute("SELECT id FROM users")).fetchall())[0][0]
    at = await db_now(conn)
    await record_review(conn, crew.tenant.org_id, punch, review, None, by, at)


async def test_a_thousand_punches_of_an_employee(crew: Crew) -> None:
    employee_id = await crew.employee(by=("phone",))
    punches = [
        punched(crew, employee_id, kind, START + timedelta(hours=12 * number + hour))
        for number in range(500)
        for kind, hour in (("in", 0), ("out", 8))
    ]
    for start in range(0, len(punches), 100):
        async with acting(crew) as conn:
            await record(conn, punches[start : start + 100])
    async with acting(crew) as conn:
        await check(conn, employee_id)
        assert len(await stored(conn)) == 500
        late = punched(crew, employee_id, "out", START + timedelta(hours=2400 + 4))
        await record(conn, [late])
        await check(conn, employee_id)


async def test_of_somebody_who_never_punches_out_a_late_punch_reads_no_more_than_its_shift(
    crew: Crew,
) -> None:
    employee_id = await crew.employee(by=("phone",))
    days = [START + timedelta(days=day) for day in range(40)]
    async with acting(crew) as conn:
        await record(conn, [punched(crew, employee_id, "in", day) for day in days])
        late = days[1] + timedelta(hours=20)  # so that the next one is in its shift
        await record(conn, [punched(crew, employee_id, "in", late)])
        await check(conn, employee_id)
        around = await punches_around(
            conn, [PunchTimes(crew.tenant.org_id, employee_id, late, late)]
        )
    found = around[crew.tenant.org_id, employee_id]
    assert [to_datetime(punch.time_us) for punch in found] == [days[1], late, days[2]]


async def test_a_shift_that_the_next_days_of_a_longer_rule_were_part_of_is_derived_anew(
    crew: Crew,
) -> None:
    """An `in` that opened no shift by the rules of then does not end what is read."""
    employee_id = await crew.employee(by=("phone",))
    ins = [punched(crew, employee_id, "in", START + timedelta(days=day)) for day in range(5)]
    await crew.tenant.settings(timesheet_rules={"longest_shift_s": 604_800})
    async with acting(crew) as conn:
        await record(conn, ins)
        assert len(await stored(conn)) == 1
    await crew.tenant.settings(timesheet_rules={})
    async with acting(crew) as conn:
        await record(conn, [punched(crew, employee_id, "break_start", START + timedelta(hours=2))])
        await check(conn, employee_id)


async def test_one_shift_is_open_at_any_moment_whoever_punches_at_once(crew: Crew) -> None:
    employee_id = await crew.employee(by=("phone",))
    opened: list[int] = []

    async def one(number: int) -> None:
        kind = "in" if number % 3 else "out"
        async with acting(crew, "opsc_ingest" if number % 2 else "opsc_app") as conn:
            await record(conn, [punched(crew, employee_id, kind, soon(-600 + number))])

    async def watch() -> None:
        while True:
            query = "SELECT count(*) FROM shifts WHERE ended_at IS NULL"
            opened.append(crew.tenant.rows(query)[0][0])
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    for first in range(0, 32, 8):
        await asyncio.gather(*(one(number) for number in range(first, first + 8)))
    watching.cancel()
    assert set(opened) <= {0, 1}
    async with acting(crew) as conn:
        await check(conn, employee_id)


async def test_the_database_refuses_a_second_open_shift(crew: Crew) -> None:
    employee_id = await crew.employee(by=("phone",))
    async with acting(crew) as conn:
        await record(conn, [punched(crew, employee_id, kind, soon(-9)) for kind in ("in", "in")])
        await record(conn, [punched(crew, employee_id, "break_end", soon(-8))])
    with pytest.raises(UniqueViolation, match="employee_has_one_open_shift"):
        async with acting(crew) as conn:
            await conn.execute(
                "INSERT INTO shifts SELECT org_id, %s, employee_id,"
                " (SELECT id FROM punches WHERE kind = 'break_end'), NULL, started_at, NULL, 0, 0,"
                " NULL, NULL, NULL, NULL, verdicts, flags, lapses_at, lapsed FROM shifts",
                (new_id(),),
            )


async def test_a_shift_that_nobody_ends_is_read_as_ended_by_rule(crew: Crew) -> None:
    """It was open when its punch came, and nothing has been written since."""
    employee_id = await crew.employee(by=("phone",))
    punch = punched(crew, employee_id, "in", soon(-3 * 3600))
    async with acting(crew) as conn:
        await record(conn, [punch])
        (shift,) = await stored(conn, open=True)
        assert (shift.ended_at, shift.worked_s) == (None, 0)
        assert await stored(conn, open=False) == []
    # As if the punch had come sixteen hours earlier.
    await crew.execute(
        "UPDATE shifts SET started_at = started_at - interval '16 h',"
        " lapses_at = lapses_at - interval '16 h'"
    )
    async with acting(crew) as conn:
        assert await stored(conn, open=True) == []
        (shift,) = await stored(conn, open=False)
        assert shift.ended_at is not None
        assert (shift.ended_at - shift.started_at, shift.worked_s) == (timedelta(hours=16), 57_600)
        assert [flag["name"] for flag in shift.flags] == ["missing_out", "unverified"]


async def test_ingest_may_derive_shifts_and_make_timesheets(crew: Crew) -> None:
    employee_id = await crew.employee(by=("phone",))
    async with transaction(crew.tenant.database, "opsc_ingest") as conn:
        await record(
            conn,
            [
                punched(crew, employee_id, "in", START),
                punched(crew, employee_id, "out", START + timedelta(hours=8)),
                punched(crew, employee_id, "in", START + timedelta(days=6, hours=14)),
                punched(crew, employee_id, "out", START + timedelta(days=6, hours=20)),
            ],
        )
    assert crew.tenant.rows(
        "SELECT worked_s, opened_by IS NOT NULL, closed_by IS NOT NULL FROM shifts"
        " ORDER BY started_at"
    ) == [(28_800, True, True), (21_600, True, True)]
    rows = crew.tenant.rows("SELECT first_day, last_day, state FROM timesheets ORDER BY first_day")
    assert [(first.isoformat(), last.isoformat(), state) for first, last, state in rows] == [
        ("2026-03-02", "2026-03-08", "open"),
        ("2026-03-09", "2026-03-15", "open"),
    ]


async def test_a_timesheet_of_other_periods_begins_where_the_known_ones_end(crew: Crew) -> None:
    employee_id = await crew.employee(by=("phone",))
    key = (crew.tenant.org_id, employee_id)
    for stored_rules, day in (({}, START), ({"period": "month"}, START + timedelta(days=10))):
        async with acting(crew) as conn:
            for _ in range(2):
                nothing, rules = KnownTimesheets({}, {}), {key: read_rules(stored_rules)}
                await add_missing(conn, nothing, {key: [day.date()]}, rules)
    rows = crew.tenant.rows("SELECT first_day, last_day FROM timesheets ORDER BY first_day")
    assert [(first.day, last.day) for first, last in rows] == [(2, 8), (9, 31)]


# The database by itself ---------------------------------------------------------------------------


async def test_nobody_changes_or_removes_an_adjustment(crew: Crew) -> None:
    employee_id = await crew.employee(by=("phone",))
    async with acting(crew) as conn:
        await record(conn, [punched(crew, employee_id, "in", START)])
    await crew.execute(
        "INSERT INTO timesheet_adjustments"
        " SELECT t.org_id, %s, t.id, t.first_day, 60, 'x', u.id FROM timesheets t, users u",
        (new_id(),),
    )
    for statement in (
        "UPDATE timesheet_adjustments SET seconds = 1",
        "DELETE FROM timesheet_adjustments",
        "DELETE FROM timesheets",
    ):
        with pytest.raises(InsufficientPrivilege):
            await crew.execute(statement)
    assert json.dumps(crew.tenant.rows("SELECT seconds FROM timesheet_adjustments")) == "[[60]]"
