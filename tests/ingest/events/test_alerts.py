"""Alerts: they are what the events tell, whatever happens, and what people did with them stays."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from db.core.ids import new_id
from db.history import alerts
from db.history.alerts import MAX_LOG
from db.history.events import Event
from db.history.visits import VisitRow
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
        alert_id = event_id if is_start or visit_id is None else visit_id
        expected.setdefault(alert_id, (visit_id, set()))[1].add(word)
    gone = {row[0] for row in walk.tenant.rows("SELECT id FROM visits WHERE retracted")}
    stored = walk.tenant.rows("SELECT id, visit_id, told, state, retracted FROM alerts")
    assert {row[0]: (row[1], set(row[2])) for row in stored} == expected
    assert {(row[1] in gone, row[3], row[4]) for row in stored} == {
        (False, "new", False),
        (True, "resolved", True),
    }
    assert {word for row in stored for word in row[2]} >= {"enter", "exit", "schedule_started"}
    postgres.drop(database)


def told(tenant: Tenant, visit_id: UUID, transition: str, **more: Any) -> Event:
    """Return an event of a visit as ingest makes it."""
    data = {
        "asset_id": format_id("ast", visit_id),
        "asset_name": "Truck",
        "zone_id": format_id("zon", visit_id),
        "zone_name": "Quarry",
        "zone_kind": "restricted",
        "visit_id": format_id("vis", visit_id),
        "lat": 47.0,
        "lon": 8.0,
    } | more
    types = {"dwell": DWELL, "overspeed": OVERSPEED}
    if transition != "overspeed":
        data["transition"] = transition
    return Event(tenant.org_id, new_id(), types.get(transition, BREACH), AT, json.dumps(data))


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


async def test_a_visit_that_never_was_resolves_its_alert_once(database: DatabaseUnderTest) -> None:
    tenant, visit_id = await Tenant.create(database), new_id()
    await tell(database, told(tenant, visit_id, "enter"))
    gone = VisitRow(
        *(tenant.org_id, visit_id, new_id(), new_id(), 1, new_id(), AT, 0, None, AT, 47.0, 8.0),
        entry_cause="moved",
        retracted=True,
    )
    for visits in ([gone._replace(retracted=False)], [gone], [gone]):
        async with transaction(database, "opsc_ingest") as conn:
            await alerts.retract(conn, visits)
    assert state_of(tenant, visit_id) == ("resolved", {"enter"}, ["resolved"])
    await tell(database, told(tenant, visit_id, "dwell"))
    assert state_of(tenant, visit_id)[0] == "resolved"


async def test_the_log_of_what_happens_by_itself_has_a_bound(database: DatabaseUnderTest) -> None:
    tenant, visit_id = await Tenant.create(database), new_id()
    await tell(database, told(tenant, visit_id, "enter"))
    for _ in range(MAX_LOG):
        await resolve(database, tenant, visit_id)
    await tell(database, told(tenant, visit_id, "dwell"))
    state, _, log = state_of(tenant, visit_id)
    assert (state, len(log)) == ("new", MAX_LOG)
