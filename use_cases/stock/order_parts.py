"""The parts of work orders: each is planned, reserved and used by movements of the ledger.

Who calls these holds the order's row. Levels are locked in the order of parts, then of warehouses,
so no two orders wait for each other.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import db_now
from db.stock.inventory import lock_levels
from db.stock.movements import MovementRow
from db.stock.work_order_parts import OrderPartRow, order_parts, parts_of, taken_by_name
from operations.stock import (
    MILLI,
    NOTHING_NAMED,
    MovementKind,
    NamedLots,
    StockError,
    check_named,
    check_plannable,
)
from operations.work_orders.parts import PartUse, check_taken, returned, used
from use_cases.stock.movements import MovementWish, record


class OrderStock(NamedTuple):
    """The work order that stock is moved for, and the user who does it."""

    org_id: UUID
    work_order_id: UUID
    user_id: UUID

    async def move(
        self,
        conn: Connection,
        kind: MovementKind,
        row: OrderPartRow,
        warehouse_id: UUID,
        quantity_milli: int,
        *,
        from_reserved: bool = False,
        named: NamedLots = NOTHING_NAMED,
    ) -> MovementRow:
        """Record a movement, which is queued. Raises StockError, RuleError, QuotaExceeded."""
        wish = MovementWish(
            self.org_id,
            kind,
            row.part_id,
            warehouse_id,
            quantity_milli,
            from_reserved=from_reserved,
            created_by=self.user_id,
            work_order_id=self.work_order_id,
            named=named,
        )
        try:
            return await record(conn, wish)
        except StockError as error:
            detail = f"{row.part_name} ({row.part_number}): {error}"
            raise StockError(error.code, detail, error.level, error.field) from None


async def plan(
    conn: Connection, stock: OrderStock, row: OrderPartRow, *, is_reserved: bool
) -> OrderPartRow:
    """Write what is planned of a part now, and reserve as much where that is to be. Raises
    StockError, RuleError, QuotaExceeded.
    """
    before = await order_parts.get(conn, row.id)  # its part is locked by now
    check_plannable(before.tracking, row.planned_milli)
    await _lock_levels(conn, row.part_id, {before.warehouse_id, row.warehouse_id})
    is_placed = is_reserved and row.warehouse_id is not None
    wanted_milli = row.use.outstanding_milli if is_placed else 0
    stays = before.warehouse_id == row.warehouse_id
    kept_milli = min(before.reserved_milli, wanted_milli) if stays else 0
    await _settle(conn, stock, before, kept_milli)  # what is planned is never less than is reserved
    row = row._replace(reserved_milli=kept_milli, updated_at=await db_now(conn))
    await order_parts.update(conn, row)
    return await _settle(conn, stock, row, wanted_milli)


async def plan_new(
    conn: Connection,
    stock: OrderStock,
    planned: Mapping[UUID, int],
    warehouse_id: UUID | None,
    at: datetime,
) -> None:
    """Write the parts of a new order that is to be done, by part how much in thousandths, and
    reserve them where a warehouse is chosen. Raises StockError, QuotaExceeded.
    """
    for part_id, planned_milli in planned.items():
        use = PartUse(planned_milli)
        ids = (new_id(), stock.work_order_id, part_id, warehouse_id)
        row = OrderPartRow(*ids, *use, at, at, "", "", "", "", "none")
        await order_parts.insert(conn, row)
    if warehouse_id is not None:
        await reserve_planned(conn, stock)


async def reserve_planned(conn: Connection, stock: OrderStock) -> None:
    """Reserve all that an order plans where a warehouse is chosen. Raises StockError,
    QuotaExceeded.
    """
    for row in await parts_of(conn, stock.work_order_id):
        if row.warehouse_id is not None:
            await _settle(conn, stock, row, row.use.outstanding_milli)


async def release_reserved(conn: Connection, stock: OrderStock) -> None:
    """Release all that is reserved for an order."""
    for row in await parts_of(conn, stock.work_order_id):
        await _settle(conn, stock, row, 0)


async def consume(
    conn: Connection,
    stock: OrderStock,
    row: OrderPartRow,
    warehouse_id: UUID,
    quantity_milli: int,
    named: NamedLots,
) -> OrderPartRow:
    """Take a part out of a warehouse: what is reserved there first. Then no more stays reserved
    than is still to be used. Raises StockError, RuleError, ConflictError, QuotaExceeded.
    """
    check_named(row.tracking, "consume", quantity_milli, named)  # all that is named is used
    await _lock_levels(conn, row.part_id, {row.warehouse_id, warehouse_id})
    is_there = row.warehouse_id == warehouse_id
    reserved = min(row.reserved_milli, quantity_milli) if is_there else 0
    left_milli = max(row.planned_milli - row.used_milli - quantity_milli, 0)
    first, others = named.parted(reserved // MILLI)
    for quantity, is_reserved, some in (
        (reserved, True, first),
        (quantity_milli - reserved, False, others),
    ):
        if not is_reserved:  # before more is used
            row = await _settle(conn, stock, row, min(row.reserved_milli, left_milli))
        if quantity:
            moved = await stock.move(
                conn, "consume", row, warehouse_id, quantity, from_reserved=is_reserved, named=some
            )
            if is_reserved:
                row = row._replace(reserved_milli=row.reserved_milli - quantity)
            row = _after(row, used(row.use, quantity, moved.unit_cost_microcents), moved)
    return row


async def bring_back(
    conn: Connection,
    stock: OrderStock,
    row: OrderPartRow,
    warehouse_id: UUID,
    quantity_milli: int,
    named: NamedLots,
) -> OrderPartRow:
    """Put a part that was used into a warehouse. Raises StockError, RuleError, ConflictError,
    QuotaExceeded.
    """
    use = returned(row.use, quantity_milli)
    check_named(row.tracking, "return", quantity_milli, named)
    if named.names:
        check_taken(named, quantity_milli, *await taken_by_name(conn, row, named))
    moved = await stock.move(conn, "return", row, warehouse_id, quantity_milli, named=named)
    return _after(row, use, moved)


async def _settle(
    conn: Connection, stock: OrderStock, row: OrderPartRow, reserved_milli: int
) -> OrderPartRow:
    """Reserve or release at the row's warehouse until this much is reserved."""
    more = reserved_milli - row.reserved_milli
    if not more:
        return row
    assert row.warehouse_id is not None  # where anything is reserved
    kind: MovementKind = "reserve" if more > 0 else "release"
    moved = await stock.move(conn, kind, row, row.warehouse_id, abs(more))
    return _after(row, row.use._replace(reserved_milli=reserved_milli), moved)


def _after(row: OrderPartRow, use: PartUse, moved: MovementRow) -> OrderPartRow:
    """Return the row as a movement leaves it."""
    return row._replace(**use._asdict(), updated_at=moved.created_at)


async def _lock_levels(conn: Connection, part_id: UUID, warehouse_ids: set[UUID | None]) -> None:
    """Lock the levels of a part in the order in which movements lock them."""
    await lock_levels(conn, [(part_id, each) for each in warehouse_ids if each is not None])
