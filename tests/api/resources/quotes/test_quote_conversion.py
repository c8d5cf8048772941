"""The work order of a quote that was accepted."""

import asyncio
from typing import Any

from tests.api.auth.test_scopes import key
from tests.api.mailbox import Mailbox
from tests.api.problems import is_problem
from tests.api.resources.quoting import LINE, client_of, done, draft, read, sent
from tests.api.running import Answer, Organization, RunningApi
from tests.api.stocked import stocked, tracked

BY_HAND = {"name": "Ann Lee", "reason": "By a signed letter."}


async def accepted(org: Organization, mailbox: Mailbox, **more: Any) -> dict[str, Any]:
    """Return a quote that was sent and accepted."""
    quote, _ = await sent(org, mailbox, **more)
    answer = await done(org, quote, "accept", BY_HAND)
    assert answer.status == 200, answer.json
    return answer.json


async def _convert(org: Organization, quote: dict[str, Any], **body: Any) -> Answer:
    return await done(org, quote, "convert", body or None)


async def test_an_accepted_quote_becomes_a_work_order_once(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    part, other = await stocked(org, quantity=10), await stocked(org, quantity=10)
    site = {"name": "Lot 4", "client_id": (client_id := await client_of(org))}
    site_id = (await org.admin.post("/v1/sites", site)).json["id"]
    filters = {"description": "Filter", "quantity_thousandths": 1_500, "unit_price_cents": 500}
    lines = [
        LINE | {"description": "x" * 600},
        filters | {"part_id": part["parts"]},
        filters | {"part_id": part["parts"], "quantity_thousandths": 500},
        filters | {"part_id": other["parts"], "description": "Hose"},
    ]
    quote = await draft(org, client_id=client_id, lines=lines)
    assert [line["part_id"] for line in quote["lines"]] == [
        None,
        part["parts"],
        part["parts"],
        other["parts"],
    ]
    assert (await org.viewer.get(f"/v1/quotes/{quote['id']}/pdf")).status == 200
    quote = await accepted(org, mailbox, client_id=client_id, lines=lines)
    assert quote["work_order_id"] is None
    narrow = await key(api, org, "quotes:write")
    refused = await narrow.post(f"/v1/quotes/{quote['id']}/convert", {})
    assert is_problem(refused, 403, "scope_missing")
    await org.admin.patch(f"/v1/inventory/{other['inventory']}", {"reorder_point": None})
    emptied = {"kind": "count", "quantity": 0, "part_id": other["parts"]}
    await org.admin.post("/v1/stock-movements", emptied | {"warehouse_id": other["warehouses"]})
    assert (await org.admin.delete(f"/v1/parts/{other['parts']}")).status == 204
    made = await _convert(org, quote, site_id=site_id, warehouse_id=part["warehouses"])
    assert made.status == 201, made.json
    order = made.json
    assert (order["status"], order["title"], order["number"]) == ("created", quote["title"], 1)
    assert (order["client_id"], order["site_id"]) == (client_id, site_id)
    assert order["quote_id"] == quote["id"]
    texts = [task["text"] for task in order["checklist"]]
    assert texts == ["x" * 499 + "…", "Hose"]  # a part that is deleted is not planned
    assert (await org.viewer.get(made.headers["Location"])).json == order
    assert (await read(org, quote))["work_order_id"] == order["id"]
    planned = (await org.viewer.get(f"{made.headers['Location']}/parts")).json["data"]
    assert [(row["part_id"], row["planned"], row["reserved"]) for row in planned] == [
        (part["parts"], 2, 2)
    ]
    told = api.sql(
        "SELECT type, data ->> 'work_order_id' FROM events WHERE org_id = %s"
        " AND type LIKE 'work_order.%%'",
        org.org_id,
    )
    assert told == [("work_order.created", order["id"])]
    again = await _convert(org, quote)
    assert is_problem(again, 409, "converted")
    assert again.json["work_order_id"] == order["id"]


async def test_lines_of_one_part_become_one_planned_part(
    org: Organization, mailbox: Mailbox
) -> None:
    part = await stocked(org, quantity=10)
    lines = [
        LINE | {"part_id": part["parts"], "quantity_thousandths": quantity}
        for quantity in (250, 750)
    ]
    quote = await accepted(org, mailbox, lines=lines)
    made = await _convert(org, quote, warehouse_id=part["warehouses"])
    assert made.json["checklist"] == []
    planned = (await org.viewer.get(f"{made.headers['Location']}/parts")).json["data"]
    assert [(row["part_id"], row["planned"]) for row in planned] == [(part["parts"], 1)]


async def test_a_fraction_of_a_part_with_serials_becomes_a_task(
    org: Organization, mailbox: Mailbox
) -> None:
    halves, half = [await tracked(org, "serial", serials=["S1", "S2"]) for _ in range(2)]
    lines = [
        LINE | {"part_id": part["parts"], "quantity_thousandths": 500, "description": text}
        for part, text in ((halves, "One half"), (halves, "The other half"), (half, "A half"))
    ]
    made = await _convert(org, await accepted(org, mailbox, lines=lines))
    assert [task["text"] for task in made.json["checklist"]] == ["A half"]
    planned = (await org.viewer.get(f"{made.headers['Location']}/parts")).json["data"]
    assert [(row["part_id"], row["planned"]) for row in planned] == [(halves["parts"], 1)]


async def test_two_who_convert_a_quote_at_once_make_one_work_order(
    org: Organization, mailbox: Mailbox
) -> None:
    quote = await accepted(org, mailbox)
    answers = await asyncio.gather(*(_convert(org, quote) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert (await org.viewer.get("/v1/work-orders")).json["total"] == 1
    (order,) = [answer.json for answer in answers if answer.status == 201]
    plain = await org.dispatcher.post("/v1/work-orders", {"title": "x"})
    assert (order["number"], plain.json["number"]) == (1, 2)  # a refusal takes no number


async def test_only_an_accepted_quote_is_converted_and_stock_that_is_short_undoes_it(
    org: Organization, mailbox: Mailbox
) -> None:
    assert is_problem(await _convert(org, await draft(org)), 409, "illegal_move")
    part = await stocked(org, quantity=1)
    lines = [LINE | {"part_id": part["parts"]}]  # 12.5 of it
    quote = await accepted(org, mailbox, lines=lines)
    short = await _convert(org, quote, warehouse_id=part["warehouses"])
    assert is_problem(short, 409, "insufficient_stock")
    assert (await read(org, quote))["work_order_id"] is None
    for caller in (org.viewer, org.technician):
        assert (await caller.post(f"/v1/quotes/{quote['id']}/convert", None)).status == 403
    assert (await _convert(org, quote)).status == 201  # to be ordered
