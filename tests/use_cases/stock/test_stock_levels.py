"""The application's role changes levels of stock by movements alone, and by none that cannot be."""

import asyncio
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.core.connect import pool
from db.core.ids import new_id
from db.core.table import db_now
from db.core.tenant import tenant
from db.stock.inventory import lock_levels
from db.stock.work_order_parts import OrderPartRow, order_parts
from operations.stock import NOTHING_NAMED, StockChange, StockLevel, changed
from tests.servers import DatabaseUnderTest
from use_cases.stock.movements import MovementWish, record
from use_cases.stock.order_parts import OrderStock, consume, plan


class Stored(NamedTuple):
    """A part with 10 on hand at 3, of which 5 are reserved: 3 for an order, which has used 2."""

    org: UUID
    part: UUID
    place: UUID
    other: UUID
    order: UUID
    level: UUID


@pytest.fixture(scope="module")
def stored(database: DatabaseUnderTest) -> Stored:
    """The stock of an organization."""
    ids = Stored(new_id(), new_id(), new_id(), new_id(), new_id(), UUID(int=0))
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'Acme')", (ids.org,))
        user_id = new_id()
        conn.execute(
            "INSERT INTO users (org_id, id, email, role) VALUES (%s, %s, 'a@example.com', 'admin')",
            (ids.org, user_id),
        )
        conn.execute(
            "INSERT INTO parts (org_id, id, number, name, unit, currency)"
            " VALUES (%s, %s, 'x', 'x', 'piece', 'EUR')",
            (ids.org, ids.part),
        )
        conn.execute(
            "INSERT INTO warehouses (org_id, id, name) SELECT %s, unnest(%s::uuid[]), 'x'",
            (ids.org, [ids.place, ids.other]),
        )
        conn.execute("SET session_replication_role = replica")
        conn.execute(
            "INSERT INTO work_orders (org_id, id, number, title, priority, state)"
            " VALUES (%s, %s, 1, 'x', 'low', 'started')",
            (ids.org, ids.order),
        )

    async def fill() -> UUID:
        async with (
            pool(database.url("opsc_app"), "filling", max_size=1) as connections,
            tenant(connections, ids.org) as conn,
        ):
            wish = MovementWish(ids.org, "receive", ids.part, ids.place, 12_000, unit_cost_cents=3)
            await record(conn, wish)
            stock, at = OrderStock(ids.org, ids.order, user_id), await db_now(conn)
            row = OrderPartRow(
                *(new_id(), ids.order, ids.part, ids.place),
                *(0, 0, 0, 0, at, at, "", "", "", "", "none"),
            )
            await order_parts.insert(conn, row)
            row = await plan(conn, stock, row._replace(planned_milli=5_000), is_reserved=True)
            row = await consume(conn, stock, row, ids.place, 2_000, NOTHING_NAMED)
            kept = await order_parts.find(conn, row.id)
            assert kept is not None
            assert (row.use, row.updated_at) == (kept.use, kept.updated_at)
            wish = wish._replace(kind="reserve", quantity_milli=2_000, unit_cost_cents=None)
            await record(conn, wish)
            found = await conn.execute(
                "SELECT id, on_hand_milli, reserved_milli, average_microcents FROM inventory"
            )
            ((level_id, *level),) = await found.fetchall()
            assert level == [10_000, 5_000, 3_000_000]
            return level_id

    return ids._replace(level=asyncio.run(fill()))


