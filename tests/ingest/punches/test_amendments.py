"""Verdicts that a late fix or a corrected job site makes others are replaced, kept and told."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from db.core.connect import Connection
from db.core.ids import new_id
from ingest.amending import amend_some
from ingest.planning.poison_messages import NOT_ABOUT_MESSAGES
from ingest.transaction import LeaderTerm
from service.background.row_guard import GuardMetrics, RowGuard, WorkRow
from telemetry.ids import format_id
from telemetry.topics import fixes_topic
from tests.db.proving import moved, new_order, refusal
from tests.ingest.conftest import fix
from tests.ingest.punches.punching import AWAY, HOME, Crew, Worker, punch
from tests.ingest.seam import DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, soon, square
from tests.servers import DatabaseUnderTest

FAR = (8.54, 47.37)  # hundreds of kilometres from HOME
STANDING = (
    "verdict, revision, (SELECT array_agg(r ->> 'rule') FROM jsonb_array_elements(reasons) r)"
)
EARLIER = "SELECT revision, cause, verdict FROM punch_verdicts ORDER BY punch_id, revision"


@pytest.fixture
async def crew(tenant: Tenant) -> Crew:
    """The employees of an organization with a jobsite at HOME."""
    await tenant.zone(square(*HOME), kind="jobsite", name="Quarry")
    return Crew(tenant)


def phone_fix(worker: Worker, at: datetime, place: tuple[float, float]) -> DeviceMessage:
    """Return a fix of the employee's own tracker."""
    payload = json.dumps(fix(at, *place, accuracy_m=5)).encode()
    return worker.message()._replace(topic=fixes_topic(worker.tracker_name), payload=payload)


class _Nothing:
    """No row has ever failed, and none may."""

    async def failing(self) -> Sequence[tuple[str, str, float]]:
        return ()

    async def note(self, row: WorkRow, error: str, **_: object) -> tuple[int, float] | None:
        raise AssertionError(error)

    async def forget(self, row: WorkRow) -> None: ...


GUARD = RowGuard(_Nothing(), NOT_ABOUT_MESSAGES, (), GuardMetrics(CollectorRegistry()))


async def amend_all(conn: Connection) -> int:
    """Judge again until nothing waits; returns how many verdicts are others."""
    amended = 0
    while (done := await amend_some(conn, GUARD)).judged:
        amended += done.amended
    return amended


def amendments(crew: Crew) -> list[dict[str, Any]]:
    return [data for event_type, data in crew.events() if event_type == "punch.amended"]


