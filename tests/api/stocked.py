"""Parts in warehouses, made through the API."""

from itertools import count
from typing import Any

from tests.api.running import Answer, Client, Organization

_numbers = count()


async def stocked(
    org: Organization,
    name: str = "x",
    warehouse_id: str | None = None,
    quantity: float = 3,
    **record: Any,
) -> dict[str, str]:
    """Return the ids of a new part that is in stock in a warehouse, by their lists. It is low
    unless `record` has another reorder point.
    """
    part = {"number": f"{name} {next(_numbers)}", "name": f"{name} part", "unit_cost_cents": 250}
    part_id = await _made(org.admin, "parts", part | {"fits": [{"model": "M"}]})
    if warehouse_id is None:
        warehouse_id = await _made(org.admin, "warehouses", {"name": f"{name} store"})
    body = {"part_id": part_id, "warehouse_id": warehouse_id, "opening_quantity": quantity}
    inventory_id = await _made(org.admin, "inventory", body | {"reorder_point": 3} | record)
    (movement,) = (await org.admin.get("/v1/stock-movements", part_id=part_id)).json["data"]
    return {
        "parts": part_id,
        "warehouses": warehouse_id,
        "inventory": inventory_id,
        "stock-movements": movement["id"],
    }


async def tracked(org: Organization, tracking: str, **named: Any) -> dict[str, str]:
    """Return the ids of a new part that is tracked by lots or serials, and of what is received of
    it: what is named, of a lot 3.
    """
    part = {"number": f"T {next(_numbers)}", "name": "Sling", "tracking": tracking}
    part_id = await _made(org.admin, "parts", part)
    warehouse_id = await _made(org.admin, "warehouses", {"name": "Sling store"})
    ids = {"parts": part_id, "warehouses": warehouse_id}
    received = await move(org.admin, ids, "receive", len(named.get("serials", "123")), **named)
    assert received.status == 201, received.json
    lots = (await org.admin.get("/v1/stock-lots", part_id=part_id)).json["data"]
    (record,) = (await org.admin.get("/v1/inventory", part_id=part_id)).json["data"]
    return ids | {"stock-lots": lots[0]["id"], "inventory": record["id"]}


async def move(
    client: Client, ids: dict[str, str], kind: str, quantity: float, **more: Any
) -> Answer:
    """Send a movement of the part in the warehouse."""
    place = {"part_id": ids["parts"], "warehouse_id": ids["warehouses"]}
    body = {"kind": kind, "quantity": quantity} | place | more
    return await client.post("/v1/stock-movements", body)


async def _made(client: Client, path: str, body: dict[str, Any]) -> str:
    answer = await client.post(f"/v1/{path}", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]
