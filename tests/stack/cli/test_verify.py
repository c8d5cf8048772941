"""`opsc verify stock`: levels are what the ledger adds up to, whatever happened meanwhile."""

import asyncio
import json
import random
from typing import get_args
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from db.core.connect import Pool, pool
from db.core.errors import DatabaseError
from db.core.ids import new_id
from db.core.tenant import tenant
from operations.errors import RuleError
from operations.stock import (
    FROM_RESERVED,
    NOTHING_NAMED,
    MovementKind,
    NamedLots,
    PartTracking,
    StockError,
)
from stack.cli.verify import verify
from stack.errors import StackError
from telemetry.ids import format_id
from tests.servers import DatabaseUnderTest
from use_cases.stock.movements import MovementWish, record

WORKERS, MOVES = 8, 60
KINDS: tuple[MovementKind, ...] = get_args(MovementKind)


def _verify(database: DatabaseUnderTest, *arguments: str) -> Result:
    environment = {"OPSC_DATABASE_URL": database.url("opsc_owner")}
    return CliRunner().invoke(verify, ["stock", *arguments], env=environment)


def _with_places(
    database: DatabaseUnderTest, second: PartTracking = "none"
) -> tuple[UUID, list[UUID], list[UUID]]:
    """Return a new organization, its two parts and its warehouses. second: its tracking."""
    org_id, parts, places = new_id(), [new_id(), new_id()], [new_id() for _ in range(3)]
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'Acme')", (org_id,))
        for part_id, tracking in zip(parts, ("none", second), strict=True):
            conn.execute(
                "INSERT INTO parts (org_id, id, number, name, unit, currency, tracking)"
                " VALUES (%s, %s, %s, 'x', 'piece', 'EUR', %s)",
                (org_id, part_id, str(part_id), tracking),
            )
        for place in places:
            conn.execute(
                "INSERT INTO warehouses (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, place)
            )
    return org_id, parts, places


def _wish(dice: random.Random, org_id: UUID, parts: list[UUID], places: list[UUID]) -> MovementWish:
    kind = dice.choice((*KINDS, "receive", "receive"))
    place, to = dice.sample(places, 2)
    part_id = dice.choice(parts)
    has_lot = part_id == parts[1] and kind not in ("reserve", "release")
    return MovementWish(
        org_id,
        kind,
        part_id,
        place,
        dice.randint(-5_000 if kind == "adjust" else 0, 20_000),
        to if kind == "transfer" else None,
        dice.randint(0, 5_000) if kind == "receive" and dice.random() < 0.8 else None,
        kind in FROM_RESERVED and dice.random() < 0.5,
        named=NamedLots(dice.choice("AB")) if has_lot else NOTHING_NAMED,
    )


async def _moved(
    connections: Pool, seed: int, org_id: UUID, parts: list[UUID], places: list[UUID]
) -> tuple[int, int, int]:
    """Move stock at random, while some connections are killed in the middle of a movement. Returns
    how many movements were made, refused and cut off.
    """
    dice, done = random.Random(seed), [0, 0, 0]
    for _ in range(MOVES):
        try:
            async with tenant(connections, org_id) as conn:
                await record(conn, _wish(dice, org_id, parts, places))
                if dice.random() < 0.1:
                    await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            done[0] += 1
        except (StockError, RuleError):
            done[1] += 1
        except DatabaseError:
            done[2] += 1
    return done[0], done[1], done[2]


def test_levels_are_what_the_ledger_adds_up_to_after_random_movements_and_killed_connections(
    database: DatabaseUnderTest,
) -> None:
    org_id, parts, places = _with_places(database, "lot")

    async def run() -> list[tuple[int, int, int]]:
        async with pool(database.url("opsc_app"), "moving", max_size=WORKERS) as connections:
            workers = (_moved(connections, seed, org_id, parts, places) for seed in range(WORKERS))
            return await asyncio.gather(*workers)

    made, refused, cut = (sum(each) for each in zip(*asyncio.run(run()), strict=True))
    assert made > 100
    assert refused > 10
    assert cut > 10
    result = _verify(database, format_id("org", org_id), "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said == {
        "organizations": 1,
        "levels": len(parts) * len(places),
        "movements": made,
        "work_order_parts": 0,
        "lots": 2 * len(places),
        "differences": [],
    }


@pytest.mark.parametrize(
    "change",
    [
        "on_hand_milli = on_hand_milli + 1",
        "reserved_milli = reserved_milli + 1",
        "average_microcents = average_microcents + 1",
    ],
)
def test_what_differs_is_printed_and_the_exit_code_is_1(
    database: DatabaseUnderTest, change: str
) -> None:
    org_id, (part_id, _), (place, *_) = _with_places(database)

    async def receive() -> None:
        wish = MovementWish(org_id, "receive", part_id, place, 5_000, unit_cost_cents=3)
        async with (
            pool(database.url("opsc_app"), "moving", max_size=1) as connections,
            tenant(connections, org_id) as conn,
        ):
            await record(conn, wish)

    asyncio.run(receive())
    assert _verify(database).exit_code == 0
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(f"UPDATE inventory SET {change} WHERE org_id = %s".encode(), (org_id,))
    result = _verify(database, "--json")
    assert result.exit_code == 1
    (difference,) = json.loads(result.stdout)["differences"]
    assert difference["part_id"] == format_id("prt", part_id)
    assert difference["organization_id"] == format_id("org", org_id)
    assert difference["stored"] != difference["worked_out"]
    printed = _verify(database, format_id("org", org_id))
    assert printed.exit_code == 1
    assert "1 levels, 1 movements, 0 parts of work orders, 0 lots: 1 differ" in printed.stdout
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("DELETE FROM inventory WHERE org_id = %s", (org_id,))
    result = _verify(database, "--json")
    assert json.loads(result.stdout)["differences"][0]["stored"] is None
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("DELETE FROM stock_movements WHERE org_id = %s", (org_id,))
    assert _verify(database).exit_code == 0


