"""The stock of each part in each warehouse.

Movements alone change quantities and costs: a trigger of theirs does, and the application has no
right to (`db/schema.sql`).
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from db.core.ids import new_id
from db.core.listing import Conditions
from db.core.table import Table
from db.resources.quotas import Room, read_room
from db.stock.parts import fits_asset, fits_model
from operations.stock import PartTracking, StockLevel

StockPlace: TypeAlias = tuple[UUID, UUID]
"""A part and a warehouse."""


class InventoryRow(NamedTuple):
    """One row. The fields from `part_number` on are those of the part and the warehouse."""

    id: UUID
    part_id: UUID
    warehouse_id: UUID
    tracking: PartTracking
    on_hand_milli: int
    reserved_milli: int
    average_microcents: int | None
    reorder_point_milli: int | None
    reorder_quantity_milli: int | None
    moved_on: date | None
    moved_times: int
    created_at: datetime
    updated_at: datetime
    part_number: str
    part_name: str
    unit: str
    unit_cost_cents: int | None
    currency: str
    warehouse_name: str

    @property
    def level(self) -> StockLevel:
        """The quantities and the cost, for the rules."""
        return StockLevel(self.on_hand_milli, self.reserved_milli, self.average_microcents)


def _low(conditions: Conditions, low: bool) -> None:
    conditions.add("is_low" if low else "NOT is_low")


def _fits_model(conditions: Conditions, model: str) -> None:
    """Add stock of parts that fit machines of the model, or a machine that is of it."""
    fits_model(conditions, model, "inventory.part_id")


def _fits_asset(conditions: Conditions, asset_id: UUID) -> None:
    """Add stock of parts that fit the machine, by itself or by its make and model."""
    fits_asset(conditions, asset_id, "inventory.part_id")


inventory = Table(
    "inventory",
    InventoryRow,
    fixed=["part_id", "warehouse_id", "tracking"],
    computed={
        "on_hand_milli": "inventory.on_hand_milli",  # these five: by the trigger of movements
        "reserved_milli": "inventory.reserved_milli",
        "average_microcents": "inventory.average_microcents",
        "moved_on": "inventory.moved_on",
        "moved_times": "inventory.moved_times",
        "part_number": "parts.number",
        "part_name": "parts.name",
        "unit": "parts.unit",
        "unit_cost_cents": "parts.unit_cost_cents",
        "currency": "parts.currency",
        "warehouse_name": "warehouses.name",
    },
    # Outer joins, which PostgreSQL does last: it could begin with all parts in all warehouses.
    joins="LEFT JOIN parts ON parts.org_id = inventory.org_id AND parts.id = inventory.part_id"
    " LEFT JOIN warehouses ON warehouses.org_id = inventory.org_id"
    " AND warehouses.id = inventory.warehouse_id",
    filters={"low": _low, "asset_model": _fits_model, "asset_id": _fits_asset},
    has_row_count=True,
)


_FIND = inventory.selection("inventory.part_id = %s AND inventory.warehouse_id = %s")
# The part is locked first, as by whoever changes its tracking.
_LOCK = """
WITH part AS MATERIALIZED (
    SELECT id, tracking FROM parts WHERE id = %(part_id)s FOR SHARE),
there AS MATERIALIZED (
    SELECT id FROM inventory
     WHERE part_id = (SELECT id FROM part) AND warehouse_id = %(warehouse_id)s
       FOR NO KEY UPDATE),
made AS (
    INSERT INTO inventory AS kept (org_id, id, part_id, warehouse_id, tracking)
    SELECT current_org_id(), %(new_id)s::uuid, id, %(warehouse_id)s::uuid, tracking
      FROM part WHERE NOT EXISTS (SELECT FROM there)
        ON CONFLICT (org_id, part_id, warehouse_id) DO UPDATE SET updated_at = kept.updated_at
    RETURNING id)
SELECT id FROM there UNION ALL SELECT id FROM made
"""


async def lock_levels(
    conn: Connection, places: Collection[StockPlace]
) -> tuple[dict[StockPlace, InventoryRow], Room]:
    """Return the stock of parts in warehouses, locked against other movements one after another in
    the order of parts, then of warehouses, each behind its part; empty stock is made where there is
    none yet. The room is read after that. Raises QuotaExceeded.
    """
    wanted, more = sorted(set(places)), 0
    for part_id, warehouse_id in wanted:
        values = {"part_id": part_id, "warehouse_id": warehouse_id, "new_id": new_id()}
        more += await value_of(conn, _LOCK, values) == values["new_id"]
    rows: dict[StockPlace, InventoryRow] = {}
    for place in wanted:  # read when all are locked, so that all that was committed before is seen
        rows[place] = InventoryRow(*await fetch_one(await conn.execute(_FIND, place)))
    room = await read_room(conn, "inventory")
    if more:
        room.check(more)
    return rows, room
