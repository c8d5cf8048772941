"""Parts, warehouses, inventory and the ledger of stock, through HTTP."""

import asyncio
import json
from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.problems import is_problem
from tests.api.running import Organization, RunningApi
from tests.api.stocked import move, stocked


async def _stock(org: Organization, ids: dict[str, str]) -> dict[str, Any]:
    return (await org.dispatcher.get(f"/v1/inventory/{ids['inventory']}")).json


def _low_events(api: RunningApi, org: Organization) -> list[dict[str, Any]]:
    rows = api.sql(
        "SELECT data::text FROM events WHERE org_id = %s AND type = 'stock.low' ORDER BY id",
        org.org_id,
    )
    return [json.loads(text) for (text,) in rows]


async def test_a_part_is_made_read_changed_and_found_by_its_machines(north: Organization) -> None:
    asset = {"name": "Crane", "make": "Liebherr", "model": "LTM 1090"}
    asset_id = (await north.admin.post("/v1/assets", asset)).json["id"]
    other = (await north.admin.post("/v1/assets", asset | {"make": "Grove"})).json["id"]
    fits = [{"make": "Liebherr", "model": "LTM 1090"}]
    part = {"number": "OF-1", "name": "Oil filter", "unit_cost_cents": 1250, "fits": fits}
    made = (await north.dispatcher.post("/v1/parts", part)).json
    assert (made["unit"], made["currency"]) == ("piece", "EUR")
    assert made["fits"] == [fits[0] | {"asset_id": None}]
    path = f"/v1/parts/{made['id']}"
    assert (await north.dispatcher.get(path)).json == made

    async def found(**wanted: str) -> bool:
        listed = (await north.dispatcher.get("/v1/parts", **wanted)).json["data"]
        return made["id"] in [row["id"] for row in listed]

    assert await found(asset_model="LTM 1090")
    assert await found(asset_id=asset_id)
    assert not await found(asset_id=other)
    assert not await found(asset_model="LTM")
    changed = await north.dispatcher.patch(path, {"fits": [{"asset_id": other}]})
    assert changed.json["fits"] == [{"make": None, "model": None, "asset_id": other}]
    assert await found(asset_id=other)
    assert await found(asset_model="LTM 1090")  # of that machine
    assert not await found(asset_id=asset_id)
    taken = await north.dispatcher.post("/v1/parts", part)
    assert (taken.status, taken.json["code"]) == (409, "number_taken")


async def test_stock_is_found_by_the_machine_that_its_part_fits(north: Organization) -> None:
    ids, others = await stocked(north), await stocked(north)
    asset = {"name": "Digger", "make": "Liebherr", "model": "R 920"}
    asset_id = (await north.admin.post("/v1/assets", asset)).json["id"]
    other = (await north.admin.post("/v1/assets", asset | {"make": "Grove"})).json["id"]
    part, path = f"/v1/parts/{ids['parts']}", "/v1/inventory"

    async def found(machine: str, **wanted: str) -> list[str]:
        rows = await north.viewer.walk(path, asset_id=machine, **wanted)
        return [row["id"] for row in rows]

    for fits in ({"asset_id": asset_id}, {"make": "Liebherr", "model": "R 920"}):
        assert await found(asset_id) == []
        assert (await north.admin.patch(part, {"fits": [fits]})).status == 200
        assert await found(asset_id) == [ids["inventory"]]
        assert await found(other) == []
        assert await found(asset_id, warehouse_id=others["warehouses"]) == []
        assert (await north.admin.patch(part, {"fits": []})).status == 200
    nothing = await north.viewer.get(path, asset_id="ast_" + "0" * 26)
    assert nothing.status == 404


@pytest.mark.parametrize(
    "fits", [{}, {"make": "x"}, {"model": "x", "asset_id": "ast_01jd8x0k2m4n6p8q0r2s4t6v8w"}]
)
async def test_a_part_fits_a_model_or_a_machine(north: Organization, fits: dict[str, str]) -> None:
    body = {"number": "F", "name": "F", "fits": [fits]}
    assert (await north.admin.post("/v1/parts", body)).status == 422


