"""Stock, moved at random by several clients while processes are killed and sessions ended.

Every request has an Idempotency-Key and is sent again, to any process, until it has an answer. Then
the ledger has each movement that was acknowledged once, and no other, and levels are what it adds
up to. It lasts thirty seconds; `STOCK_SECONDS=3600` makes it an hour.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple, get_args
from uuid import uuid4

import aiohttp
import pytest
from typer.testing import CliRunner

from operations.stock import MovementKind
from stack.cli.verify import verify
from tests.api.live.test_processes import Process, processes
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.stocked import stocked

pytestmark = [pytest.mark.own_api, pytest.mark.long]

SECONDS = float(os.environ.get("STOCK_SECONDS", "30"))
MOVERS, LEAST_KILLS = 8, 3
KINDS = ["receive", *(kind for kind in get_args(MovementKind) if kind != "return")]
ANSWERED_WITHIN_S = 120
END_SESSION = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = %s AND application_name = 'opsc-api' ORDER BY random() LIMIT 1
"""
NEVER_NEGATIVE = """
WITH changes AS (
    SELECT number, part_id, warehouse_id AS place, on_hand_change_milli AS on_hand,
           reserved_change_milli AS reserved FROM stock_movements WHERE org_id = %(org)s
     UNION ALL
    SELECT number, part_id, to_warehouse_id, -on_hand_change_milli, 0 FROM stock_movements
     WHERE org_id = %(org)s AND to_warehouse_id IS NOT NULL),
levels AS (
    SELECT sum(on_hand) OVER moved AS on_hand, sum(reserved) OVER moved AS reserved
      FROM changes WINDOW moved AS (PARTITION BY part_id, place ORDER BY number))
SELECT count(*), count(*) FILTER (WHERE reserved < 0 OR on_hand < reserved) FROM levels
"""


class Stock(NamedTuple):
    """The parts, warehouses and work orders that all move."""

    parts: list[str]
    places: list[str]
    orders: list[str]