_NEW = """
INSERT INTO stock_movements (org_id, id, part_id, warehouse_id, kind, quantity_milli,
    on_hand_change_milli, reserved_change_milli, unit_cost_microcents, work_order_id,
    to_warehouse_id)
SELECT current_org_id(), gen_random_uuid(), '{0.part}', '{0.place}',
"""
_OTHER = """
INSERT INTO inventory (org_id, id, part_id, warehouse_id)
SELECT current_org_id(), gen_random_uuid(), '{0.part}', '{0.other}'
"""
_UNPLANNED = "UPDATE work_order_parts SET planned_milli = 0"  # no order needs it any longer
_LEVEL, _DENIED = "stock_movements_level", "insufficient privilege"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        # by no movement
        ("UPDATE inventory SET on_hand_milli = 9", _DENIED),
        ("UPDATE inventory SET reserved_milli = 0", _DENIED),
        ("UPDATE inventory SET average_microcents = 1", _DENIED),
        ("UPDATE inventory SET moved_times = 0", _DENIED),
        ("UPDATE inventory SET last_movement = 0", _DENIED),
        ("INSERT INTO inventory (org_id, id, part_id, warehouse_id, on_hand_milli)"
         " SELECT current_org_id(), gen_random_uuid(), '{0.part}', '{0.other}', 1000", _DENIED),
        ("UPDATE work_order_parts SET reserved_milli = 0", _DENIED),
        ("UPDATE work_order_parts SET used_milli = 1", _DENIED),
        ("UPDATE work_order_parts SET cost_cents = 0", _DENIED),
        ("UPDATE stock_movements SET quantity_milli = 1", _DENIED),
        ("DELETE FROM stock_movements", _DENIED),
        ("SELECT move_stock_lots(m, '{0.place}', '{{x}}', 1) FROM stock_movements m", _DENIED),
        ("SELECT keep_order_part(m) FROM stock_movements m", _DENIED),
        # by one that is none
        ("{new} 'receive', 1000, 2000, 0, 1, NULL, NULL", "stock_movements_change"),
        ("{new} 'receive', -1000, -1000, 0, 1, NULL, NULL", "stock_movements_change"),
        ("{new} 'issue', 1000, 1000, 0, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'issue', 1000, -1000, -500, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'reserve', 1000, 0, 2000, NULL, NULL, NULL", "stock_movements_change"),
        ("{new} 'reserve', 1000, 0, 1000, 1, NULL, NULL", "stock_movements_change"),
        ("{new} 'release', 1000, 0, 1000, NULL, NULL, NULL", "stock_movements_change"),
        ("{new} 'reserve', -1000, 0, -1000, NULL, NULL, NULL", "stock_movements_change"),
        ("{new} 'reserve', 1000, 1000, 1000, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'release', -1000, 0, 1000, NULL, NULL, NULL", "stock_movements_change"),
        ("{new} 'release', 1000, 1000, -1000, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'count', -1000, -1000, 0, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'count', 10000, 0, 1000, NULL, NULL, NULL", "stock_movements_change"),
        ("{new} 'adjust', 0, 0, 0, NULL, NULL, NULL", "stock_movements_change"),
        ("{new} 'adjust', 1000, 2000, 0, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'adjust', 1000, 1000, 1000, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'transfer', -1000, 1000, 0, 3000000, NULL, '{0.other}'", "stock_movements_change"),
        ("{new} 'transfer', 1000, -1000, -1000, 3000000, NULL, '{0.other}'",
         "stock_movements_change"),
        ("{new} 'issue', -1000, 1000, 0, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'consume', -1000, 1000, 0, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'consume', 1000, -2000, 0, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'consume', 1000, -1000, 1000, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'return', 1000, 1000, -1000, 3000000, NULL, NULL", "stock_movements_change"),
        ("{new} 'transfer', 1000, 1000, 0, 3000000, NULL, '{0.other}'", "stock_movements_change"),
        ("{new} 'receive', 1000, 1000, 0, 1, '{0.order}', NULL", "stock_movements_of_order"),
        # by more than is there
        ("{new} 'issue', 6000, -6000, 0, 3000000, NULL, NULL", "inventory_reserved"),
        ("{new} 'reserve', 6000, 0, 6000, NULL, NULL, NULL", "inventory_reserved"),
        ("{new} 'release', 6000, 0, -6000, NULL, NULL, NULL", "inventory_reserved"),
        ("{new} 'release', 4000, 0, -4000, NULL, '{0.order}', NULL", "work_order_part_reserved"),
        ("{new} 'reserve', 1000, 0, 1000, NULL, '{0.order}', NULL", "work_order_part_reserved"),
        ("{new} 'return', 3000, 3000, 0, 3000000, '{0.order}', NULL", "stock_movements_order_part"),
        # at no level, or before one that was there
        ("{new} 'transfer', 1000, -1000, 0, 3000000, NULL, '{0.other}'", _LEVEL),
        ("INSERT INTO stock_movements (org_id, id, number, part_id, warehouse_id, kind,"
         " quantity_milli, on_hand_change_milli, reserved_change_milli, unit_cost_microcents)"
         " OVERRIDING SYSTEM VALUE SELECT current_org_id(), gen_random_uuid(), 1, '{0.part}',"
         " '{0.place}', 'receive', 1, 1, 0, 1", _LEVEL),
        ("{level}; {new} 'transfer', 1000, -1000, 0, 3000000, NULL, '{0.other}'", None),
        ("{level}; {there} 'receive', 9, 9, 0, 7, NULL, NULL;"
         " {new} 'transfer', 1000, -1000, 0, 3000000, NULL, '{0.other}'", None),
        ("INSERT INTO stock_movements (org_id, id, number, part_id, warehouse_id, kind,"
         " quantity_milli, on_hand_change_milli, reserved_change_milli, unit_cost_microcents)"
         " OVERRIDING SYSTEM VALUE SELECT current_org_id(), gen_random_uuid(), 1000000,"
         " '{0.part}', '{0.place}', 'receive', 1, 1, 0, 1; {new} 'receive', 1, 1, 0, 1, NULL, NULL",
         _LEVEL),
        # where no cost was ever given
        ("{level}; {there} 'adjust', 1000, 1000, 0, 7, NULL, NULL", None),
        # what others have reserved elsewhere
        ("{level}; {there} 'receive', 9, 9, 0, 7, NULL, NULL; {there} 'reserve', 9, 0, 9, NULL,"
         " NULL, NULL; {there} 'release', 9, 0, -9, NULL, NULL, NULL", None),
        ("{level}; {there} 'receive', 9, 9, 0, 7, NULL, NULL; {there} 'reserve', 9, 0, 9, NULL,"
         " NULL, NULL; {there} 'release', 9, 0, -9, NULL, '{0.order}', NULL",
         "stock_movements_order_part"),
        ("UPDATE work_order_parts SET planned_milli = 4000", "work_order_part_reserved"),
    ],
)  # fmt: skip
def test_sql_as_the_application_does_not_get_around_movements(
    database: DatabaseUnderTest, stored: Stored, statement: str, constraint: str | None
) -> None:
    new = _NEW.format(stored)
    empty = "; ".join(
        f"{new} {values}"
        for values in (
            "'release', 3000, 0, -3000, NULL, '{0.order}', NULL",
            "'release', 2000, 0, -2000, NULL, NULL, NULL",
            "'issue', 10000, -10000, 0, 3000000, NULL, NULL",
        )
    ).format(stored)
    there = new.replace(str(stored.place), str(stored.other))
    parts = {"new": new, "there": there, "empty": empty, "level": _OTHER.format(stored)}
    text = statement.format(stored, **parts, unplanned=_UNPLANNED)
    assert _refusal(database, stored, text) == constraint