async def test_every_kind_of_movement_changes_the_level_and_is_in_the_ledger(
    north: Organization,
) -> None:
    ids = await stocked(north, quantity=10, reorder_point=None)
    store = (await north.admin.post("/v1/warehouses", {"name": "Van"})).json["id"]
    steps: list[tuple[str, float, dict[str, Any], tuple[float, float, int]]] = [
        ("receive", 10, {"unit_cost_cents": 350}, (20, 0, 300)),
        ("issue", 1.5, {}, (18.5, 0, 300)),
        ("reserve", 4, {}, (18.5, 4, 300)),
        ("consume", 3, {"from_reserved": True}, (15.5, 1, 300)),
        ("consume", 0.125, {"reason": "oil"}, (15.375, 1, 300)),
        ("release", 1, {}, (15.375, 0, 300)),
        ("return", 0.125, {}, (15.5, 0, 300)),
        ("adjust", -0.5, {}, (15, 0, 300)),
        ("transfer", 5, {"to_warehouse_id": store}, (10, 0, 300)),
        ("count", 9.999, {}, (9.999, 0, 300)),
    ]
    for kind, quantity, more, then in steps:
        answer = await move(north.dispatcher, ids, kind, quantity, **more)
        assert answer.status == 201, answer.json
        assert (await north.dispatcher.get(answer.headers["Location"])).json == answer.json
        row = await _stock(north, ids)
        assert (row["on_hand"], row["reserved"], row["average_cost_cents"]) == then, kind
    listed = await north.dispatcher.walk("/v1/stock-movements", part_id=ids["parts"], limit=4)
    assert [row["kind"] for row in listed] == [*[kind for kind, *_ in steps][::-1], "count"]
    arrived = (await north.dispatcher.get("/v1/inventory", warehouse_id=store)).json["data"]
    assert [(row["on_hand"], row["average_cost_cents"], row["value_cents"]) for row in arrived] == [
        (5, 300, 1500)
    ]
    at_store = (await north.dispatcher.get("/v1/stock-movements", warehouse_id=store)).json["data"]
    assert [row["kind"] for row in at_store] == ["transfer"]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"quantity": 0}, 422, "/quantity"),
        ({"quantity": -1}, 422, "/quantity"),
        ({"quantity": 0.0001}, 422, "/quantity"),
        ({"quantity": 1e10}, 422, "/quantity"),
        ({"quantity": "1"}, 422, "/quantity"),
        ({"quantity": True}, 422, "/quantity"),
        ({"quantity": 11}, 409, "/quantity"),
        ({"kind": "adjust", "quantity": 0}, 422, "/quantity"),
        ({"kind": "count", "quantity": -1}, 422, "/quantity"),
        ({"kind": "transfer"}, 422, "/to_warehouse_id"),
        ({"kind": "steal"}, 422, "/kind"),
        ({"unit_cost_cents": 1}, 422, "/unit_cost_cents"),
        ({"kind": "reserve", "from_reserved": True}, 422, "/from_reserved"),
        ({"from_reserved": True}, 409, "/quantity"),
        ({"part_id": format_id("prt", new_id())}, 404, "/part_id"),
        ({"warehouse_id": format_id("whs", new_id())}, 404, "/warehouse_id"),
    ],
)
async def test_a_movement_that_cannot_be_says_why_and_changes_nothing(
    north: Organization, change: dict[str, Any], status: int, pointer: str
) -> None:
    ids = await stocked(north, quantity=10)
    before = await _stock(north, ids)
    answer = await move(north.dispatcher, ids, **({"kind": "issue", "quantity": 1} | change))
    assert answer.status == status, answer.json
    assert answer.json["errors"][0]["pointer"] == pointer
    assert await _stock(north, ids) == before
    assert (await north.dispatcher.get("/v1/stock-movements", part_id=ids["parts"])).json[
        "total"
    ] == 1


async def test_a_transfer_goes_to_another_warehouse(north: Organization) -> None:
    ids = await stocked(north, quantity=10)
    answer = await move(north.admin, ids, "transfer", 1, to_warehouse_id=ids["warehouses"])
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/to_warehouse_id")


