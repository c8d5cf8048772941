"""The parts of work orders: each is planned, reserved and used by movements of the ledger.

A trigger of movements keeps what is reserved, used and spent (`0043_levels_by_movements.sql`). Who
calls these holds the order's row. Levels are locked in the order of parts, then of warehouses, so
no two orders wait for each other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.ids import new_id
from db.core.table import Table, db_now
from db.stock.inventory import lock_levels
from db.stock.movements import MovementRow, MovementWish, record
from operations.stock import (
    MILLI,
    NOTHING_NAMED,
    MovementKind,
    NamedLots,
    PartTracking,
    StockError,
    check_named,
    check_plannable,
)
from operations.work_orders.parts import PartUse, check_taken, returned, used

MAX_ORDER_PARTS = 200


class OrderPartRow(NamedTuple):
    """One row. The fields from `part_number` on are those of the part."""

    id: UUID
    work_order_id: UUID
    part_id: UUID
    warehouse_id: UUID | None
    planned_milli: int
    reserved_milli: int
    used_milli: int
    cost_cents: int
    created_at: datetime
    updated_at: datetime
    part_number: str
    part_name: str
    unit: str
    currency: str
    tracking: PartTracking

    @property
    def use(self) -> PartUse:
        """The quantities and the cost, for the rules."""
        return PartUse(self.planned_milli, self.reserved_milli, self.used_milli, self.cost_cents)


order_parts = Table(
    "work_order_parts",
    OrderPartRow,
    fixed=["work_order_id", "part_id"],
    computed={
        "reserved_milli": "work_order_parts.reserved_milli",  # these three: by the trigger
        "used_milli": "work_order_parts.used_milli",
        "cost_cents": "work_order_parts.cost_cents",
        "part_number": "parts.number",
        "part_name": "parts.name",
        "unit": "parts.unit",
        "currency": "parts.currency",
        "tracking": "parts.tracking",
    },
    joins="JOIN parts ON parts.org_id = work_order_parts.org_id"
    " AND parts.id = work_order_parts.part_id",
)


# By name what an order used less what came back; without a name, what it used and named otherwise.
_TAKEN = """
SELECT name, sum(CASE WHEN kind = 'return' AND name IS NOT NULL THEN -milli
                      WHEN kind = 'consume' THEN milli ELSE 0 END)::bigint
  FROM stock_movements, LATERAL (
       SELECT serial, 1000 FROM unnest(serials) AS serial WHERE %(by_serial)s
        UNION ALL
       SELECT lot, quantity_milli WHERE NOT %(by_serial)s AND lot IS NOT NULL
        UNION ALL
       SELECT NULL, quantity_milli
        WHERE CASE WHEN %(by_serial)s THEN serials IS NULL ELSE lot IS NULL END
       ) AS moved (name, milli)
 WHERE work_order_id = %(order_id)s AND part_id = %(part_id)s AND kind IN ('consume', 'return')
   AND (name IS NULL OR name = ANY (%(names)s))
 GROUP BY name