def _refusal(database: DatabaseUnderTest, stored: Stored, text: str) -> str | None:
    """Return the constraint that refuses the statements, whose effect is undone."""
    with psycopg.connect(database.url("opsc_app")) as conn:
        conn.execute("CALL act_for(%s, '')", (stored.org,))
        try:
            conn.execute(text.encode())
            conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.errors.InsufficientPrivilege:
            return _DENIED
        except psycopg.errors.CheckViolation as error:
            return error.diag.constraint_name
        finally:
            conn.rollback()
    return None


_COSTS = st.integers(0, 10**15)


@given(
    cases=st.lists(
        st.tuples(st.integers(1, 10**12), _COSTS, st.integers(1, 10**12), _COSTS)
        | st.tuples(*[st.integers(1, 9)] * 4),  # where halves are common
        min_size=50,
        max_size=50,
    )
)
def test_the_average_is_that_of_the_rules(
    database: DatabaseUnderTest, cases: list[tuple[int, int, int, int]]
) -> None:
    wanted = [
        changed(StockLevel(there, 0, average), StockChange(more, 0, cost)).average_microcents
        for there, average, more, cost in cases
    ]
    with psycopg.connect(database.url("admin")) as conn:
        found = conn.execute(
            "SELECT moved_average(a, b, c, d) FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[],"
            " %s::bigint[]) WITH ORDINALITY AS of (a, b, c, d, place) ORDER BY place",
            [list(column) for column in zip(*cases, strict=True)],
        ).fetchall()
    assert [value for (value,) in found] == wanted


async def test_a_change_of_tracking_waits_for_whoever_has_locked_a_level(
    database: DatabaseUnderTest, stored: Stored
) -> None:
    """Whoever locks levels locks their part first: else both would wait for each other."""
    part_id = new_id()
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'opsc_app'"
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        admin.execute(
            "INSERT INTO parts (org_id, id, number, name, unit, currency)"
            " VALUES (%s, %s, 'y', 'y', 'piece', 'EUR')",
            (stored.org, part_id),
        )
        admin.execute(
            "INSERT INTO inventory (org_id, id, part_id, warehouse_id) VALUES (%s, %s, %s, %s)",
            (stored.org, new_id(), part_id, stored.place),
        )
        wish = MovementWish(stored.org, "receive", part_id, stored.place, 1_000)
        async with pool(database.url("opsc_app"), "locking", max_size=2) as connections:

            async def change() -> None:
                async with tenant(connections, stored.org) as conn:
                    await conn.execute(
                        "UPDATE parts SET tracking = 'lot' WHERE id = %s", (part_id,)
                    )

            async with tenant(connections, stored.org) as conn:
                await lock_levels(conn, [(part_id, stored.place)])
                changing = asyncio.create_task(change())
                async with asyncio.timeout(20):
                    while not admin.execute(waiting).fetchall():  # noqa: ASYNC110  # it has no event
                        await asyncio.sleep(0.01)
                await record(conn, wish)
            with pytest.raises(psycopg.errors.CheckViolation) as refused:
                await changing
    assert refused.value.diag.constraint_name == "inventory_tracking_stays"
