"""The check of stock: all levels of the tenant, worked out anew from the ledger."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.stock.movements import arriving
from operations.stock import StockChange, StockLevel, changed

_LEDGER = """
SELECT part_id, warehouse_id, to_warehouse_id, on_hand_change_milli, reserved_change_milli,
       unit_cost_microcents
  FROM stock_movements WHERE org_id = current_org_id() ORDER BY number
"""
_LEVELS = """
SELECT part_id, warehouse_id, on_hand_milli, reserved_milli, average_microcents
  FROM inventory WHERE org_id = current_org_id()
"""
_PIECE_ROWS = 10_000


class LevelDifference(NamedTuple):
    """A level that is not what its movements make. stored: None where no level is stored."""

    part_id: UUID
    warehouse_id: UUID
    stored: StockLevel | None
    worked_out: StockLevel


class StockCheck(NamedTuple):
    """The result of a check: how much was compared, and what differs."""

    levels: int
    movements: int
    differences: list[LevelDifference]


class _Entry(NamedTuple):
    """A line of the ledger."""

    part_id: UUID
    warehouse_id: UUID
    to_warehouse_id: UUID | None
    on_hand_milli: int
    reserved_milli: int
    unit_cost_microcents: int | None


async def begin_snapshot(conn: Connection) -> None:
    """Make the transaction, in which nothing was read yet, one that reads a single snapshot."""
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def check_stock(conn: Connection) -> StockCheck:
    """Compare the tenant's levels with its ledger, after `begin_snapshot`."""
    levels: dict[tuple[UUID, UUID], StockLevel] = {}
    movements = 0
    async for entry in _ledger(conn):
        movements += 1
        change = StockChange(*entry[3:])
        _add(levels, (entry.part_id, entry.warehouse_id), change)
        if entry.to_warehouse_id is not None:
            _add(levels, (entry.part_id, entry.to_warehouse_id), arriving(change))
    rows = await (await conn.execute(_LEVELS)).fetchall()
    stored = {(part, warehouse): StockLevel(*level) for part, warehouse, *level in rows}
    differences = [
        LevelDifference(*key, stored.get(key), level)
        for key in sorted(stored.keys() | levels.keys())
        if stored.get(key) != (level := levels.get(key, StockLevel()))
    ]
    return StockCheck(len(stored), movements, differences)


async def _ledger(conn: Connection) -> AsyncIterator[_Entry]:
    """Yield the tenant's ledger in its order, a piece at a time."""
    async with conn.cursor("ledger", row_factory=args_row(_Entry)) as cursor:
        cursor.itersize = _PIECE_ROWS
        await cursor.execute(_LEDGER)
        async for entry in cursor:
            yield entry


def _add(
    levels: dict[tuple[UUID, UUID], StockLevel], key: tuple[UUID, UUID], change: StockChange
) -> None:
    levels[key] = changed(levels.get(key, StockLevel()), change)