"""


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


async def part_of(conn: Connection, order_id: UUID, part_id: UUID) -> OrderPartRow | None:
    """Return the row of a part of an order."""
    row_id = await value_of(
        conn,
        "SELECT (SELECT id FROM work_order_parts WHERE work_order_id = %s AND part_id = %s)",
        (order_id, part_id),
    )
    return None if row_id is None else await order_parts.get(conn, row_id)


async def part_ids_of(conn: Connection, order_id: UUID) -> list[UUID]:
    """Return the ids of the parts of an order."""
    return await value_of(
        conn,
        "SELECT array(SELECT part_id FROM work_order_parts WHERE work_order_id = %s)",
        (order_id,),
    )


async def plan(
    conn: Connection, stock: OrderStock, row: OrderPartRow, *, is_reserved: bool
) -> OrderPartRow:
    """Write what is planned of a part now, and reserve as much where that is to be. Raises
    StockError, RuleError, QuotaExceeded.
    """
    check_plannable(row.tracking, row.planned_milli)
    before = await order_parts.get(conn, row.id)
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
        conn.later(order_parts.insertion(OrderPartRow(*ids, *use, at, at, "", "", "", "", "none")))
    if warehouse_id is not None:
        await reserve_planned(conn, stock)


async def deleted_in_plan(conn: Connection, order_id: UUID) -> tuple[str, str | None] | None:
    """Return the name of a part that an order plans and that is deleted, and None; or of one that
    is planned in a deleted warehouse, and the name of the warehouse. None: there are neither.
    """
    cursor = await conn.execute(
        """
        SELECT format('%%s (%%s)', part.name, part.number),
               CASE WHEN part.deleted_at IS NULL THEN store.name END
          FROM work_order_parts AS planned
          JOIN parts AS part ON part.org_id = planned.org_id AND part.id = planned.part_id
          LEFT JOIN warehouses AS store
            ON store.org_id = planned.org_id AND store.id = planned.warehouse_id
         WHERE planned.work_order_id = %s AND planned.planned_milli > 0
           AND (part.deleted_at IS NOT NULL OR store.deleted_at IS NOT NULL)
         ORDER BY planned.part_id LIMIT 1
        """,
        (order_id,),
    )
    return await cursor.fetchone()


async def reserve_planned(conn: Connection, stock: OrderStock) -> None:
    """Reserve all that an order plans where a warehouse is chosen. Raises StockError,
    QuotaExceeded.
    """
    for row in await _parts_of(conn, stock.work_order_id):
        if row.warehouse_id is not None:
            await _settle(conn, stock, row, row.use.outstanding_milli)


async def release_reserved(conn: Connection, stock: OrderStock) -> None:
    """Release all that is reserved for an order."""
    for row in await _parts_of(conn, stock.work_order_id):
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
    than is still to be used. Raises StockError, RuleError, PartUseError, QuotaExceeded.
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
    """Put a part that was used into a warehouse. Raises StockError, RuleError, PartUseError,
    QuotaExceeded.
    """
    use = returned(row.use, quantity_milli)
    check_named(row.tracking, "return", quantity_milli, named)
    if named.names:
        check_taken(named, quantity_milli, *await _taken(conn, row, named))
    moved = await stock.move(conn, "return", row, warehouse_id, quantity_milli, named=named)
    return _after(row, use, moved)


async def _taken(
    conn: Connection, row: OrderPartRow, named: NamedLots
) -> tuple[dict[str, int], bool]:
    """Return how much an order has of the lots or serials that are named, in thousandths, and
    whether it used any of the part while that was tracked otherwise.
    """
    values = {
        "order_id": row.work_order_id,
        "part_id": row.part_id,
        "names": named.names,
        "by_serial": named.serials is not None,
    }
    cursor = await conn.execute(_TAKEN, values)
    taken: dict[str | None, int] = dict(await cursor.fetchall())
    is_otherwise = taken.pop(None, 0) > 0
    return {name: there for name, there in taken.items() if name is not None}, is_otherwise


async def _settle(
    conn: Connection, stock: OrderStock, row: OrderPartRow, reserved_milli: int
) -> OrderPartRow:
    """Reserve or release at the row's warehouse until this much is reserved."""
    more = reserved_milli - row.reserved_milli
    if not more:
        return row
    assert row.warehouse_id is not None  # the database holds this
    kind: MovementKind = "reserve" if more > 0 else "release"
    moved = await stock.move(conn, kind, row, row.warehouse_id, abs(more))
    return _after(row, row.use._replace(reserved_milli=reserved_milli), moved)


def _after(row: OrderPartRow, use: PartUse, moved: MovementRow) -> OrderPartRow:
    """Return the row as a movement leaves it."""
    return row._replace(**use._asdict(), updated_at=moved.created_at)


async def _lock_levels(conn: Connection, part_id: UUID, warehouse_ids: set[UUID | None]) -> None:
    """Lock the levels of a part in the order in which movements lock them."""
    await lock_levels(conn, [(part_id, each) for each in warehouse_ids if each is not None])


async def _parts_of(conn: Connection, order_id: UUID) -> Sequence[OrderPartRow]:
    """Return all parts of an order, by their ids."""
    rows = await order_parts.listing(
        conn, {"work_order_id": order_id}, after=None, limit=MAX_ORDER_PARTS, offset=0
    )
    return sorted(rows, key=lambda row: row.part_id)
