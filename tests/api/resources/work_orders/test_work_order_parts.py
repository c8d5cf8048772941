"""Parts of work orders: planned, reserved, used, brought back and released, through HTTP."""

import asyncio
import random
from typing import Any

import pytest
import pytest_asyncio

from db.core.connect import connect
from db.core.tenant import act_for
from db.stock.ledger_check import begin_snapshot, check_stock
from telemetry.ids import parse_id
from tests.api.problems import is_problem
from tests.api.punching import Worker, employee, worker
from tests.api.resources.dispatching import made_order
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.stocked import move, stocked

REASONS = {
    "cancel": {"reason": "Nobody wants it."},
    "cannot-complete": {"reason": "The part is missing."},
    "complete": {"signer_name": "Peter Frei"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anna(api: RunningApi) -> tuple[Organization, Worker]:
    """The organization of this module, and its technician."""
    org = api.organization("Parts")
    return org, await worker(api, org)


@pytest.fixture(scope="module")
def org(anna: tuple[Organization, Worker]) -> Organization:
    """The organization of this module."""
    return anna[0]


async def _order(org: Organization, *verbs: str, **body: Any) -> str:
    """Return the path of a new order, after these verbs."""
    order = {"title": "Service", "assignee_ids": [await employee(org)]} | body
    path = (await org.dispatcher.post("/v1/work-orders", order)).headers["Location"]
    for verb in verbs:
        await _said(org, path, verb)
    return path


async def _said(org: Organization, path: str, verb: str) -> None:
    answer = await org.dispatcher.post(f"{path}/{verb}", REASONS.get(verb))
    assert answer.status == 200, answer.json


async def _plan(
    org: Organization, path: str, ids: dict[str, str], quantity: float, **more: Any
) -> Answer:
    body = {"part_id": ids["parts"], "warehouse_id": ids["warehouses"], "quantity": quantity}
    return await org.dispatcher.post(f"{path}/parts", body | more)


async def _take(
    caller: Client, path: str, ids: dict[str, str], quantity: float, verb: str = "consume"
) -> Answer:
    body = {"quantity": quantity, "warehouse_id": ids["warehouses"]}
    return await caller.post(f"{path}/parts/{ids['parts']}/{verb}", body)


async def _stock(org: Organization, ids: dict[str, str]) -> tuple[float, float]:
    """Return what is on hand and what is reserved."""
    row = (await org.dispatcher.get(f"/v1/inventory/{ids['inventory']}")).json
    return row["on_hand"], row["reserved"]


async def _stock_differences(api: RunningApi, org: Organization) -> list[object]:
    """Return what `opsc verify stock` would print."""
    async with (
        await connect(api.database.url("opsc_owner"), "verify") as conn,
        conn.transaction(),
    ):
        await begin_snapshot(conn)
        await act_for(conn, org.org_id)
        check = await check_stock(conn)
    assert check.order_parts > 0
    return [*check.differences, *check.order_part_differences]


def _quantities(row: dict[str, Any]) -> tuple[float, float, float, int]:
    return row["planned"], row["reserved"], row["used"], row["cost_cents"]


async def test_parts_are_planned_reserved_used_brought_back_and_released(
    api: RunningApi, org: Organization
) -> None:
    ids = await stocked(org, quantity=10)  # at 2.50
    path = await _order(org, "assign")
    planned = await _plan(org, path, ids, 4)
    assert planned.status == 201, planned.json
    assert _quantities(planned.json) == (4, 4, 0, 0)
    assert planned.json["part_name"] == "x part"
    assert (await org.dispatcher.get(planned.headers["Location"])).json == planned.json
    assert await _stock(org, ids) == (10, 4)
    assert _quantities((await _take(org.dispatcher, path, ids, 3)).json) == (4, 1, 3, 750)
    assert await _stock(org, ids) == (7, 1)
    assert _quantities((await _take(org.dispatcher, path, ids, 2.5)).json) == (4, 0, 5.5, 1375)
    assert await _stock(org, ids) == (4.5, 0)
    back = await _take(org.dispatcher, path, ids, 2.5, "return")
    assert _quantities(back.json) == (4, 0, 3, 750)
    again = await org.dispatcher.patch(planned.headers["Location"], {"quantity": 5})
    assert _quantities(again.json) == (5, 2, 3, 750)
    assert await _stock(org, ids) == (7, 2)
    await _said(org, path, "cannot-complete")
    assert await _stock(org, ids) == (7, 0)
    ledger = await org.dispatcher.walk("/v1/stock-movements", work_order_id=path.rsplit("/", 1)[1])
    told = [(row["kind"], row["quantity"]) for row in ledger][::-1]
    assert told == [
        ("reserve", 4),
        ("consume", 3),
        ("consume", 1),
        ("consume", 1.5),
        ("return", 2.5),
        ("reserve", 2),
        ("release", 2),
    ]
    listed = (await org.dispatcher.get(f"{path}/parts")).json["data"]
    assert [_quantities(row) for row in listed] == [(5, 0, 3, 750)]
    assert await _stock_differences(api, org) == []


@pytest.mark.parametrize(
    "verbs", [("cancel",), ("cannot-complete",), ("start", "complete", "close")]
)
async def test_an_order_that_is_over_reserves_nothing(
    org: Organization, verbs: tuple[str, ...]
) -> None:
    one, other = await stocked(org, quantity=3), await stocked(org, quantity=3)
    path = await _order(org, "assign")
    await _plan(org, path, one, 2)
    await _plan(org, path, other, 1)
    for verb in verbs:
        assert await _stock(org, one) == (3, 2)
        await _said(org, path, verb)
    assert [await _stock(org, each) for each in (one, other)] == [(3, 0), (3, 0)]
    assert is_problem(await _plan(org, path, await stocked(org), 1), 409, "illegal_move")
    assert is_problem(await _take(org.dispatcher, path, one, 1), 409, "illegal_move")


async def test_a_deleted_order_reserves_nothing_nor_does_a_restored_one(org: Organization) -> None:
    ids = await stocked(org, quantity=3)
    path = await _order(org)
    await _plan(org, path, ids, 2)
    assert (await org.dispatcher.delete(path)).status == 204
    assert await _stock(org, ids) == (3, 0)
    await _said(org, path, "restore")
    assert await _stock(org, ids) == (3, 0)
    again = await org.dispatcher.patch(f"{path}/parts/{ids['parts']}", {"quantity": 2})
    assert _quantities(again.json) == (2, 2, 0, 0)
    assert await _stock(org, ids) == (3, 2)


async def test_a_draft_reserves_when_it_is_issued_all_or_nothing(org: Organization) -> None:
    enough, short = await stocked(org, quantity=3), await stocked(org, quantity=1)
    path = await _order(org, status="draft")
    await _plan(org, path, enough, 2)
    await _plan(org, path, short, 2)
    assert await _stock(org, enough) == (3, 0)
    refused = await org.dispatcher.post(f"{path}/issue", None)
    assert is_problem(refused, 409, "insufficient_stock")
    assert "x part" in refused.json["detail"]
    assert (await org.dispatcher.get(path)).json["status"] == "draft"
    assert await _stock(org, enough) == (3, 0)
    unplaced = {"warehouse_id": None}  # to be ordered
    await org.dispatcher.patch(f"{path}/parts/{short['parts']}", unplaced)
    await _said(org, path, "issue")
    assert [await _stock(org, each) for each in (enough, short)] == [(3, 2), (1, 0)]


async def test_what_an_open_order_plans_and_has_not_used_is_not_deleted(org: Organization) -> None:
    ids = await stocked(org, quantity=2)
    path = await _order(org, "assign")
    planned = f"{path}/parts/{ids['parts']}"
    things = [f"/v1/{name}/{ids[name]}" for name in ("parts", "warehouses")]
    await _plan(org, path, ids, 2)
    await _take(org.dispatcher, path, ids, 1)
    assert (await move(org.admin, ids, "count", 0)).status == 409  # one is reserved
    assert (await org.dispatcher.patch(planned, {"quantity": 1})).status == 200
    assert (await move(org.admin, ids, "count", 0)).status == 201
    for thing in things:
        assert (await org.dispatcher.delete(thing)).status == 204  # all that was planned is used
        assert (await org.dispatcher.post(f"{thing}/restore", None)).status == 200
    draft = await _order(org, status="draft")
    await _plan(org, draft, ids, 1)
    for thing in things:
        assert is_problem(await org.dispatcher.delete(thing), 409, "in_use")
        assert (await org.viewer.get(thing)).status == 200
    await _said(org, draft, "cancel")
    for thing in things:
        assert (await org.dispatcher.delete(thing)).status == 204
    refused = await org.dispatcher.patch(planned, {"quantity": 2})
    assert is_problem(refused, 409, "part_deleted")


async def test_deletion_and_a_plan_at_once_leave_no_plan_of_what_is_deleted(
    org: Organization,
) -> None:
    for name in ("parts", "warehouses", "parts", "warehouses"):
        ids, path = await stocked(org, quantity=0), await _order(org, status="draft")
        deleted, made = await asyncio.gather(
            org.dispatcher.delete(f"/v1/{name}/{ids[name]}"), _plan(org, path, ids, 1)
        )
        assert (deleted.status, made.status) in ((204, 404), (409, 201))


async def test_a_draft_with_a_deleted_part_or_warehouse_says_so_when_it_is_issued(
    org: Organization,
) -> None:
    empty, there = await stocked(org, quantity=0), await stocked(org, quantity=5)
    path = await _order(org, status="draft")
    await _plan(org, path, empty, 1)

    async def delete(gone: str) -> None:
        """Delete a thing while the draft is deleted, too."""
        assert (await org.dispatcher.delete(path)).status == 204
        assert (await org.admin.delete(gone)).status == 204
        assert (await org.dispatcher.post(f"{path}/restore", None)).status == 200

    for name, code in (("parts", "part_deleted"), ("warehouses", "warehouse_deleted")):
        gone = f"/v1/{name}/{empty[name]}"
        await delete(gone)
        refused = await org.dispatcher.post(f"{path}/issue", None)
        assert is_problem(refused, 409, code)
        thing = (await org.viewer.get(f"/v1/{name}", deleted="true")).json["data"][0]
        assert thing["name"] in refused.json["detail"]
        assert (await org.admin.post(f"{gone}/restore", None)).status == 200
    planned = f"{path}/parts/{empty['parts']}"
    await delete(f"/v1/warehouses/{empty['warehouses']}")
    refused = await org.dispatcher.patch(planned, {"quantity": 2})
    assert is_problem(refused, 409, "warehouse_deleted")
    elsewhere = {"warehouse_id": there["warehouses"]}
    assert (await org.dispatcher.patch(planned, elsewhere)).status == 200
    short = await org.dispatcher.post(f"{path}/issue", None)
    assert is_problem(short, 409, "insufficient_stock")
    await delete(f"/v1/parts/{empty['parts']}")
    assert (await org.dispatcher.patch(planned, {"quantity": 0})).status == 200
    assert (await org.dispatcher.post(f"{path}/issue", None)).status == 200


@pytest.mark.parametrize(
    ("kind", "more"),
    [("release", {}), ("issue", {"from_reserved": True}), ("consume", {"from_reserved": True})],
)
async def test_a_movement_by_hand_leaves_what_is_reserved_for_orders(
    org: Organization, kind: str, more: dict[str, bool]
) -> None:
    ids, place = await stocked(org, quantity=12), (await stocked(org))["warehouses"]
    await move(org.dispatcher, ids, "transfer", 2, to_warehouse_id=place)
    paths = [await _order(org, "assign") for _ in range(2)]
    await _plan(org, paths[0], ids, 3)
    await _plan(org, paths[1], ids, 2)
    elsewhere = await _plan(org, await _order(org), ids | {"warehouses": place}, 2)
    assert elsewhere.json["reserved"] == 2
    assert (await move(org.dispatcher, ids, "reserve", 1)).status == 201
    refused = await move(org.dispatcher, ids, kind, 1.001, **more)
    assert is_problem(refused, 409, "insufficient_reserved")
    assert "1 of it are reserved by hand" in refused.json["detail"]
    assert await _stock(org, ids) == (10, 6)
    assert (await move(org.dispatcher, ids, kind, 1, **more)).status == 201
    assert (await _stock(org, ids))[1] == 5
    for path in paths:
        await _said(org, path, "cancel")
    assert (await _stock(org, ids))[1] == 0


async def test_an_order_and_movements_by_hand_at_once_take_what_is_their_own(
    api: RunningApi, org: Organization
) -> None:
    ids = await stocked(org, quantity=10)
    path = await _order(org, "assign")
    await _plan(org, path, ids, 4)
    await move(org.dispatcher, ids, "reserve", 3)
    releases = (move(org.dispatcher, ids, "release", 1) for _ in range(6))
    uses = (_take(org.dispatcher, path, ids, 1) for _ in range(4))
    answers = await asyncio.gather(*releases, *uses)
    assert sorted(answer.status for answer in answers[:6]) == [201] * 3 + [409] * 3
    assert [answer.status for answer in answers[6:]] == [200] * 4
    assert await _stock(org, ids) == (6, 0)
    assert await _stock_differences(api, org) == []


async def test_a_plan_that_the_stock_does_not_allow_changes_nothing(org: Organization) -> None:
    ids = await stocked(org, quantity=3)
    path = await _order(org)
    refused = await _plan(org, path, ids, 4)
    assert is_problem(refused, 409, "insufficient_stock")
    assert (await org.dispatcher.get(f"{path}/parts")).json["data"] == []
    await _plan(org, path, ids, 1)
    assert is_problem(await _plan(org, path, ids, 1), 409, "part_planned")
    more = await org.dispatcher.patch(f"{path}/parts/{ids['parts']}", {"quantity": 4})
    assert is_problem(more, 409, "insufficient_stock")
    assert await _stock(org, ids) == (3, 1)


async def test_a_part_moves_to_another_warehouse_and_is_used_from_elsewhere(
    api: RunningApi, org: Organization
) -> None:
    ids = await stocked(org, quantity=5)
    van = (await org.admin.post("/v1/warehouses", {"name": "Van"})).json["id"]
    await move(org.dispatcher, ids, "transfer", 2, to_warehouse_id=van)
    path = await _order(org, "assign")
    await _plan(org, path, ids, 2)
    assert await _stock(org, ids) == (3, 2)
    part = f"{path}/parts/{ids['parts']}"
    await org.dispatcher.patch(part, {"warehouse_id": van})
    assert await _stock(org, ids) == (3, 0)
    await org.dispatcher.patch(part, {"warehouse_id": ids["warehouses"]})
    used = await org.dispatcher.post(f"{part}/consume", {"quantity": 1, "warehouse_id": van})
    assert _quantities(used.json) == (2, 1, 1, 250)
    assert await _stock(org, ids) == (3, 1)  # no more than is still to be used
    assert await _stock_differences(api, org) == []


async def test_a_technician_uses_parts_for_their_own_orders_planned_or_not(
    org: Organization, anna: tuple[Organization, Worker]
) -> None:
    ids = await stocked(org, quantity=5)
    own = await _order(org, "assign", "start", assignee_ids=[anna[1].id])
    others = await _order(org, "assign", "start")
    used = await _take(org.technician, own, ids, 2)
    assert _quantities(used.json) == (0, 0, 2, None)  # what it costs is not theirs to see
    assert (await _take(org.technician, others, ids, 1)).status == 403
    assert (await _take(org.viewer, own, ids, 1)).status == 403
    assert (await _take(org.technician, own, ids, 1, "return")).status == 200
    assert is_problem(await _take(org.technician, own, ids, 2, "return"), 409, "insufficient_used")
    assert is_problem(await _take(org.technician, own, ids, 5), 409, "insufficient_stock")
    nowhere = await org.technician.post(f"{own}/parts/{ids['parts']}/consume", {"quantity": 1})
    assert nowhere.json["errors"][0]["pointer"] == "/warehouse_id"
    assert (await _take(org.technician, own, await stocked(org), 1, "return")).status == 404


async def test_a_part_is_changed_as_it_was_seen_alone(org: Organization) -> None:
    ids = await stocked(org, quantity=5)
    path = await _order(org, "assign")
    made = await _plan(org, path, ids, 2)
    part, seen = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    await _take(org.dispatcher, path, ids, 1)
    late = await org.dispatcher.send("PATCH", part, headers=seen, json={"quantity": 3})
    assert late.status == 412
    fresh = {"If-Match": (await org.dispatcher.get(part)).headers["ETag"]}
    done = await org.dispatcher.send("PATCH", part, headers=fresh, json={"quantity": 3})
    assert done.status == 200


async def test_a_part_is_planned_for_an_order_as_it_was_seen_alone(org: Organization) -> None:
    order = await made_order(org)
    path = f"/v1/work-orders/{order['id']}"
    seen = (await org.dispatcher.get(path)).headers["ETag"]
    await org.dispatcher.patch(path, {"title": "Other"})
    fresh = (await org.dispatcher.get(path)).headers["ETag"]
    for under, body in (
        ("parts", {"part_id": (await stocked(org))["parts"], "quantity": 1}),
        ("comments", {"text": "The key is with the foreman."}),
    ):
        for tag, status in ((seen, 412), (fresh, 201)):
            headers = {"If-Match": tag}
            answer = await org.dispatcher.send("POST", f"{path}/{under}", headers, json=body)
            assert answer.status == status, answer.json


async def test_what_is_used_costs_what_it_cost_then(org: Organization) -> None:
    ids = await stocked(org, quantity=1)  # at 2.50
    path = await _order(org, "assign")
    await _take(org.dispatcher, path, ids, 0.333)
    await move(org.dispatcher, ids, "receive", 0.333, unit_cost_cents=1_000_000)
    used = await _take(org.dispatcher, path, ids, 0.5)
    assert used.json["cost_cents"] == 83 + 166_583


async def test_orders_that_want_the_same_parts_at_once_never_take_more_than_there_is(
    api: RunningApi, org: Organization
) -> None:
    """Two parts in two orders of locks; each order plans, uses, brings back and is cancelled."""
    parts = [await stocked(org, quantity=6) for _ in range(2)]
    paths = [await _order(org, "assign") for _ in range(6)]

    async def work(path: str, seed: int) -> set[int]:
        dice = random.Random(seed)
        statuses: set[int] = set()
        for ids in dice.sample(parts, 2):
            statuses.add((await _plan(org, path, ids, dice.randint(1, 3))).status)
        for _ in range(4):
            verb = dice.choice(["consume", "consume", "return"])
            answer = await _take(org.dispatcher, path, dice.choice(parts), 1, verb)
            statuses.add(answer.status)
        await _said(org, path, "cancel")
        return statuses

    seen = await asyncio.gather(*(work(path, seed) for seed, path in enumerate(paths)))
    assert set().union(*seen) <= {200, 201, 404, 409}
    assert any(409 in each for each in seen)
    used = [0.0, 0.0]
    for path in paths:
        for row in (await org.dispatcher.get(f"{path}/parts")).json["data"]:
            used[[ids["parts"] for ids in parts].index(row["part_id"])] += row["used"]
    assert [await _stock(org, ids) for ids in parts] == [(6 - each, 0) for each in used]
    assert await _stock_differences(api, org) == []


async def test_an_order_ends_though_no_movement_is_left_today(
    api: RunningApi, org: Organization
) -> None:
    ids = await stocked(org, quantity=3)
    path = await _order(org, "assign")
    await _plan(org, path, ids, 2)
    statement = "UPDATE inventory SET moved_times = 20000 WHERE org_id = %s AND id = %s"
    api.sql(statement, org.org_id, parse_id("inv", ids["inventory"]))
    refused = await _take(org.dispatcher, path, ids, 1)
    assert (refused.status, refused.json["code"]) == (403, "quota_exceeded")
    await _said(org, path, "cancel")
    assert await _stock(org, ids) == (3, 0)


async def test_nothing_comes_back_into_a_warehouse_that_is_deleted(org: Organization) -> None:
    ids = await stocked(org, quantity=2)
    path = await _order(org, "assign")
    await _plan(org, path, ids, 2)
    await _take(org.dispatcher, path, ids, 2)
    assert (await org.dispatcher.delete(f"/v1/warehouses/{ids['warehouses']}")).status == 204
    back = await org.dispatcher.post(f"{path}/parts/{ids['parts']}/return", {"quantity": 1})
    assert (back.status, back.json["errors"][0]["pointer"]) == (404, "/warehouse_id")


async def test_nothing_comes_back_of_a_part_that_is_deleted(org: Organization) -> None:
    ids = await stocked(org, quantity=2)
    path = await _order(org, "assign")
    await _plan(org, path, ids, 2)
    await _take(org.dispatcher, path, ids, 2)
    assert (await org.dispatcher.delete(f"/v1/parts/{ids['parts']}")).status == 204
    assert is_problem(await _take(org.dispatcher, path, ids, 1, "return"), 404, "not_found")
    planned = await org.dispatcher.patch(f"{path}/parts/{ids['parts']}", {"quantity": 0})
    assert _quantities(planned.json) == (0, 0, 2, 500)
    assert (await org.dispatcher.post(f"/v1/parts/{ids['parts']}/restore", None)).status == 200
    assert (await _take(org.dispatcher, path, ids, 1, "return")).status == 200


async def test_what_is_planned_is_in_the_audit_and_what_is_used_in_the_ledger(
    api: RunningApi, org: Organization
) -> None:
    ids = await stocked(org, quantity=5)
    path = await _order(org, "assign")
    made = await _plan(org, path, ids, 2)
    await _take(org.dispatcher, path, ids, 1)
    await org.dispatcher.patch(made.headers["Location"], {"quantity": 3})
    written = api.sql(
        "SELECT action, changes -> 'planned_milli' ->> 'new' FROM audit_events WHERE org_id = %s"
        " AND table_name = 'work_order_parts' AND resource_id = %s ORDER BY seq",
        org.org_id,
        parse_id("wo", path.rsplit("/", 1)[1]),
    )
    assert written == [("insert", "0"), ("update", "2000"), ("update", "3000")]


async def test_those_who_use_a_part_of_one_order_at_once_take_turns(
    api: RunningApi, org: Organization
) -> None:
    ids = await stocked(org, quantity=12)
    path = await _order(org, "assign")
    await _plan(org, path, ids, 5)
    cancel = org.dispatcher.post(f"{path}/cancel", REASONS["cancel"])
    uses = [_take(org.dispatcher, path, ids, 1) for _ in range(8)]
    answers = await asyncio.gather(*uses[:6], cancel, *uses[6:])
    used = sum("used" in answer.json for answer in answers)
    assert {answer.status for answer in answers} <= {200, 409}
    (row,) = (await org.dispatcher.get(f"{path}/parts")).json["data"]
    assert _quantities(row) == (5, 0, used, 250 * used)
    assert await _stock(org, ids) == (12 - used, 0)
    assert await _stock_differences(api, org) == []
