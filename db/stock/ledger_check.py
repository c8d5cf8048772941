"""The check of stock: levels, lots and parts of work orders, worked out anew from the ledger."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from operations.errors import ConflictError
from operations.stock import MovementKind, StockChange, StockLevel, arriving, changed
from operations.work_orders.parts import PartUse, returned, used

_LEDGER = """
SELECT work_order_id, kind, quantity_milli, part_id, warehouse_id, to_warehouse_id,
       on_hand_change_milli, reserved_change_milli, unit_cost_microcents,
       coalesce(serials, array_remove(ARRAY[lot], NULL)) AS lots
  FROM stock_movements WHERE org_id = current_org_id() ORDER BY number
"""
_LEVELS = """
SELECT part_id, warehouse_id, on_hand_milli, reserved_milli, average_microcents
  FROM inventory WHERE org_id = current_org_id()
"""
_LOTS = """
SELECT part_id, warehouse_id, lot, on_hand_milli FROM stock_lots WHERE org_id = current_org_id()
"""
_ORDER_PARTS = """
SELECT work_order_id, part_id, planned_milli, reserved_milli, used_milli, cost_cents
  FROM work_order_parts WHERE org_id = current_org_id()
"""
_PIECE_ROWS = 10_000


class LevelDifference(NamedTuple):
    """A level that is not what its movements make. stored: None where no level is stored."""

    part_id: UUID
    warehouse_id: UUID
    stored: StockLevel | None
    worked_out: StockLevel


class LotDifference(NamedTuple):
    """A lot or serial that is not what its movements make. In thousandths."""

    part_id: UUID
    warehouse_id: UUID
    lot: str
    stored_milli: int
    worked_out_milli: int


class OrderPartDifference(NamedTuple):
    """A part of a work order that is not what its movements make; the plan is as it is stored.
    stored: None where the order has no such part.
    """

    work_order_id: UUID
    part_id: UUID
    stored: PartUse | None
    worked_out: PartUse


class StockCheck(NamedTuple):
    """The result of a check: how much was compared, and what differs."""

    levels: int
    movements: int
    differences: list[LevelDifference]
    order_parts: int
    order_part_differences: list[OrderPartDifference]
    lots: int
    lot_differences: list[LotDifference]


class _Entry(NamedTuple):
    """A line of the ledger."""

    work_order_id: UUID | None
    kind: MovementKind
    quantity_milli: int
    part_id: UUID
    warehouse_id: UUID
    to_warehouse_id: UUID | None
    on_hand_milli: int
    reserved_milli: int
    unit_cost_microcents: int | None
    lots: list[str]

    @property
    def change(self) -> StockChange:
        """The change at warehouse_id."""
        return StockChange(self.on_hand_milli, self.reserved_milli, self.unit_cost_microcents)


async def begin_snapshot(conn: Connection) -> None:
    """Make the transaction, in which nothing was read yet, one that reads a single snapshot."""
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def check_stock(conn: Connection) -> StockCheck:
    """Compare the tenant's levels, lots and parts of work orders with its ledger, after
    `begin_snapshot`.
    """
    levels: dict[tuple[UUID, UUID], StockLevel] = {}
    uses: dict[tuple[UUID, UUID], PartUse] = {}
    lots: Counter[tuple[UUID, UUID, str]] = Counter()
    movements = 0
    async for entry in _ledger(conn):
        movements += 1
        change = entry.change
        if entry.work_order_id is not None:
            key = (entry.work_order_id, entry.part_id)
            uses[key] = _after(uses.get(key, PartUse()), entry)
        _add(levels, (entry.part_id, entry.warehouse_id), change)
        if entry.to_warehouse_id is not None:
            _add(levels, (entry.part_id, entry.to_warehouse_id), arriving(change))
        for lot in entry.lots:
            each_milli = entry.on_hand_milli // len(entry.lots)
            lots[entry.part_id, entry.warehouse_id, lot] += each_milli
            if entry.to_warehouse_id is not None:
                lots[entry.part_id, entry.to_warehouse_id, lot] -= each_milli
    rows = await (await conn.execute(_LEVELS)).fetchall()
    stored = {(part, warehouse): StockLevel(*level) for part, warehouse, *level in rows}
    differences = [
        LevelDifference(*key, stored.get(key), level)
        for key in sorted(stored.keys() | levels.keys())
        if stored.get(key) != (level := levels.get(key, StockLevel()))
    ]
    order_parts, order_part_differences = await _compared_uses(conn, uses)
    return StockCheck(
        len(stored),
        movements,
        differences,
        order_parts,
        order_part_differences,
        *await _compared_lots(conn, lots),
    )


async def _compared_lots(
    conn: Connection, lots: Mapping[tuple[UUID, UUID, str], int]
) -> tuple[int, list[LotDifference]]:
    """Return how many lots and serials are stored, and those that are not as worked out."""
    rows = await (await conn.execute(_LOTS)).fetchall()
    stored = {(part, warehouse, lot): milli for part, warehouse, lot, milli in rows}
    differences = [
        LotDifference(*key, stored.get(key, 0), lots.get(key, 0))
        for key in sorted(stored.keys() | lots.keys())
        if stored.get(key, 0) != lots.get(key, 0)
    ]
    return len(stored), differences


async def _compared_uses(
    conn: Connection, uses: Mapping[tuple[UUID, UUID], PartUse]
) -> tuple[int, list[OrderPartDifference]]:
    """Return how many parts of orders are stored, and those that are not as worked out."""
    rows = await (await conn.execute(_ORDER_PARTS)).fetchall()
    stored = {(order, part): PartUse(*use) for order, part, *use in rows}
    differences: list[OrderPartDifference] = []
    for key in sorted(stored.keys() | uses.keys()):
        kept = stored.get(key)
        planned = 0 if kept is None else kept.planned_milli
        worked_out = uses.get(key, PartUse())._replace(planned_milli=planned)
        if kept != worked_out:
            differences.append(OrderPartDifference(*key, kept, worked_out))
    return len(stored), differences


def _after(use: PartUse, entry: _Entry) -> PartUse:
    """Return what an order has of a part after a movement that was made for it."""
    use = use._replace(reserved_milli=use.reserved_milli + entry.reserved_milli)
    quantity = entry.quantity_milli
    try:
        if entry.kind == "consume":
            return used(use, quantity, entry.unit_cost_microcents)
        return returned(use, quantity) if entry.kind == "return" else use
    except ConflictError:  # beyond what can be stored, and the check goes on
        more = quantity if entry.kind == "consume" else -quantity
        return use._replace(used_milli=use.used_milli + more)


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
