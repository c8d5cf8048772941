"""What work and parts cost is shown to dispatchers and admins, and to nobody else."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.api.problems import is_problem
from tests.api.punching import jobsite, worker
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.stocked import stocked
from tests.api.stored import text

# The fields that tell a cost, of whatever has them.
COSTS = {
    "labour_cost_cents", "cost_cents", "average_cost_cents", "value_cents", "unit_cost_cents",
    "hourly_cost_cents",
}  # fmt: skip
SHOWN = {"viewer": False, "technician": False, "dispatcher": True, "admin": True}


@dataclass(frozen=True, slots=True)
class Priced:
    """An organization of which everything has a cost. paths: lists and single things, by name."""

    org: Organization
    paths: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def priced(api: RunningApi) -> Priced:
    """The organization of this module."""
    org = api.organization("Priced")
    who = await worker(api, org, hourly_cost_cents=4_800, currency="CHF")
    ids = await stocked(org, quantity=3)
    order = {"title": "x", "assignee_ids": [who.id], "labour_cost_cents": 100, "currency": "CHF"}
    path = (await org.admin.post("/v1/work-orders", order)).headers["Location"]
    assert (await org.admin.post(f"{path}/assign", None)).status == 200
    part = f"{path}/parts/{ids['parts']}"
    use = {"quantity": 1, "warehouse_id": ids["warehouses"]}
    assert (await org.admin.post(f"{part}/consume", use)).status == 200
    lists = ("work-orders", "inventory", "stock-movements", "parts", "employees")
    paths = {name: f"/v1/{name}" for name in lists} | {"parts of an order": f"{path}/parts"}
    single = {name: f"/v1/{name}/{ids[name]}" for name in ("inventory", "stock-movements", "parts")}
    single |= {
        "work-orders": path,
        "parts of an order": part,
        "employees": f"/v1/employees/{who.id}",
    }
    return Priced(org, paths | {f"one of {name}": each for name, each in single.items()})


def _costs(value: Any) -> list[int | None]:
    """Return the costs in an answer, whatever they are of."""
    if isinstance(value, list):
        return [cost for each in value for cost in _costs(each)]
    if not isinstance(value, dict):
        return []
    own = [cost for name, cost in value.items() if name in COSTS]
    return own + [cost for each in value.values() for cost in _costs(each)]


@pytest.mark.parametrize("role", SHOWN)
async def test_costs_are_shown_to_those_who_lead(priced: Priced, role: str) -> None:
    client: Client = getattr(priced.org, role)
    for name, path in priced.paths.items():
        answer = await client.get(path)
        assert answer.status == 200, answer.json
        costs = _costs(answer.json)
        assert costs, name
        assert (set(costs) != {None}, name) == (SHOWN[role], name)


async def test_no_event_and_nothing_that_is_found_tells_a_cost(
    priced: Priced, api: RunningApi
) -> None:
    events = api.sql("SELECT data FROM events WHERE org_id = %s", priced.org.org_id)
    found = (await priced.org.viewer.get("/v1/search", q="part")).json["data"]
    assert events
    assert found
    assert set(_costs([data for (data,) in events] + found)) <= {None}


async def test_a_technician_changes_what_they_were_shown(priced: Priced) -> None:
    """The tag of what a technician sees is that without costs, for each of their operations."""
    org, order = priced.org, priced.paths["one of work-orders"]
    tag = (await org.technician.get(order)).headers["ETag"]
    started = await _send(org, "POST", f"{order}/start", tag, None)
    assert (started.status, started.json["labour_cost_cents"]) == (200, None)
    status = {"status": "on_hold", "reason": "It rains."}
    held = await _send(org, "PATCH", order, started.headers["ETag"], status)
    assert (held.status, held.json["labour_cost_cents"]) == (200, None)
    part = priced.paths["one of parts of an order"]
    tag = (await org.technician.get(part)).headers["ETag"]
    warehouse = (await org.viewer.get("/v1/warehouses")).json["data"][0]["id"]
    use = {"quantity": 1, "warehouse_id": warehouse}
    used = await _send(org, "POST", f"{part}/consume", tag, use)
    assert (used.status, used.json["cost_cents"]) == (200, None)


async def test_a_raise_changes_nothing_of_what_is_closed(api: RunningApi) -> None:
    org = api.organization("Raised")
    zone = await jobsite(org)
    site = {"name": "Lot 4", "zone_id": zone["id"]}
    site_id = (await org.admin.post("/v1/sites", site)).json["id"]
    rate = {"hourly_cost_cents": 6_000, "currency": "CHF"}
    who = await worker(api, org, **rate)
    order = {"title": "x", "assignee_ids": [who.id], "site_id": site_id}
    path = (await org.admin.post("/v1/work-orders", order)).headers["Location"]

    async def say(verb: str, body: object = None) -> None:
        assert (await org.admin.post(f"{path}/{verb}", body)).status == 200

    async def cost() -> int:
        shown = (await org.admin.get(path, include="costs")).json["costs"]
        return shown["sums"][0]["labour_cents"]

    async def pay(cents: int) -> None:
        body = {"hourly_cost_cents": cents}
        assert (await org.admin.patch(f"/v1/employees/{who.id}", body)).status == 200

    for verb in ("assign", "start"):
        await say(verb)
    now = datetime.now(UTC)
    for kind, hours in (("in", 2), ("out", 1)):
        time = text(now - timedelta(hours=hours))
        await who.punch(kind, time=time, fix_time=time)
    await pay(7_000)
    assert await cost() == 7_000
    await say("complete", {"signer_name": "Peter Frei"})
    await say("close")
    await pay(9_000)
    assert await cost() == 7_000
    await say("reopen")
    assert await cost() == 9_000


async def _send(org: Organization, method: str, path: str, tag: str, body: object) -> Answer:
    return await org.technician.send(method, path, {"If-Match": tag}, json=body)


async def test_the_unit_of_a_part_stays_once_it_was_moved(priced: Priced) -> None:
    org = priced.org
    part = (await org.admin.post("/v1/parts", {"number": "U-1", "name": "Oil"})).headers["Location"]
    assert (await org.dispatcher.patch(part, {"unit": "l"})).json["unit"] == "l"
    moved = priced.paths["one of parts"]
    refused = await org.dispatcher.patch(moved, {"unit": "kg", "name": "Another part"})
    assert is_problem(refused, 409, "unit_in_use")
    assert refused.json["errors"][0]["pointer"] == "/unit"
    renamed = {"unit": "piece", "name": "Another part"}
    assert (await org.dispatcher.patch(moved, renamed)).status == 200
