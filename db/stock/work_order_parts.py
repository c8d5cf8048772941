"""The parts of work orders, as they are stored. `use_cases.stock.order_parts` plans and uses them.

A trigger of movements keeps what is reserved, used and spent (`keep_order_part`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.table import Table
from operations.stock import (
    NamedLots,
    PartTracking,
)
from operations.work_orders.parts import PartUse

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


async def parts_of(conn: Connection, order_id: UUID) -> Sequence[OrderPartRow]:
    """Return all parts of an order, by their ids."""
    rows = await order_parts.listing(
        conn, {"work_order_id": order_id}, after=None, limit=MAX_ORDER_PARTS, offset=0
    )
    return sorted(rows, key=lambda row: row.part_id)


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


async def taken_by_name(
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
