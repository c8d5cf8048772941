"""The ledger of stock: each movement is a row, and a trigger changes its levels.

Levels are locked one after another in the order of their warehouses, so no two movements wait for
each other. Where a movement makes stock low, the transaction emits `stock.low`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.ids import new_id
from db.core.listing import Conditions
from db.core.table import Table
from db.history import events
from db.history.events import Event
from db.resources.quotas import MOVEMENTS_A_DAY, Room, check
from db.stock.inventory import InventoryRow, lock_levels
from geofence.event_data.stock import STOCK_LOW, LowStock
from operations.stock import (
    MICROCENTS,
    MILLI,
    NOTHING_NAMED,
    MovementKind,
    NamedLots,
    StockChange,
    StockLevel,
    change_of,
    changed,
    check_after,
    check_held,
    check_lots,
    check_named,
)
from telemetry.ids import format_id

# A lot may be in many warehouses, and a serial is in one.
_LOTS = """
SELECT lot, on_hand_milli, is_here
  FROM stock_lots, LATERAL (SELECT warehouse_id = %s AS is_here)
 WHERE part_id = %s AND lot = ANY (%s) AND is_in_stock AND (is_serial OR is_here)
"""
# What work orders have reserved at a level; its row is locked, so nobody adds to it meanwhile.
_HELD = """
SELECT coalesce(sum(reserved_milli), 0)::bigint FROM work_order_parts
 WHERE part_id = %s AND warehouse_id = %s AND reserved_milli > 0
"""


class MovementRow(NamedTuple):
    """One row. The changes are those at warehouse_id; at to_warehouse_id comes in what went out."""

    id: UUID
    kind: MovementKind
    part_id: UUID
    warehouse_id: UUID
    to_warehouse_id: UUID | None
    quantity_milli: int
    on_hand_change_milli: int
    reserved_change_milli: int
    unit_cost_microcents: int | None
    work_order_id: UUID | None
    reason: str | None
    lot: str | None
    serials: Sequence[str] | None
    expires_on: date | None
    created_by: UUID | None
    created_at: datetime

    @property
    def change(self) -> StockChange:
        """The change at warehouse_id."""
        return StockChange(
            self.on_hand_change_milli, self.reserved_change_milli, self.unit_cost_microcents
        )


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


def _since(conditions: Conditions, at: datetime) -> None:
    conditions.add("created_at >= %(since)s", since=at)


def _until(conditions: Conditions, at: datetime) -> None:
    conditions.add("created_at < %(until)s", until=at)


def _warehouse(conditions: Conditions, warehouse_id: UUID) -> None:
    """Add movements at a warehouse, and transfers to it."""
    conditions.add(
        "(warehouse_id = %(place)s OR to_warehouse_id = %(place)s)",
        place=warehouse_id,
    )


def _serial(conditions: Conditions, serial: str) -> None:
    conditions.add(
        "id IN (SELECT movement_id FROM stock_movement_serials WHERE serial = %(serial)s)",
        serial=serial,
    )


movements = Table(
    "stock_movements",
    MovementRow,
    filters={
        "since": _since,
        "until": _until,
        "warehouse_id": _warehouse,
        "serial": _serial,
    },
)


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
    lots, elsewhere = await _lots_named(conn, wish)
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
        held_milli = await value_of(conn, _HELD, (wish.part_id, wish.warehouse_id))
        check_held(row.level, change, held_milli)
    movement = _row(wish, change, at)
    conn.later(movements.insertion(movement))
    _check_level(conn, wish, row, change, room)
    if wish.to_warehouse_id is not None:
        _check_level(conn, wish, rows[wish.to_warehouse_id], arriving(change), room)
    return movement


async def _lots_named(conn: Connection, wish: MovementWish) -> tuple[dict[str, int], set[str]]:
    """Return what is on hand of the lots that a movement names, at its level, in thousandths, and
    the serials that are in stock elsewhere.
    """
    if not wish.named.names:
        return {}, set()
    cursor = await conn.execute(_LOTS, (wish.warehouse_id, wish.part_id, wish.named.names))
    found = await cursor.fetchall()
    here = {lot: on_hand for lot, on_hand, is_here in found if is_here}
    return here, {lot for lot, _, is_here in found if not is_here}


def arriving(change: StockChange) -> StockChange:
    """Return the change where a transfer arrives, from that where it leaves."""
    return StockChange(-change.on_hand_milli, 0, change.unit_cost_microcents)


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


def _check_level(
    conn: Connection, wish: MovementWish, row: InventoryRow, change: StockChange, room: Room
) -> None:
    """Check what a movement leaves, and queue `stock.low` where that is low. Raises StockError,
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
        events.insert_later(conn, [_low_stock(wish.org_id, row, after, at)])


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