async def test_what_is_lacking_is_a_conflict_with_what_is_available(north: Organization) -> None:
    ids = await stocked(north, quantity=10)
    await move(north.admin, ids, "reserve", 4)
    refused = await move(north.admin, ids, "issue", 6.5)
    assert (refused.status, refused.json["code"]) == (409, "insufficient_stock")
    figures = {name: refused.json[name] for name in ("available", "on_hand", "reserved")}
    assert figures == {"available": 6, "on_hand": 10, "reserved": 4}


async def test_a_quantity_is_changed_by_movements_alone(north: Organization) -> None:
    ids = await stocked(north)
    path = f"/v1/inventory/{ids['inventory']}"
    for field in ("on_hand", "quantity", "reserved"):
        refused = await north.admin.patch(path, {field: 5})
        assert refused.status == 422
        (fault,) = refused.json["errors"]
        assert fault["pointer"] == f"/{field}"
        assert "/v1/stock-movements" in fault["message"]
    changed = (await north.admin.patch(path, {"reorder_point": 2.5, "reorder_quantity": 7})).json
    assert (changed["reorder_point"], changed["reorder_quantity"]) == (2.5, 7)
    assert (changed["on_hand"], changed["low"]) == (3, False)


@pytest.mark.parametrize("opening", [{}, {"opening_quantity": 0}])
async def test_a_cost_of_no_opening_quantity_is_a_422(
    north: Organization, opening: dict[str, int]
) -> None:
    ids = await stocked(north)
    store = (await north.admin.post("/v1/warehouses", {"name": "Second"})).json["id"]
    body = {"part_id": ids["parts"], "warehouse_id": store, "opening_unit_cost_cents": 200}
    answer = await north.admin.post("/v1/inventory", body | opening)
    assert is_problem(answer, 422, "invalid_body")
    assert answer.json["errors"][0]["pointer"] == "/opening_unit_cost_cents"


async def test_a_part_has_one_record_in_a_warehouse(north: Organization) -> None:
    ids = await stocked(north)
    body = {"part_id": ids["parts"], "warehouse_id": ids["warehouses"]}
    again = await north.admin.post("/v1/inventory", body)
    assert (again.status, again.json["code"]) == (409, "stock_record_exists")


async def test_inventory_is_filtered(api: RunningApi) -> None:
    org = api.organization("Filtered")
    low = await stocked(org, "low")
    high = await stocked(org, "high", quantity=4)
    none = await stocked(org, "none", reorder_point=None)

    async def found(**wanted: Any) -> list[str]:
        listed = (await org.dispatcher.get("/v1/inventory", **wanted)).json
        assert listed["total"] == len(listed["data"])
        return [row["id"] for row in listed["data"]]

    everything = [each["inventory"] for each in (none, high, low)]
    assert await found() == everything
    assert await found(low="true") == [low["inventory"]]
    assert await found(low="false") == [none["inventory"], high["inventory"]]
    assert await found(part_id=high["parts"]) == [high["inventory"]]
    assert await found(warehouse_id=none["warehouses"]) == [none["inventory"]]
    assert await found(asset_model="M") == everything
    assert await found(asset_model="N") == []


async def test_low_stock_is_told_once_for_each_fall(api: RunningApi) -> None:
    org = api.organization("Low")
    ids = await stocked(org, quantity=5, reorder_point=3, reorder_quantity=10)
    assert _low_events(api, org) == []
    for kind, quantity, told in (
        ("issue", 1, 0),
        ("reserve", 1, 1),  # available: 3
        ("consume", 1, 1),
        ("receive", 1, 1),  # 3 again: not above
        ("receive", 1, 1),
        ("issue", 4, 2),
    ):
        assert (await move(org.admin, ids, kind, quantity)).status == 201
        assert len(_low_events(api, org)) == told, kind
    first = _low_events(api, org)[0]
    assert (first["available"], first["reorder_point"], first["reorder_quantity"]) == (3, 3, 10)
    assert first["inventory_id"] == ids["inventory"]
    assert (await move(org.admin, ids, "issue", 4)).status == 409
    assert len(_low_events(api, org)) == 2


