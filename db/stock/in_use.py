"""Whether a part or a warehouse is in use, and so cannot be deleted: it has stock, or a work order
that has not ended plans it and has not used all of it.
"""

from typing import LiteralString
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from operations.work_orders.states import OPEN

_IN_USE: LiteralString = """
SELECT EXISTS (SELECT FROM inventory WHERE {0} = %(id)s AND on_hand_milli > 0)
    OR EXISTS (SELECT FROM work_order_parts planned JOIN work_orders
                   ON work_orders.org_id = planned.org_id
                  AND work_orders.id = planned.work_order_id
                WHERE planned.{0} = %(id)s
                  AND planned.planned_milli > planned.used_milli
                  AND work_orders.deleted_at IS NULL
                  AND work_orders.state = ANY (%(open)s))
"""
_PART_IN_USE = _IN_USE.format("part_id")
_WAREHOUSE_IN_USE = _IN_USE.format("warehouse_id")


async def is_part_in_use(conn: Connection, part_id: UUID) -> bool:
    """Return whether a part is in use."""
    return await value_of(conn, _PART_IN_USE, {"id": part_id, "open": list(OPEN)})


async def is_warehouse_in_use(conn: Connection, warehouse_id: UUID) -> bool:
    """Return whether a warehouse is in use."""
    return await value_of(conn, _WAREHOUSE_IN_USE, {"id": warehouse_id, "open": list(OPEN)})