async def test_a_late_fix_elsewhere_makes_a_verified_punch_fail_and_the_event_tells_it(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker, at = await crew.worker(), soon(-60)
    sent = punch(worker.employee_id, ago_s=30)
    async with term_of(database) as term:
        await settle(term, [worker.message(sent)])
        assert await amend_all(term.conn) == 0
        await settle(term, [phone_fix(worker, at, FAR)])
        assert await amend_all(term.conn) == 1
        assert await amend_all(term.conn) == 0
    assert crew.stored(STANDING) == [("failed", 2, ["inside", "teleport"])]
    assert crew.tenant.rows(EARLIER) == [(1, "late_fix", "verified")]
    (told,) = amendments(crew)
    ((punch_id,),) = crew.stored("id")
    assert told["punch_id"] == format_id("pun", punch_id)
    assert (told["verdict"], told["previous_verdict"], told["revision"]) == (
        "failed",
        "verified",
        2,
    )
    assert (told["cause"], told["review"]) == ("late_fix", None)
    assert [one["rule"] for one in told["previous_reasons"]] == ["inside"]
    assert crew.tenant.rows("SELECT verdicts FROM shifts") == [({"failed": 1},)]


async def test_a_late_fix_next_to_the_punch_takes_a_leap_back(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    """The employee flew in: the fix of the day before is no leap beside one of just before."""
    worker = await crew.worker()
    async with term_of(database) as term:
        await settle(term, [phone_fix(worker, soon(-1500), FAR)])
        await settle(term, [worker.message(punch(worker.employee_id))])
        assert crew.stored("verdict") == [("failed",)]
        await settle(term, [phone_fix(worker, soon(-20), HOME)])
        assert await amend_all(term.conn) == 1
    assert crew.stored(STANDING) == [("verified", 2, ["inside"])]
    assert crew.tenant.rows(EARLIER) == [(1, "late_fix", "failed")]


async def test_a_fix_that_changes_nothing_is_no_amendment(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    late = phone_fix(worker, soon(-20), HOME)
    async with term_of(database) as term:
        await settle(term, [worker.message(punch(worker.employee_id))])
        for judged in (1, 0):  # the second one is known
            await settle(term, [late])
            assert await amend_some(term.conn, GUARD) == (judged, 0)
    assert crew.stored(STANDING) == [("verified", 1, ["inside"])]
    assert crew.tenant.rows(EARLIER) == [] == amendments(crew)


async def test_only_fixes_that_are_nearer_are_looked_at(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker, stranger = await crew.worker(), await crew.worker()
    async with term_of(database) as term:
        await settle(term, [phone_fix(worker, soon(-50), HOME)])
        await settle(term, [worker.message(punch(worker.employee_id, ago_s=40))])
        for far in (
            phone_fix(worker, soon(-70), FAR),
            phone_fix(worker, soon(-10), FAR),
            phone_fix(stranger, soon(-40), FAR),
        ):
            await settle(term, [far])
            assert (await amend_some(term.conn, GUARD)).judged == 0
    assert crew.stored("verdict, revision") == [("verified", 1)]


@pytest.mark.parametrize("late_first", [False, True])
async def test_any_order_of_arrival_ends_in_the_same_verdict(
    crew: Crew, database: DatabaseUnderTest, late_first: bool
) -> None:
    worker = await crew.worker()
    arrivals = [phone_fix(worker, soon(-25), FAR), worker.message(punch(worker.employee_id))]
    async with term_of(database) as term:
        for one in arrivals if late_first else reversed(arrivals):
            await settle(term, [one])
            await amend_all(term.conn)
    ((verdict, revision, rules),) = crew.stored(STANDING)
    assert (verdict, rules, revision) == ("failed", ["inside", "teleport"], 1 if late_first else 2)


async def test_what_was_noted_is_judged_by_the_next_leader(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    async with term_of(database) as term:
        await settle(term, [worker.message(punch(worker.employee_id))])
        await settle(term, [phone_fix(worker, soon(-20), FAR)])
    async with term_of(database) as term:
        assert await amend_all(term.conn) == 1
    assert crew.stored("verdict, revision") == [("failed", 2)]


# Job sites ----------------------------------------------------------------------------------------


async def punched_at(term: LeaderTerm, worker: Worker, *ago_s: float) -> None:
    """Record punches at AWAY, each in a message of its own."""
    for one in ago_s:
        await settle(term, [worker.message(punch(worker.employee_id, ago_s=one, place=AWAY))])


async def test_a_zone_that_was_made_too_late_makes_punches_true_from_its_time_on(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    async with term_of(database) as term:
        await punched_at(term, worker, 90, 50, 10)
        assert crew.stored("verdict") == [("failed",)] * 3
        await crew.tenant.zone(square(*AWAY), kind="jobsite", made_now=True, valid_from=soon(-70))
        await crew.tenant.zone(square(*AWAY), kind="yard", made_now=True, valid_from=soon(-9999))
        assert await amend_all(term.conn) == 2
        assert await amend_all(term.conn) == 0
    assert [verdict for (verdict,) in crew.stored("verdict")] == ["failed", "verified", "verified"]
    assert crew.tenant.rows(EARLIER) == [(1, "jobsite_changed", "failed")] * 2
    assert {one["cause"] for one in amendments(crew)} == {"jobsite_changed"}
    assert crew.tenant.rows("SELECT FROM jobsite_corrections") == []


async def test_a_site_that_is_given_its_zone_later_is_where_its_employees_were(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    yard = await crew.tenant.zone(square(*AWAY), kind="yard")
    site = await crew.site(yard)
    await crew.execute("UPDATE sites SET zone_id = NULL")
    worker = await crew.worker(sites=[site])
    async with term_of(database) as term:
        await punched_at(term, worker, 5)
        assert crew.stored(STANDING) == [("unverified", 1, ["no_zone"])]
        await crew.execute("UPDATE sites SET zone_id = %s", (yard,))
        assert await amend_all(term.conn) == 1
        assert crew.stored(STANDING + ", zone_id, site_id") == [
            ("verified", 2, ["inside"], yard, site)
        ]
        await crew.execute("UPDATE sites SET zone_id = NULL")
        assert await amend_all(term.conn) == 1
    assert crew.stored(STANDING + ", zone_id") == [("unverified", 3, ["no_zone"], None)]


async def test_a_zone_of_now_on_changes_nothing(crew: Crew, database: DatabaseUnderTest) -> None:
    worker = await crew.worker()
    async with term_of(database) as term:
        await punched_at(term, worker, 30)
        await crew.tenant.zone(square(*AWAY), kind="jobsite", made_now=True, valid_from=soon(0))
        assert await amend_all(term.conn) == 0
    assert crew.stored("verdict, revision") == [("failed", 1)]


async def test_many_punches_take_several_transactions_and_each_is_amended_once(
    crew: Crew, database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("use_cases.punches.amend.MOST_PUNCHES", 3)
    worker = await crew.worker()
    async with term_of(database) as term:
        await settle(term, [worker.message(punch(worker.employee_id, ago_s=9, place=FAR))])
        await punched_at(term, worker, *range(8, 1, -1))
        await crew.tenant.zone(square(*AWAY), kind="jobsite", made_now=True, valid_from=soon(-100))
        assert (await amend_some(term.conn, GUARD)) == (3, 2)
        # Somebody corrects another one meanwhile: it begins again, and doubles nothing.
        await crew.tenant.zone(square(*FAR), kind="jobsite", made_now=True, valid_from=soon(-100))
        assert await amend_all(term.conn) == 6
    assert crew.stored("verdict, revision") == [("verified", 2)] * 8
    assert len(amendments(crew)) == 8


async def test_a_review_stays_and_the_reasons_that_no_site_bears_on_stay(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    mocked = punch(worker.employee_id, ago_s=600, fix_ago_s=600, place=AWAY, mock=True)
    async with term_of(database) as term:
        await settle(term, [worker.message(mocked)])
        await crew.execute(
            "UPDATE punches SET review = 'accepted', reviewed_at = now(), revision = 2,"
            " reviewed_by = (SELECT id FROM users LIMIT 1)"
        )
        await crew.tenant.zone(square(*AWAY), kind="jobsite", made_now=True, valid_from=soon(-9999))
        assert await amend_all(term.conn) == 1
    assert crew.stored(STANDING + ", review") == [
        ("failed", 3, ["inside", "mock", "stale", "offline"], "accepted")
    ]
    assert [one["review"] for one in amendments(crew)] == ["accepted"]


async def test_a_punch_that_came_later_is_no_evidence_against_one_before(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    worker = await crew.worker()
    later = punch(worker.employee_id, "out", ago_s=50, place=FAR, accuracy_m=None)
    async with term_of(database) as term:
        await settle(term, [worker.message(punch(worker.employee_id, ago_s=60))])
        await settle(term, [worker.message(later)])
        await settle(term, [phone_fix(worker, soon(-75), HOME)])
        assert await amend_some(term.conn, GUARD) == (1, 0)
    assert crew.stored("verdict, revision") == [("verified", 1), ("unverified", 1)]


async def test_a_punch_whose_site_is_amended_begins_to_work_on_the_order_of_that_site(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    yard = await crew.tenant.zone(square(*AWAY), kind="yard")
    site = await crew.site(yard)
    await crew.execute("UPDATE sites SET zone_id = NULL")
    worker = await crew.worker(sites=[site])
    order_id = await ordered(crew, site, worker)
    async with term_of(database) as term:
        await punched_at(term, worker, 5)
        for zone_id, expected in ((yard, order_id), (None, None)):
            await crew.execute("UPDATE sites SET zone_id = %s", (zone_id,))
            assert await amend_all(term.conn) == 1
            assert crew.stored("site_id, work_order_id") == [(zone_id and site, expected)]
            assert crew.tenant.rows("SELECT work_order_id FROM shifts") == [(expected,)]


async def ordered(crew: Crew, site: UUID, worker: Worker) -> UUID:
    """Assign a work order at a site."""
    order_id, made = new_id(), crew.tenant
    order = new_order(order_id, site_id=site)
    assert await refusal(made.database, made.org_id, order) is None
    await crew.execute(
        "INSERT INTO work_order_assignees (org_id, work_order_id, employee_id)"
        " VALUES (current_org_id(), %s, %s)",
        (order_id, worker.employee_id),
    )
    await _said(crew, order_id, "created", "assigned")
    return order_id


async def _said(crew: Crew, order_id: UUID, before: str, then: str) -> None:
    """Bring a work order to a state."""
    changes = moved(order_id, before, then)
    assert await refusal(crew.tenant.database, crew.tenant.org_id, *changes) is None


async def test_the_site_of_a_work_order_that_is_done_still_counts(
    crew: Crew, database: DatabaseUnderTest
) -> None:
    yard = await crew.tenant.zone(square(*AWAY), kind="yard")
    site, worker = await crew.site(yard), await crew.worker()
    order_id = await ordered(crew, site, worker)
    async with term_of(database) as term:
        await punched_at(term, worker, 30)
        assert crew.stored("verdict, site_id") == [("verified", site)]
        await _said(crew, order_id, "assigned", "cancelled")
        await crew.tenant.zone(square(*FAR), kind="jobsite", made_now=True, valid_from=soon(-100))
        assert await amend_some(term.conn, GUARD) == (1, 0)
    assert crew.stored("verdict, revision") == [("verified", 1)]