def test_a_lot_that_the_ledger_does_not_have_is_a_difference(database: DatabaseUnderTest) -> None:
    org_id, (_, part_id), (place, *_) = _with_places(database, "lot")

    async def receive() -> None:
        named = NamedLots("A")
        async with (
            pool(database.url("opsc_app"), "moving", max_size=1) as connections,
            tenant(connections, org_id) as conn,
        ):
            await record(conn, MovementWish(org_id, "receive", part_id, place, 5_000, named=named))

    asyncio.run(receive())
    assert _verify(database, format_id("org", org_id)).exit_code == 0
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("UPDATE stock_lots SET on_hand_milli = 4000 WHERE org_id = %s", (org_id,))
    result = _verify(database, format_id("org", org_id), "--json")
    assert result.exit_code == 1
    (difference,) = json.loads(result.stdout)["differences"]
    assert difference["lot"] == "A"
    assert (difference["stored_milli"], difference["worked_out_milli"]) == (4_000, 5_000)
    with psycopg.connect(database.url("admin")) as conn:  # which the next test does not see
        conn.execute("UPDATE stock_lots SET on_hand_milli = 5000 WHERE org_id = %s", (org_id,))


def test_an_organization_that_is_not_there_is_an_error(database: DatabaseUnderTest) -> None:
    result = _verify(database, format_id("org", new_id()))
    assert isinstance(result.exception, StackError)


def test_a_part_of_a_work_order_that_the_ledger_does_not_have_is_a_difference(
    database: DatabaseUnderTest,
) -> None:
    org_id, (part_id, _), _ = _with_places(database)
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            "INSERT INTO work_orders (org_id, id, number, title, priority, state)"
            " VALUES (%s, %s, 1, 'x', 'low', 'created')",
            (org_id, order_id := new_id()),
        )
        conn.execute(
            "INSERT INTO work_order_parts (org_id, id, work_order_id, part_id, planned_milli,"
            " used_milli) VALUES (%s, %s, %s, %s, 2, 1)",
            (org_id, new_id(), order_id, part_id),
        )
    result = _verify(database, format_id("org", org_id), "--json")
    assert result.exit_code == 1
    (difference,) = json.loads(result.stdout)["differences"]
    assert difference["work_order_id"] == format_id("wo", order_id)
    assert (difference["stored"]["used_milli"], difference["worked_out"]["used_milli"]) == (1, 0)
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("DELETE FROM work_order_parts WHERE org_id = %s", (org_id,))
    assert _verify(database, format_id("org", org_id)).exit_code == 0


def test_a_ledger_that_cannot_be_is_a_difference_too(database: DatabaseUnderTest) -> None:
    """More came back than was used, and more went out than was there."""
    org_id, (part_id, other_id), (place, *_) = _with_places(database)
    order_id = new_id()
    steps = [
        (part_id, "receive", 1, 1, 300, None),
        (part_id, "consume", 2, -2, 300, order_id),
        (part_id, "receive", 1, 1, 500, None),
        (part_id, "return", 3, 3, 300, order_id),
        (part_id, "return", 1, 1, 300, order_id),
        (other_id, "receive", 5, 5, 300, None),
    ]
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            "INSERT INTO work_orders (org_id, id, number, title, priority, state)"
            " VALUES (%s, %s, 1, 'x', 'low', 'created')",
            (org_id, order_id),
        )
        conn.execute("SET session_replication_role = replica")  # no trigger that refuses them
        for step in steps:
            conn.execute(
                "INSERT INTO stock_movements (org_id, id, warehouse_id, reserved_change_milli,"
                " part_id, kind, quantity_milli, on_hand_change_milli, unit_cost_microcents,"
                " work_order_id) VALUES (%s, %s, %s, 0, %s, %s, %s, %s, %s, %s)",
                (org_id, new_id(), place, *step),
            )
    result = _verify(database, format_id("org", org_id), "--json")
    assert result.exit_code == 1, result.exception
    *levels, part = json.loads(result.stdout)["differences"]
    assert sorted(each["worked_out"]["on_hand_milli"] for each in levels) == [4, 5]
    assert (part["stored"], part["worked_out"]["used_milli"]) == (None, -2)
    with psycopg.connect(database.url("admin")) as conn:  # which the next test does not see
        conn.execute("DELETE FROM stock_movements WHERE org_id = %s", (org_id,))
