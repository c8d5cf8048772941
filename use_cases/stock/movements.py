"""Movements of stock: checked by the rules, and recorded in the ledger.

Levels are locked one after another in the order of their warehouses, so no two movements wait for
each other. Where a movement makes stock low, the transaction emits `stock.low`.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.core.ids import new_id
from db.history import events
from db.history.events import Event
from db.resources.quotas import MOVEMENTS_A_DAY, Room, check
from db.stock.inventory import InventoryRow, lock_levels
from db.stock.movements import MovementRow, held_by_orders, lots_named, movements
from geofence.event_data.stock import STOCK_LOW, LowStock
from operations.stock import (
    MICROCENTS,
    MILLI,
    NOTHING_NAMED,
    MovementKind,
    NamedLots,
    StockChange,
    StockLevel,
    arriving,
    change_of,
    changed,
    check_after,
    check_held,
    check_lots,
    check_named,
)
from telemetry.ids import format_id


class MovementWish(NamedTuple):
    """A movement that somebody wants. unit_cost_cents: of what comes in."""

    org_id: UUID
    kind: MovementKind
    part_id: UUID
    warehouse_id: UUID
    quantity_milli: int
    to_warehouse_id: UUID | None = None
    unit_cost_cents: int | None = None
    from_reserved: bool = False
    reason: str | None = None
    created_by: UUID | None = None
    work_order_id: UUID | None = None
    named: NamedLots = NOTHING_NAMED


async def record(conn: Connection, wish: MovementWish) -> MovementRow:
    """Move stock, and return the row of the ledger, which is queued (`Connection.later`). Triggers
    keep the levels, the lots that it names, and the part of its work order.

    Raises StockError, RuleError and QuotaExceeded: the transaction is to be rolled back.
    """
    warehouses = [each for each in (wish.warehouse_id, wish.to_warehouse_id) if each is not None]
    levels, room = await lock_levels(conn, [(wish.part_id, each) for each in warehouses])
    rows, at = {warehouse_id: row for (_, warehouse_id), row in levels.items()}, room.now
    row = rows[wish.warehouse_id]
    check_named(row.tracking, wish.kind, wish.quantity_milli, wish.named)
    lots, elsewhere = await lots_named(conn, wish.part_id, wish.warehouse_id, wish.named.names)
    lot = wish.named.lot
    change = change_of(
        row.level,
        wish.kind,
        wish.quantity_milli,
        unit_cost_microcents=_cost(wish, row),
        from_reserved=wish.from_reserved,
        lot_milli=None if lot is None else lots.get(lot, 0),
    )
    check_lots(row.level, change, wish.named, lots, elsewhere)
    if wish.work_order_id is None and change.reserved_milli < 0:
        held_milli = await held_by_orders(conn, wish.part_id, wish.warehouse_id)
        check_held(row.level, change, held_milli)
    movement = _row(wish, change, at)
    await movements.insert(conn, movement)
    await _check_level(conn, wish, row, change, room)
    if wish.to_warehouse_id is not None:
        await _check_level(conn, wish, rows[wish.to_warehouse_id], arriving(change), room)
    return movement


def _cost(wish: MovementWish, row: InventoryRow) -> int | None:
    """Return the cost that is given; where none ever was, that of the part."""
    cents = wish.unit_cost_cents
    if cents is None and row.average_microcents is None:
        cents = row.unit_cost_cents
    return None if cents is None else cents * MICROCENTS


def _row(wish: MovementWish, change: StockChange, at: datetime) -> MovementRow:
    return MovementRow(
        new_id(),
        wish.kind,
        wish.part_id,
        wish.warehouse_id,
        wish.to_warehouse_id,
        wish.quantity_milli,
        *change,
        wish.work_order_id,
        wish.reason,
        *wish.named,
        wish.created_by,
        at,
    )


async def _check_level(
    conn: Connection, wish: MovementWish, row: InventoryRow, change: StockChange, room: Room
) -> None:
    """Check what a movement leaves, and tell `stock.low` where that is low. Raises StockError,
    QuotaExceeded.
    """
    check_after(row.level, change)
    moves = max(len(wish.named.serials or ()), 1)  # each serial counts
    at = room.now
    before = row.moved_times if row.moved_on == at.date() else 0
    # Whoever ends an order is not kept from it: each release was a reservation before.
    if wish.kind != "release" or wish.work_order_id is None:
        check(MOVEMENTS_A_DAY, room.limit(MOVEMENTS_A_DAY), before, more=moves)
    after = changed(row.level, change)
    point = row.reorder_point_milli
    if after.is_low(point) and not row.level.is_low(point):
        await events.insert(conn, [_low_stock(wish.org_id, row, after, at)])


def _low_stock(org_id: UUID, row: InventoryRow, level: StockLevel, at: datetime) -> Event:
    point, quantity = row.reorder_point_milli, row.reorder_quantity_milli
    assert point is not None  # without one no stock is low
    data = LowStock(
        inventory_id=format_id("inv", row.id),
        part_id=format_id("prt", row.part_id),
        part_number=row.part_number,
        part_name=row.part_name,
        unit=row.unit,
        warehouse_id=format_id("whs", row.warehouse_id),
        warehouse_name=row.warehouse_name,
        on_hand=level.on_hand_milli / MILLI,
        reserved=level.reserved_milli / MILLI,
        available=level.available_milli / MILLI,
        reorder_point=point / MILLI,
        reorder_quantity=None if quantity is None else quantity / MILLI,
    )
    return Event(org_id, new_id(), STOCK_LOW, at, msgspec.json.encode(data).decode())
