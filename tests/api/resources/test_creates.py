"""Creating: the answer is what a GET shows, few round trips, and hot stock holds up nobody."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.api.mailbox import Mailbox
from tests.api.resources.quotes.test_quote_conversion import accepted
from tests.api.resources.quoting import LINE, done
from tests.api.running import Organization, RunningApi
from tests.api.stocked import move, stocked

pytestmark = pytest.mark.own_api

SECTIONS = [
    {
        "title": "Chassis",
        "questions": [{"id": "brakes", "type": "pass_fail", "label": "Do the brakes hold?"}],
    }
]


@pytest.fixture(scope="module")
def org(api: RunningApi) -> Organization:
    return api.organization("Quarries")


async def _id(org: Organization, path: str, body: dict[str, Any]) -> str:
    answer = await org.admin.post(f"/v1/{path}", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


async def _bodies(org: Organization) -> dict[str, dict[str, Any]]:
    """Return a full body of each kind."""
    client_id = await _id(org, "clients", {"name": "Rock Ltd"})
    site_id = await _id(org, "sites", {"name": "Lot 4", "client_id": client_id})
    employees = [await _id(org, "employees", {"name": name}) for name in ("Ann", "Bob")]
    assets = [await _id(org, "assets", {"name": name}) for name in ("Crane", "Van")]
    parent_id = await _id(org, "work-orders", {"title": "All of it"})
    stock = await stocked(org, quantity=100)
    template_id = await _id(org, "inspection-templates", {"name": "Daily", "sections": SECTIONS})
    return {
        "assets": {"name": "Truck", "client_id": client_id, "tags": ["b", "a"]},
        "work-orders": {
            "title": "  Grease the crane ",
            "client_id": client_id,
            "site_id": site_id,
            "parent_id": parent_id,
            "assignee_ids": employees[::-1],
            "asset_ids": [*assets[::-1], assets[0]],
            "planned_start": "2026-03-01T08:00:00.120+02:00",
            "planned_end": "2026-03-01T16:00:00Z",
            "due_at": "2026-03-02T00:00:00.123456Z",
            "checklist": [{"text": "Lock it.", "done": True}, {"text": "Unlock it."}],
            "labour_cost_cents": 48_000,
            "currency": "CHF",
        },
        "quotes": {
            "title": "A crane for a day",
            "client_id": client_id,
            "currency": "CHF",
            "valid_until": "2099-01-01",
            "lines": [LINE, LINE | {"part_id": stock["parts"]}],
        },
        "inspection-forms": {
            "template_id": template_id,
            "asset_id": assets[0],
            "site_id": site_id,
            "employee_id": employees[0],
            "work_order_id": parent_id,
            "answers": {"brakes": {"value": "fail", "note": "worn"}},
        },
        "stock-movements": {
            "kind": "receive",
            "part_id": stock["parts"],
            "warehouse_id": stock["warehouses"],
            "quantity": 1.5,
            "reason": "Delivery 4711",
        },
    }


async def test_what_is_answered_is_what_is_stored(org: Organization) -> None:
    for path, body in (await _bodies(org)).items():
        made = await org.admin.post(f"/v1/{path}", body)
        assert made.status == 201, made.json
        shown = await org.admin.get(made.headers["Location"])
        assert shown.json == made.json
        assert shown.headers["ETag"] == made.headers["ETag"]


async def test_a_refused_create_takes_no_number(org: Organization) -> None:
    client_id = await _id(org, "clients", {"name": "Rock Ltd"})
    numbers: list[int] = []
    for employee_id in ([], ["emp_" + "0" * 26], []):
        body = {"title": "x", "client_id": client_id, "assignee_ids": employee_id}
        made = await org.admin.post("/v1/work-orders", body)
        if made.status == 201:
            numbers.append(made.json["number"])
        else:
            assert (made.status, made.json["errors"][0]["pointer"]) == (422, "/assignee_ids/0")
    assert numbers[1] == numbers[0] + 1


@contextmanager
def _locked_level(api: RunningApi, ids: dict[str, str]) -> Iterator[None]:
    """Hold the level of a part as a movement does that does not end."""
    with psycopg.connect(api.database.url("admin")) as conn:
        conn.execute(
            "SELECT FROM inventory JOIN parts ON parts.id = part_id"
            " WHERE number = %s FOR NO KEY UPDATE OF inventory",
            (ids["number"],),
        )
        yield
        conn.rollback()


async def _until_waiting(api: RunningApi, sessions: int) -> None:
    """Wait until this number of sessions waits for a lock."""
    counted = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(20):
        while api.sql(counted, api.database.name) < [(sessions,)]:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.02)


async def _hot(org: Organization) -> dict[str, str]:
    ids = await stocked(org, quantity=1_000, reorder_point=None)
    number = (await org.admin.get(f"/v1/parts/{ids['parts']}")).json["number"]
    return ids | {"number": number}


@pytest.mark.about("quotes")
async def test_a_conversion_that_waits_for_stock_holds_up_no_work_orders(
    api: RunningApi, org: Organization, tmp_path: Path
) -> None:
    ids = await _hot(org)
    mailbox = Mailbox(api, tmp_path / "mail")
    quote = await accepted(org, mailbox, lines=[LINE | {"part_id": ids["parts"]}])
    with _locked_level(api, ids):
        body = {"warehouse_id": ids["warehouses"]}
        converting = asyncio.create_task(done(org, quote, "convert", body))
        await _until_waiting(api, 1)
        plain = await org.dispatcher.post("/v1/work-orders", {"title": "x"})
        assert (plain.status, converting.done()) == (201, False)
    made = await converting
    assert (made.status, made.json["number"]) == (201, plain.json["number"] + 1)


async def test_movements_of_a_part_wait_in_turn_and_leave_the_others_connections(
    api: RunningApi, org: Organization
) -> None:
    ids = await _hot(org)
    other = (await org.admin.post("/v1/warehouses", {"name": "Van"})).json["id"]
    with _locked_level(api, ids):
        waiting = [
            asyncio.create_task(
                move(org.dispatcher, ids, "transfer", 1, to_warehouse_id=other, reason=f"{number}")
            )
            for number in range(100)
        ]
        await _until_waiting(api, 1)
        assert (await org.viewer.get("/v1/clients")).status == 200
        assert not any(task.done() for task in waiting)
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {201}
    rows = (await org.dispatcher.get("/v1/inventory", part_id=ids["parts"])).json["data"]
    assert sorted(row["on_hand"] for row in rows) == [100, 900]


@pytest.mark.about("quotes")
async def test_plans_and_conversions_wait_in_the_turns_of_their_parts(
    api: RunningApi, org: Organization, tmp_path: Path
) -> None:
    ids = await _hot(org)
    plan = {"part_id": ids["parts"], "warehouse_id": ids["warehouses"], "quantity": 1}
    quote = await accepted(
        org, Mailbox(api, tmp_path / "mail"), lines=[LINE | {"part_id": ids["parts"]}]
    )
    planned: list[str] = []
    for number in range(10):
        body = {"title": "x", "status": "draft" if number % 2 else "created"}
        order = (await org.dispatcher.post("/v1/work-orders", body)).headers["Location"]
        planned.append(order)
        if number % 2:
            assert (await org.dispatcher.post(f"{order}/parts", plan)).status == 201
    with _locked_level(api, ids):
        waiting = [
            asyncio.create_task(
                org.dispatcher.post(f"{order}/issue", None)
                if number % 2
                else org.dispatcher.post(f"{order}/parts", plan)
            )
            for number, order in enumerate(planned)
        ]
        body = {"warehouse_id": ids["warehouses"]}
        waiting.append(asyncio.create_task(done(org, quote, "convert", body)))
        await _until_waiting(api, 1)
        assert (await org.viewer.get("/v1/clients")).status == 200
        assert not any(task.done() for task in waiting)
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200, 201}
    rows = (await org.dispatcher.get("/v1/inventory", part_id=ids["parts"])).json["data"]
    assert [row["reserved"] for row in rows] == [10 + LINE["quantity_thousandths"] / 1000]
