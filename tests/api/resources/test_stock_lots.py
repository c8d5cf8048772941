"""Lots and serials of parts, through HTTP, and what the database itself holds of them."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from db.core.ids import new_id
from tests.api.problems import is_problem
from tests.api.punching import employee
from tests.api.running import Answer, Organization, RunningApi
from tests.api.stocked import move, stocked, tracked


async def _lots(org: Organization, ids: dict[str, str], **wanted: Any) -> dict[str, float]:
    answer = await org.viewer.get("/v1/stock-lots", part_id=ids["parts"], **wanted)
    assert answer.json["total"] == len(answer.json["data"])
    return {row["lot"]: row["on_hand"] for row in answer.json["data"]}


async def _on_hand(org: Organization, ids: dict[str, str]) -> float:
    return (await org.viewer.get(f"/v1/inventory/{ids['inventory']}")).json["on_hand"]


def _refusal(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.json["code"], answer.json["errors"][0]["pointer"]


async def _van(org: Organization) -> str:
    return (await org.admin.post("/v1/warehouses", {"name": "Van"})).json["id"]


async def test_every_kind_of_movement_changes_the_lot_that_it_names(north: Organization) -> None:
    ids, van = await tracked(north, "lot", lot="A", expires_on="2030-01-31"), await _van(north)
    steps: list[tuple[str, float, dict[str, Any], dict[str, float]]] = [
        ("receive", 10, {"lot": "B"}, {"A": 3, "B": 10}),
        ("issue", 1, {"lot": "B"}, {"A": 3, "B": 9}),
        ("reserve", 4, {}, {"A": 3, "B": 9}),
        ("consume", 2, {"lot": "A", "from_reserved": True}, {"A": 1, "B": 9}),
        ("release", 2, {}, {"A": 1, "B": 9}),
        ("return", 0.5, {"lot": "A"}, {"A": 1.5, "B": 9}),
        ("adjust", -1, {"lot": "B"}, {"A": 1.5, "B": 8}),
        ("count", 7, {"lot": "B"}, {"A": 1.5, "B": 7}),
        ("transfer", 1, {"lot": "A", "to_warehouse_id": van}, {"A": 0.5, "B": 7}),
        ("count", 0, {"lot": "B"}, {"A": 0.5}),
    ]
    for kind, quantity, more, then in steps:
        answer = await move(north.dispatcher, ids, kind, quantity, **more)
        assert answer.status == 201, answer.json
        assert answer.json["lot"] == more.get("lot")
        assert await _lots(north, ids, warehouse_id=ids["warehouses"]) == then, kind
        assert await _on_hand(north, ids) == sum(then.values())
    (arrived,) = (await north.viewer.get("/v1/stock-lots", warehouse_id=van)).json["data"]
    assert (arrived["lot"], arrived["on_hand"], arrived["is_serial"]) == ("A", 1, False)
    assert arrived["expires_on"] == "2030-01-31"
    assert await _lots(north, ids, in_stock="false") == {"B": 0}
    assert await _lots(north, ids, lot="A", warehouse_id=van) == {"A": 1}
    assert await _lots(north, ids, expires_before="2030-01-31") == {}
    wanted = {"warehouse_id": ids["warehouses"], "expires_before": "2030-02-01"}
    assert await _lots(north, ids, **wanted) == {"A": 0.5}
    moved = await north.viewer.walk("/v1/stock-movements", lot="A", part_id=ids["parts"], limit=2)
    assert [row["kind"] for row in moved] == ["transfer", "return", "consume", "receive"]
    (one,) = (await north.viewer.get("/v1/stock-lots", warehouse_id=van)).json["data"]
    assert (await north.viewer.get(f"/v1/stock-lots/{one['id']}")).json == one


async def test_a_serial_is_in_one_place_at_most(north: Organization) -> None:
    ids, van = await tracked(north, "serial", serials=["S1", "S2", "S3"]), await _van(north)
    there = ids | {"warehouses": van}
    in_stock = (409, "serial_in_stock", "/serials")
    not_there = (409, "serial_not_in_stock", "/serials")
    assert _refusal(await move(north.admin, ids, "receive", 1, serials=["S1"])) == in_stock
    assert _refusal(await move(north.admin, there, "receive", 1, serials=["S1"])) == in_stock
    assert (await move(north.admin, there, "receive", 1, serials=["S4"])).status == 201
    assert _refusal(await move(north.admin, there, "issue", 1, serials=["S1"])) == not_there
    to = {"serials": ["S1", "S2"], "to_warehouse_id": van}
    assert (await move(north.admin, ids, "transfer", 2, **to)).status == 201
    assert await _lots(north, ids, warehouse_id=van) == {"S1": 1, "S2": 1, "S4": 1}
    assert await _lots(north, ids, warehouse_id=ids["warehouses"]) == {"S3": 1}
    assert (await move(north.admin, there, "consume", 1, serials=["S1"])).status == 201
    assert _refusal(await move(north.admin, there, "consume", 1, serials=["S1"])) == not_there
    assert (await move(north.admin, ids, "return", 1, serials=["S1"])).status == 201
    assert (await move(north.admin, ids, "adjust", -1, serials=["S3"])).status == 201
    assert await _lots(north, ids) == {"S1": 1, "S2": 1, "S4": 1}
    moved = (await north.viewer.get("/v1/stock-movements", serial="S1")).json
    assert [row["kind"] for row in moved["data"]] == ["return", "consume", "transfer", "receive"]
    assert moved["total"] == 4
    assert moved["data"][2]["serials"] == ["S1", "S2"]


def _bad(field: str) -> tuple[int, str, str]:
    return 422, "invalid_body", f"/{field}"


@pytest.mark.parametrize(
    ("tracking", "change", "refusal"),
    [
        ("lot", {}, _bad("lot")),
        ("lot", {"serials": ["x"]}, _bad("serials")),
        ("lot", {"lot": "B"}, (409, "insufficient_lot", "/lot")),
        ("lot", {"lot": "A", "quantity": 4}, (409, "insufficient_lot", "/lot")),
        ("lot", {"lot": "x" * 61}, _bad("lot")),
        ("lot", {"lot": " "}, _bad("lot")),
        ("lot", {"kind": "reserve", "lot": "A"}, _bad("lot")),
        ("lot", {"lot": "A", "expires_on": "2030-01-01"}, _bad("expires_on")),
        ("lot", {"kind": "count"}, _bad("lot")),
        ("serial", {}, _bad("serials")),
        ("serial", {"lot": "A"}, _bad("lot")),
        ("serial", {"serials": []}, _bad("serials")),
        ("serial", {"serials": ["A", "B"]}, _bad("serials")),
        ("serial", {"serials": ["A", "A"], "quantity": 2}, _bad("serials")),
        ("serial", {"serials": ["A"], "quantity": 0.5}, _bad("quantity")),
        ("serial", {"serials": ["A"] * 201, "quantity": 201}, _bad("serials")),
        ("serial", {"serials": ["A"], "kind": "count"}, _bad("kind")),
        ("serial", {"kind": "reserve", "quantity": 1.5}, _bad("quantity")),
        ("none", {"lot": "A"}, _bad("lot")),
        ("none", {"serials": ["A"]}, _bad("serials")),
        ("none", {"kind": "receive", "expires_on": "2030-01-01"}, _bad("expires_on")),
    ],
)  # fmt: skip
async def test_a_movement_names_what_the_tracking_wants(
    north: Organization, tracking: str, change: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    named: dict[str, Any] = {"lot": {"lot": "A"}, "serial": {"serials": ["A", "B", "C"]}}
    if tracking == "none":
        ids = await stocked(north)
    else:
        ids = await tracked(north, tracking, **named[tracking])
    if tracking == "lot":
        await move(north.admin, ids, "receive", 2, lot="C")
    before = await _lots(north, ids)
    answer = await move(north.admin, ids, **({"kind": "issue", "quantity": 1} | change))
    assert _refusal(answer) == refusal, answer.json
    assert await _lots(north, ids) == before
    assert await _on_hand(north, ids) == (5 if tracking == "lot" else 3)


async def test_tracking_changes_only_while_there_is_no_stock(north: Organization) -> None:
    ids = await stocked(north, quantity=1)
    path = f"/v1/parts/{ids['parts']}"
    refused = await north.admin.patch(path, {"tracking": "lot"})
    assert _refusal(refused) == (409, "in_stock", "/tracking")
    assert (await north.admin.patch(path, {"name": "Other"})).status == 200
    await move(north.admin, ids, "consume", 1)
    assert (await north.admin.patch(path, {"tracking": "lot"})).json["tracking"] == "lot"
    record = (await north.viewer.get(f"/v1/inventory/{ids['inventory']}")).json
    assert record["tracking"] == "lot"
    assert (await move(north.admin, ids, "receive", 1, lot="A")).status == 201
    refused = await north.admin.patch(path, {"tracking": "serial"})
    assert _refusal(refused) == (409, "in_stock", "/tracking")
    await move(north.admin, ids, "issue", 1, lot="A")
    assert (await north.admin.patch(path, {"tracking": "serial"})).status == 200
    assert (await move(north.admin, ids, "receive", 1, serials=["A"])).status == 201
    assert await _lots(north, ids) == {"A": 1}


async def test_tracking_is_changed_while_orders_move_the_part(
    api: RunningApi, north: Organization
) -> None:
    ids = await stocked(north, quantity=0)
    path = f"/v1/parts/{ids['parts']}"
    body = {"title": "x", "assignee_ids": [await employee(north)]}
    order = (await north.admin.post("/v1/work-orders", body)).headers["Location"]
    await north.admin.post(f"{order}/assign", None)
    plan = {"part_id": ids["parts"], "warehouse_id": ids["warehouses"], "quantity": 1}
    assert (await north.admin.post(f"{order}/parts", plan | {"quantity": 0})).status == 201

    async def use() -> set[int]:
        seen: set[int] = set()
        for kind, more in (("receive", {}), ("receive", {"lot": "A"})):
            seen.add((await move(north.admin, ids, kind, 1, **more)).status)
            for named in ({}, {"lot": "A"}):
                taken = await north.admin.post(
                    f"{order}/parts/{ids['parts']}/consume", {"quantity": 1} | named
                )
                seen.add(taken.status)
            seen.add(
                (await north.admin.patch(f"{order}/parts/{ids['parts']}", {"quantity": 0})).status
            )
        return seen

    async def change() -> set[int]:
        return {
            (await north.admin.patch(path, {"tracking": tracking})).status
            for tracking in ("lot", "none") * 4
        }

    seen = await asyncio.gather(use(), use(), use(), change(), change())
    assert set().union(*seen) <= {200, 201, 409, 422}


async def test_an_opening_quantity_of_lots_is_received(north: Organization) -> None:
    ids = await tracked(north, "lot", lot="A")
    body = {"part_id": ids["parts"], "warehouse_id": await _van(north)}
    refused = await north.admin.post("/v1/inventory", body | {"opening_quantity": 2})
    assert _refusal(refused) == (422, "invalid_body", "/opening_quantity")
    made = await north.admin.post("/v1/inventory", body | {"opening_quantity": 0})
    assert (made.status, made.json["tracking"]) == (201, "lot")


async def test_a_work_order_uses_lots_and_serials(north: Organization) -> None:
    ids = await tracked(north, "serial", serials=["S1", "S2", "S3"])
    body = {"title": "x", "assignee_ids": [await employee(north)]}
    order = (await north.admin.post("/v1/work-orders", body)).json["id"]
    assert (await north.admin.post(f"/v1/work-orders/{order}/assign", None)).status == 200
    parts = f"/v1/work-orders/{order}/parts"
    plan = {"part_id": ids["parts"], "warehouse_id": ids["warehouses"]}
    refused = await north.admin.post(parts, plan | {"quantity": 1.5})
    assert _refusal(refused) == (422, "invalid_body", "/quantity")
    planned = await north.admin.post(parts, plan | {"quantity": 1})
    assert (planned.json["reserved"], planned.json["tracking"]) == (1, "serial")
    part = f"{parts}/{ids['parts']}"
    for body, pointer in (
        ({"quantity": 1}, "/serials"),
        ({"quantity": 1, "serials": ["S1", "S2"]}, "/serials"),
        ({"quantity": 1, "lot": "S1"}, "/lot"),
        ({"quantity": 1, "serials": ["S4"]}, "/serials"),
    ):
        refused = await north.admin.post(f"{part}/consume", body)
        assert refused.json["errors"][0]["pointer"] == pointer, refused.json
    used = await north.admin.post(f"{part}/consume", {"quantity": 2, "serials": ["S1", "S3"]})
    assert (used.json["used"], used.json["reserved"]) == (2, 0)
    assert await _lots(north, ids) == {"S2": 1}
    await move(north.admin, ids, "issue", 1, serials=["S2"])
    for serials in (["S2"], ["S9"], ["S1", "S9"]):
        body = {"quantity": len(serials), "serials": serials}
        refused = await north.admin.post(f"{part}/return", body)
        assert (refused.status, refused.json["code"]) == (409, "serial_not_used")
        assert refused.json["detail"] == f"The work order has not used {serials[-1]}."
    assert await _lots(north, ids) == {}
    await move(north.admin, ids, "return", 1, serials=["S2"])
    back = await north.admin.post(f"{part}/return", {"quantity": 1, "serials": ["S3"]})
    assert back.json["used"] == 1
    assert await _lots(north, ids) == {"S2": 1, "S3": 1}


async def _assigned(org: Organization) -> str:
    """Return the path of a new work order that is assigned."""
    body = {"title": "x", "assignee_ids": [await employee(org)]}
    path = (await org.admin.post("/v1/work-orders", body)).headers["Location"]
    assert (await org.admin.post(f"{path}/assign", None)).status == 200
    return path


async def test_an_order_brings_back_no_more_of_a_lot_than_it_used(
    api: RunningApi, north: Organization
) -> None:
    ids = await tracked(north, "lot", lot="A")
    assert (await move(north.admin, ids, "receive", 3, lot="B")).status == 201
    order, other = await _assigned(north), await _assigned(north)
    place = {"warehouse_id": ids["warehouses"]}

    async def say(path: str, verb: str, quantity: float, lot: str) -> Answer:
        body = {"quantity": quantity, "lot": lot} | place
        return await north.admin.post(f"{path}/parts/{ids['parts']}/{verb}", body)

    for path, quantity, lot in ((order, 2, "A"), (order, 1, "B"), (other, 1, "A")):
        assert (await say(path, "consume", quantity, lot)).status == 200
    for quantity, lot in ((1.5, "B"), (1, "C"), (3, "A")):
        refused = await say(order, "return", quantity, lot)
        assert (refused.status, refused.json["code"]) == (409, "lot_not_used"), refused.json
    assert (await say(order, "return", 1.5, "A")).status == 200
    assert is_problem(await say(order, "return", 1, "A"), 409, "lot_not_used")
    assert await _lots(north, ids) == {"A": 1.5, "B": 2}


async def test_what_was_used_before_it_was_tracked_comes_back_under_any_name(
    north: Organization,
) -> None:
    ids = await stocked(north, quantity=1)
    part = f"{await _assigned(north)}/parts/{ids['parts']}"
    body = {"quantity": 1, "warehouse_id": ids["warehouses"]}
    assert (await north.admin.post(f"{part}/consume", body)).status == 200
    tracking = {"tracking": "serial"}
    assert (await north.admin.patch(f"/v1/parts/{ids['parts']}", tracking)).status == 200
    back = await north.admin.post(f"{part}/return", body | {"serials": ["S1"]})
    assert (back.status, back.json["used"]) == (200, 0)
    assert await _lots(north, ids) == {"S1": 1}


async def test_a_part_that_is_tracked_by_serials_is_planned_in_whole_ones(
    north: Organization,
) -> None:
    ids = await tracked(north, "serial", serials=["P1"])
    draft = {"title": "x", "status": "draft"}
    path = (await north.admin.post("/v1/work-orders", draft)).headers["Location"]
    plan = {"part_id": ids["parts"], "quantity": 1.5}
    refused = await north.admin.post(f"{path}/parts", plan)
    assert _refusal(refused) == (422, "invalid_body", "/quantity")
    assert (await north.admin.post(f"{path}/parts", plan | {"quantity": 1})).status == 201
    refused = await north.admin.patch(f"{path}/parts/{ids['parts']}", {"quantity": 0.5})
    assert _refusal(refused) == (422, "invalid_body", "/quantity")
    by_weight = await stocked(north, quantity=0)
    plan = {"part_id": by_weight["parts"], "quantity": 1.5}
    assert (await north.admin.post(f"{path}/parts", plan)).status == 201
    refused = await north.admin.patch(f"/v1/parts/{by_weight['parts']}", {"tracking": "serial"})
    assert _refusal(refused) == (409, "in_use", "/tracking")


async def test_a_lot_keeps_its_day_wherever_it_comes_back_to(north: Organization) -> None:
    ids, van = await tracked(north, "lot", lot="A", expires_on="2030-01-31"), await _van(north)
    await move(north.admin, ids, "issue", 2, lot="A")
    there = ids | {"warehouses": van}
    assert (await move(north.admin, there, "return", 2, lot="A")).status == 201
    (back,) = (await north.viewer.get("/v1/stock-lots", warehouse_id=van)).json["data"]
    assert back["expires_on"] == "2030-01-31"


async def test_each_serial_counts_towards_the_movements_of_a_day(api: RunningApi) -> None:
    org = api.organization("Serials")
    ids = await tracked(org, "serial", serials=["S1", "S2", "S3"])
    rows = api.sql("SELECT moved_times FROM inventory WHERE org_id = %s", org.org_id)
    assert rows == [(3,)]
    api.sql("UPDATE inventory SET moved_times = 19999 WHERE org_id = %s RETURNING 1", org.org_id)
    refused = await move(org.admin, ids, "consume", 2, serials=["S1", "S2"])
    assert (refused.status, refused.json["code"]) == (403, "quota_exceeded")
    assert (await move(org.admin, ids, "consume", 1, serials=["S1"])).status == 201


async def test_consumers_of_the_same_moment_never_oversell_a_lot(north: Organization) -> None:
    ids = await tracked(north, "lot", lot="A")
    await move(north.admin, ids, "receive", 697, lot="A")
    await move(north.admin, ids, "receive", 1_000, lot="B")
    gate = asyncio.Semaphore(50)

    async def consume() -> int:
        async with gate:
            while (
                answer := await move(north.dispatcher, ids, "consume", 1, lot="A")
            ).status == 503:
                pass  # it waited for too long, and has moved nothing
            return answer.status

    statuses = await asyncio.gather(*(consume() for _ in range(1_000)))
    assert (statuses.count(201), statuses.count(409)) == (700, 300)
    assert await _lots(north, ids) == {"B": 1_000}
    assert await _on_hand(north, ids) == 1_000


async def test_a_serial_that_is_received_in_many_places_at_once_is_in_one(
    north: Organization,
) -> None:
    ids = await tracked(north, "serial", serials=["S0"])
    places = [await _van(north) for _ in range(8)]

    async def receive(place: str) -> Answer:
        return await move(north.admin, ids | {"warehouses": place}, "receive", 1, serials=["S"])

    answers = await asyncio.gather(*map(receive, places))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 7]
    assert {a.json["code"] for a in answers if a.status == 409} == {"serial_in_stock"}
    assert await _lots(north, ids) == {"S0": 1, "S": 1}


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE stock_lots SET on_hand_milli = 9", None),
        ("DELETE FROM stock_lots", None),
        ("INSERT INTO stock_movement_serials VALUES ({org}, 'x', {mov})", None),
        ("UPDATE stock_movements SET lot = 'B'", None),
        ("UPDATE inventory SET lots_milli = 9", None),
        ("UPDATE inventory SET tracking = 'none'", None),
        ("{new} 'receive', 1000, 1000, NULL, NULL", "inventory_lots_add_up"),
        (
            "{new} 'receive', 1000, 1000, NULL, NULL;"
            " CALL act_for(gen_random_uuid(), '')",
            "inventory_lots_add_up",
        ),
        ("{new} 'issue', 4000, -4000, 'A', NULL", "inventory_is_there"),
        ("{new} 'issue', 1000, -1000, 'B', NULL", "stock_lots_are_there"),
        ("{new} 'receive', 1000, 1000, NULL, '{{S}}'", "stock_movements_tracking"),
        ("{new} 'receive', 1000, 1000, 'A', '{{S}}'", "stock_movements_lot_or_serials"),
        ("{new} 'receive', 2000, 2000, NULL, '{{S}}'", "stock_movements_serials"),
        ("{new} 'reserve', 1000, 0, 'A', NULL", "stock_movements_change"),
        ("UPDATE parts SET tracking = 'none' WHERE id = {part}", "inventory_tracking_stays"),
    ],
)  # fmt: skip
async def test_sql_as_the_application_does_not_get_around_lots(
    api: RunningApi, north: Organization, statement: str, constraint: str | None
) -> None:
    ids = await tracked(north, "lot", lot="A")
    ((part, place, mov),) = api.sql(
        "SELECT part_id, warehouse_id, id FROM stock_movements WHERE org_id = %s"
        " ORDER BY number DESC LIMIT 1",
        north.org_id,
    )
    new = (
        "INSERT INTO stock_movements"
        " (org_id, id, part_id, warehouse_id, reserved_change_milli, kind, quantity_milli,"
        f" on_hand_change_milli, lot, serials) SELECT '{north.org_id}', '{new_id()}', '{part}',"
        f" '{place}', 0,"
    )
    text = statement.format(org=f"'{north.org_id}'", mov=f"'{mov}'", part=f"'{part}'", new=new)
    with psycopg.connect(api.database.url("opsc_app")) as conn:
        conn.execute("CALL act_for(%s, '')", (north.org_id,))
        if constraint is None:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(text.encode())
            return
        with pytest.raises(psycopg.errors.CheckViolation) as refused:  # noqa: PT012  # at COMMIT, or before
            conn.execute(text.encode())
            conn.commit()
        assert refused.value.diag.constraint_name == constraint
    assert await _lots(north, ids) == {"A": 3}


# Expired lots -------------------------------------------------------------------------------------


def _today(zone: str) -> date:
    return datetime.now(ZoneInfo(zone)).date()


async def test_who_moves_an_expired_lot_is_warned_and_not_refused(north: Organization) -> None:
    old, good = "2020-01-31", "2099-01-31"
    ids = await tracked(north, "lot", lot="old", expires_on=old)
    fresh = await move(north.dispatcher, ids, "receive", 3, lot="good", expires_on=good)
    assert fresh.json["expired_lots"] == []
    for kind in ("issue", "transfer", "return"):
        more = {"to_warehouse_id": await _van(north)} if kind == "transfer" else {}
        answer = await move(north.dispatcher, ids, kind, 1, lot="old", **more)
        assert (answer.status, answer.json["expired_lots"]) == (201, ["old"])
    shown = await north.viewer.get(f"/v1/stock-movements/{answer.json['id']}")
    assert shown.headers["ETag"] == answer.headers["ETag"]
    assert "expired_lots" not in shown.json
    assert "expired_lots" not in (await move(north.dispatcher, ids, "reserve", 1)).json
    lots = (await north.viewer.get("/v1/stock-lots", part_id=ids["parts"])).json["data"]
    assert {(lot["lot"], lot["is_expired"]) for lot in lots} == {("old", True), ("good", False)}


async def test_who_uses_expired_serials_for_a_work_order_is_warned(north: Organization) -> None:
    ids = await tracked(north, "serial", serials=["S1", "S2", "S3"], expires_on="2020-01-31")
    good = {"serials": ["S4"], "expires_on": "2099-01-31"}
    assert (await move(north.dispatcher, ids, "receive", 1, **good)).json["expired_lots"] == []
    order = {"title": "x", "assignee_ids": [await employee(north)]}
    path = (await north.dispatcher.post("/v1/work-orders", order)).headers["Location"]
    assert (await north.dispatcher.post(f"{path}/assign", None)).status == 200
    part = f"{path}/parts/{ids['parts']}"
    used = {"quantity": 3, "warehouse_id": ids["warehouses"], "serials": ["S4", "S2", "S1"]}
    answer = await north.dispatcher.post(f"{part}/consume", used)
    assert (answer.status, answer.json["expired_lots"]) == (200, ["S1", "S2"])
    back = used | {"quantity": 1, "serials": ["S4"]}
    assert (await north.dispatcher.post(f"{part}/return", back)).json["expired_lots"] == []


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_a_lot_is_good_on_its_last_day_where_the_organization_is(
    api: RunningApi, zone: str
) -> None:
    org = api.organization("Far")
    assert (await org.admin.patch("/v1/organization", {"timezone": zone})).status == 200
    ids = await tracked(org, "lot", lot="A", expires_on=_today(zone).isoformat())
    yesterday = _today(zone) - timedelta(days=1)
    await move(org.admin, ids, "receive", 1, lot="B", expires_on=yesterday.isoformat())
    lots = (await org.viewer.get("/v1/stock-lots")).json["data"]
    assert {lot["lot"]: lot["is_expired"] for lot in lots} == {"A": False, "B": True}