async def test_what_is_in_stock_cannot_be_deleted(north: Organization) -> None:
    ids = await stocked(north, quantity=1)
    for path in ("parts", "warehouses"):
        refused = await north.admin.delete(f"/v1/{path}/{ids[path]}")
        assert (refused.status, refused.json["code"]) == (409, "in_use")
    await move(north.admin, ids, "consume", 1)
    for path in ("parts", "warehouses"):
        assert (await north.admin.delete(f"/v1/{path}/{ids[path]}")).status == 204
        assert (await move(north.admin, ids, "receive", 1)).status == 404
        assert (await north.admin.send("POST", f"/v1/{path}/{ids[path]}/restore")).status == 200
    assert (await move(north.admin, ids, "receive", 1)).status == 201


async def test_a_repeated_movement_with_an_idempotency_key_is_done_once(
    north: Organization,
) -> None:
    ids = await stocked(north, quantity=5)
    body = {
        "kind": "consume",
        "quantity": 2,
        "part_id": ids["parts"],
        "warehouse_id": ids["warehouses"],
    }
    answers = [
        await north.admin.send(
            "POST", "/v1/stock-movements", headers={"Idempotency-Key": "once"}, json=body
        )
        for _ in range(3)
    ]
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert (await _stock(north, ids))["on_hand"] == 3


async def test_who_does_not_dispatch_only_reads_stock(north: Organization) -> None:
    ids = await stocked(north)
    for caller in (north.viewer, north.technician):
        assert (await move(caller, ids, "consume", 1)).status == 403
        assert (await caller.post("/v1/parts", {"number": "1", "name": "x"})).status == 403
        assert (await caller.patch(f"/v1/inventory/{ids['inventory']}", {})).status == 403
        for path in ids:
            assert (await caller.get(f"/v1/{path}")).status == 200


async def test_consumers_of_the_same_moment_never_oversell(north: Organization) -> None:
    ids = await stocked(north, quantity=700, reorder_point=None)
    gate = asyncio.Semaphore(50)

    async def consume() -> int:
        async with gate:
            return (await move(north.dispatcher, ids, "consume", 1)).status

    statuses = await asyncio.gather(*(consume() for _ in range(1_000)))
    assert (statuses.count(201), statuses.count(409)) == (700, 300)
    assert (await _stock(north, ids))["on_hand"] == 0
    ledger = await north.dispatcher.get("/v1/stock-movements", part_id=ids["parts"], kind="consume")
    assert ledger.json["total"] == 700


async def test_transfers_both_ways_at_the_same_moment_wait_for_nobody(north: Organization) -> None:
    one = await stocked(north, quantity=100, reorder_point=None)
    other = (await north.admin.post("/v1/warehouses", {"name": "Van"})).json["id"]
    there = one | {"warehouses": other}
    await move(north.admin, there, "receive", 100)
    gate = asyncio.Semaphore(20)

    async def transfer(source: dict[str, str], target: dict[str, str]) -> int:
        async with gate:
            to = {"to_warehouse_id": target["warehouses"]}
            return (await move(north.dispatcher, source, "transfer", 1, **to)).status

    ways = [(one, there), (there, one)] * 50
    statuses = await asyncio.gather(*(transfer(*way) for way in ways))
    assert set(statuses) == {201}
    rows = (await north.dispatcher.get("/v1/inventory", part_id=one["parts"])).json["data"]
    assert [row["on_hand"] for row in rows] == [100, 100]


async def test_a_plan_has_room_for_so_many_warehouses(api: RunningApi) -> None:
    org = api.organization("Full")
    api.sql(
        "UPDATE organizations SET plan = 'starter', api_addon = true WHERE org_id = %s RETURNING 1",
        org.org_id,
    )
    api.sql(
        "INSERT INTO warehouses (org_id, id, name)"
        " SELECT %s, gen_random_uuid(), 'x' FROM generate_series(1, 50)",
        org.org_id,
    )
    refused = await org.admin.post("/v1/warehouses", {"name": "x"})
    assert (refused.status, refused.json["code"]) == (403, "quota_exceeded")
    assert (refused.json["quota"], refused.json["limit"], refused.json["used"]) == (
        "warehouses",
        50,
        50,
    )