class Mover:
    """A client that moves stock, and remembers what was acknowledged."""

    def __init__(self, seed: int, servers: list[Process], token: str, stock: Stock) -> None:
        self._dice, self._stock = random.Random(seed), stock
        self._clients = [Client(each.url, token) for each in servers]
        self.movements: list[str] = []
        self.used: Counter[tuple[str, str]] = Counter()  # by order and part, in thousandths
        self.refused = self.repeated = 0

    async def run(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            await (self._use() if self._dice.random() < 0.25 else self._move())

    async def _move(self) -> None:
        kind = self._dice.choice(KINDS)
        place, to = self._dice.sample(self._stock.places, 2)
        quantity = self._dice.randint(1, 9)
        body = {
            "kind": kind,
            "part_id": self._dice.choice(self._stock.parts),
            "warehouse_id": place,
            "quantity": -quantity if kind == "adjust" and self._dice.random() < 0.5 else quantity,
            "to_warehouse_id": to if kind == "transfer" else None,
            "from_reserved": kind in ("issue", "consume") and self._dice.random() < 0.3,
        }
        answer = await self._answered("/v1/stock-movements", body)
        if answer is not None:
            self.movements.append(answer.json["id"])

    async def _use(self) -> None:
        """Use a part for a work order, or bring it back."""
        verb, order = (
            self._dice.choice(["consume", "consume", "return"]),
            self._dice.choice(self._stock.orders),
        )
        part, quantity = self._dice.choice(self._stock.parts), self._dice.randint(1, 3)
        body = {"quantity": quantity, "warehouse_id": self._dice.choice(self._stock.places)}
        answer = await self._answered(f"/v1/work-orders/{order}/parts/{part}/{verb}", body)
        if answer is not None:
            self.used[order, part] += (quantity if verb == "consume" else -quantity) * 1000

    async def _answered(self, path: str, body: dict[str, Any]) -> Answer | None:
        """Send until there is an answer for good; None where it is a refusal."""
        headers = {"Idempotency-Key": str(uuid4())}
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while True:
                client = self._dice.choice(self._clients)
                with suppress(aiohttp.ClientError, TimeoutError):
                    answer = await client.send("POST", path, headers=headers, json=body)
                    code = answer.json.get("code") if answer.status >= 400 else None
                    if answer.status < 500 and code != "idempotency_in_flight":
                        break
                self.repeated += 1
                await asyncio.sleep(0.05)
        if answer.status < 300:
            return answer
        assert answer.status in (404, 409), answer.json
        self.refused += 1
        return None


async def _stock(org: Organization) -> Stock:
    ids = [await stocked(org, quantity=50, reorder_point=10) for _ in range(3)]
    parts, places = [each["parts"] for each in ids[:2]], [each["warehouses"] for each in ids]
    orders: list[str] = []
    for _ in range(3):
        made = await org.dispatcher.post("/v1/work-orders", {"title": "Service"})
        plan = {"part_id": parts[0], "warehouse_id": places[0], "quantity": 5}
        planned = await org.dispatcher.post(f"{made.headers['Location']}/parts", plan)
        assert planned.status == 201, planned.json
        orders.append(made.json["id"])
    return Stock(parts, places, orders)


async def _break(api: RunningApi, servers: list[Process]) -> tuple[int, int]:
    """Kill one process after the other, and end sessions in between, until the time is up; how many
    of each.
    """
    killed = ended = 0
    until_s = time.monotonic() + SECONDS
    while killed < LEAST_KILLS or time.monotonic() < until_s:
        victim, next_s = servers[killed % len(servers)], time.monotonic() + 4
        while time.monotonic() < next_s:
            ended += len(api.sql(END_SESSION, api.database.name))
            await asyncio.sleep(0.4)
        await asyncio.to_thread(victim.end, signal.SIGKILL)
        victim.start()
        killed += 1
        await victim.is_up()
    return killed, ended


@pytest.mark.timeout(SECONDS * 2 + 900)
async def test_the_ledger_has_what_was_acknowledged_and_levels_are_its_sum(
    api: RunningApi,
) -> None:
    org = api.organization("Stores")
    stock = await _stock(org)
    before = {row["id"] for row in await org.dispatcher.walk("/v1/stock-movements")}
    token = org.dispatcher.token
    assert token is not None
    with processes(api, 2) as servers:
        for each in servers:
            await each.is_up()
        ending = asyncio.Event()
        movers = [Mover(seed, servers, token, stock) for seed in range(MOVERS)]
        moving = [asyncio.create_task(each.run(ending)) for each in movers]
        killed, ended = await _break(api, servers)
        ending.set()
        await asyncio.gather(*moving)
    done = [movement for each in movers for movement in each.movements]
    refused, repeated = (sum(getattr(m, n) for m in movers) for n in ("refused", "repeated"))
    print(f"{len(done)} movements, {refused} refused, {repeated} sent again,", end=" ")
    print(f"{killed} processes killed, {ended} sessions ended")
    assert min(len(done), refused) > 50
    assert min(ended, repeated) > LEAST_KILLS
    ledger = await org.dispatcher.walk("/v1/stock-movements", limit=1000)
    own = {row["id"] for row in ledger if row["work_order_id"] is None} - before
    assert own == set(done)
    assert len(own) == len(done)
    await _check_uses(org, movers)
    ((changes, negative),) = api.sql_named(NEVER_NEGATIVE, {"org": org.org_id})
    assert (negative, changes >= len(ledger)) == (0, True)
    await asyncio.to_thread(_check_verified, api, org)


async def _check_uses(org: Organization, movers: list[Mover]) -> None:
    """Compare what each order used of each part with what was acknowledged."""
    for order in {order for each in movers for order, _ in each.used}:
        for row in (await org.dispatcher.get(f"/v1/work-orders/{order}/parts")).json["data"]:
            acknowledged = sum(each.used[order, row["part_id"]] for each in movers)
            assert row["used"] * 1000 == acknowledged, row


def _check_verified(api: RunningApi, org: Organization) -> None:
    """Run `opsc verify stock`, which has an event loop of its own and finds no difference."""
    environment = {"OPSC_DATABASE_URL": api.database.url("opsc_owner")}
    result = CliRunner().invoke(verify, ["stock", org.id, "--json"], env=environment)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["differences"] == []
    assert said["movements"] > 0
