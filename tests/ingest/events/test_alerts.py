"""Alerts: they are what the events tell, whatever happens, and what people did with them stays."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from db.core.ids import new_id
from db.history import visits as stored_visits
from db.history.events import Event
from db.history.visits import Departure, VisitRow
from db.resources import alerts
from db.resources.alerts import MAX_LOG
from geofence.model.policy import BREACH, DWELL, OVERSPEED
from ingest.metrics import IngestMetrics
from ingest.recovery import recover
from ingest.transaction import LeaderTerm
from telemetry.ids import format_id, parse_id
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.ingest.walking import BATCHES, Walk, fail_to_take, lease_of, microseconds, take
from tests.servers import DatabaseUnderTest, PostgresUnderTest

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("checkpoints_lie_a_minute_apart")


async def test_alerts_are_what_the_events_tell(postgres: PostgresUnderTest) -> None:
    database = postgres.migrated_database()
    walk = await Walk.begin(database, seed=2)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(walk.now)
        )
        for number in range(BATCHES):
            messages = await walk.step()
            if number % 20 == 7:  # and a new leader begins with what is stored
                await fail_to_take(term, messages, walk.now)
                term = LeaderTerm(conn, epoch, await recover(conn), term.metrics, term.now_us)
            await take(term, messages, walk.now)
    expected: dict[UUID, tuple[UUID | None, set[str]]] = {}
    for event_id, type_, data in walk.tenant.rows(
        "SELECT id, type, data FROM events WHERE type <> 'asset.visit_amended'"
    ):
        visit_id = data["visit_id"] and parse_id("vis", data["visit_id"])
        is_start = data.get("cause") == "schedule_started"
        word = "schedule_started" if is_start else data.get("transition", "overspeed")
        assert word in type_ or "breach" in type_ or is_start or word == "dwell"
        is_own = is_start or (data["zone_kind"], word) == ("allowed", "exit")
        alert_id = event_id if is_own or visit_id is None else visit_id
        expected.setdefault(alert_id, (visit_id, set()))[1].add(word)
    amended = {
        parse_id("vis", data["visit_id"])
        for (data,) in walk.tenant.rows(
            "SELECT data FROM events WHERE type = 'asset.visit_amended'"
            " AND data->>'change' IN ('end', 'merged')"
        )
    }
    gone = {row[0] for row in walk.tenant.rows("SELECT id FROM visits WHERE retracted")}
    stored = walk.tenant.rows("SELECT id, visit_id, told, state, retracted FROM alerts")
    assert {row[0]: row[1] for row in stored} == {key: one[0] for key, one in expected.items()}
    for alert_id, visit_id, words, _, is_retracted in stored:
        if is_retracted and visit_id not in gone:  # left, and had not
            assert words == ["exit"]
            continue
        lacking = expected[alert_id][1] - set(words)
        assert not lacking or (lacking == {"exit"} and alert_id in amended)
        assert set(words) <= expected[alert_id][1]
        assert len(words) == len(set(words))
    assert {(row[1] in gone, row[3], row[4]) for row in stored} - {(False, "resolved", True)} == {
        (False, "new", False),
        (True, "resolved", True),
    }
    assert {word for row in stored for word in row[2]} >= {"enter", "exit", "schedule_started"}
    postgres.drop(database)


def told(
    tenant: Tenant,
    visit_id: UUID,
    transition: str,
    at: datetime = AT,
    kind: str = "restricted",
    cause: str = "moved",
) -> Event:
    """Return an event of a visit as ingest makes it."""
    data = {
        "asset_id": format_id("ast", tenant.org_id),
        "asset_name": "Truck",
        "zone_id": format_id("zon", tenant.org_id),
        "zone_name": "Quarry",
        "zone_kind": kind,
        "cause": cause,
        "visit_id": format_id("vis", visit_id),
        "lat": 47.0,
        "lon": 8.0,
    }
    types = {"dwell": DWELL, "overspeed": OVERSPEED}
    if transition != "overspeed":
        data["transition"] = transition
    return Event(tenant.org_id, new_id(), types.get(transition, BREACH), at, json.dumps(data))


async def tell(database: DatabaseUnderTest, *events: Event) -> None:
    async with transaction(database, "opsc_ingest") as conn:
        await alerts.tell(conn, events)


async def resolve(database: DatabaseUnderTest, tenant: Tenant, alert_id: UUID) -> None:
    async with transaction(database, "opsc_app", tenant.org_id) as conn:
        alert = await alerts.table.get(conn, alert_id, lock=True)
        await alerts.change(conn, alert._replace(state="resolved"), new_id(), AT, None)


def state_of(tenant: Tenant, alert_id: UUID) -> tuple[str, set[str], list[str]]:
    ((state, words, log),) = tenant.database.run(
        "admin", "SELECT state, told, log FROM alerts WHERE id = %s", [alert_id]
    )
    return state, set(words), [entry["state"] for entry in log]


async def test_what_is_told_again_changes_nothing_and_what_is_worse_opens_again(
    database: DatabaseUnderTest,
) -> None:
    tenant, visit_id = await Tenant.create(database), new_id()
    enter = told(tenant, visit_id, "enter")
    await tell(database, enter)
    await resolve(database, tenant, visit_id)
    await tell(database, enter, told(tenant, visit_id, "exit"))
    assert state_of(tenant, visit_id) == ("resolved", {"enter", "exit"}, ["resolved"])
    await tell(database, enter, told(tenant, visit_id, "overspeed"))
    assert state_of(tenant, visit_id) == (
        "new",
        {"enter", "exit", "overspeed"},
        ["resolved", "new"],
    )
    await resolve(database, tenant, visit_id)
    await tell(database, told(tenant, visit_id, "overspeed"))
    assert state_of(tenant, visit_id)[0] == "resolved"


def stay(tenant: Tenant, visit_id: UUID, entered_at: datetime = AT, **fields: Any) -> VisitRow:
    """Return a visit of the asset and the zone of `told`."""
    row = VisitRow(
        *(tenant.org_id, visit_id, tenant.org_id, tenant.org_id, 1, new_id(), entered_at, 0, None),
        *(entered_at, 47.0, 8.0),
        entry_cause="moved",
    )
    return row._replace(**fields)


async def follow(database: DatabaseUnderTest, *visits: VisitRow) -> None:
    async with transaction(database, "opsc_ingest") as conn:
        await stored_visits.amend(conn, visits)
        await alerts.follow(conn, visits)


async def test_a_visit_that_never_was_resolves_its_alert_once(database: DatabaseUnderTest) -> None:
    tenant, visit_id = await Tenant.create(database), new_id()
    await tell(database, told(tenant, visit_id, "enter"))
    never = stay(tenant, visit_id, retracted=True)
    for visit in (stay(tenant, visit_id), never, never):
        await follow(database, visit)
    assert state_of(tenant, visit_id) == ("resolved", {"enter"}, ["resolved"])
    await tell(database, told(tenant, visit_id, "dwell"))
    assert state_of(tenant, visit_id)[0] == "resolved"


@pytest.mark.parametrize("was_resolved", [False, True])
async def test_a_visit_that_is_part_of_another_passes_on_that_it_is_open(
    database: DatabaseUnderTest, was_resolved: bool
) -> None:
    tenant, first, second = await Tenant.create(database), new_id(), new_id()
    later = AT + timedelta(minutes=5)
    await tell(database, told(tenant, first, "enter"), told(tenant, first, "exit"))
    await tell(database, told(tenant, second, "enter", at=later))
    await resolve(database, tenant, first)
    began = told(tenant, first, "enter", cause="schedule_started")
    await tell(database, began)
    await resolve(database, tenant, began.id)
    if was_resolved:
        await resolve(database, tenant, second)
    await follow(
        database,
        stay(tenant, first, exit_announced=True),
        stay(tenant, second, later, retracted=True),
    )
    assert state_of(tenant, second)[0] == "resolved"
    assert state_of(tenant, began.id)[0] == "resolved"  # that is another thing
    # The first one is open again in any case: it was told to have left, and has not.
    assert state_of(tenant, first) == ("new", {"enter"}, ["resolved", "new"])


async def test_an_exit_that_was_none_opens_it_again_once(database: DatabaseUnderTest) -> None:
    tenant, visit_id = await Tenant.create(database), new_id()
    await tell(database, told(tenant, visit_id, "enter"), told(tenant, visit_id, "exit"))
    await resolve(database, tenant, visit_id)
    lasts = stay(tenant, visit_id, exit_announced=True)
    await follow(database, lasts)
    assert state_of(tenant, visit_id) == ("new", {"enter"}, ["resolved", "new"])
    await resolve(database, tenant, visit_id)
    await follow(database, lasts)
    assert state_of(tenant, visit_id)[0] == "resolved"


async def test_the_log_of_what_happens_has_a_bound(database: DatabaseUnderTest) -> None:
    tenant, visit_id = await Tenant.create(database), new_id()
    await tell(database, told(tenant, visit_id, "enter"))
    for _ in range(MAX_LOG):
        await resolve(database, tenant, visit_id)
    await tell(database, told(tenant, visit_id, "dwell"))
    state, _, log = state_of(tenant, visit_id)
    assert (state, len(log), log[-1]) == ("new", MAX_LOG, "new")


async def test_leaving_an_allowed_zone_is_an_alert_of_its_own_that_follows_the_visit(
    database: DatabaseUnderTest,
) -> None:
    tenant, visit_id = await Tenant.create(database), new_id()
    came = told(tenant, visit_id, "enter", kind="allowed")
    left = told(tenant, visit_id, "exit", AT + timedelta(hours=9), kind="allowed")
    await tell(database, came)
    await resolve(database, tenant, visit_id)
    await tell(database, left)
    assert state_of(tenant, visit_id)[0] == "resolved"
    assert state_of(tenant, left.id) == ("new", {"exit"}, [])
    lasts = stay(tenant, visit_id, exit_announced=True)
    await follow(database, lasts)
    assert state_of(tenant, left.id) == ("resolved", {"exit"}, ["resolved"])
    ends = Departure(
        *(tenant.org_id, visit_id, AT + timedelta(hours=12), 47.0, 8.0, "moved", None),
        *(new_id(), AT, 1),
        amends=True,
    )
    for departure in (ends._replace(amends=False), ends):
        async with transaction(database, "opsc_ingest") as conn:
            await alerts.follow(conn, [], [departure])
    assert state_of(tenant, left.id) == ("new", {"exit"}, ["resolved", "new"])
