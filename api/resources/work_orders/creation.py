"""The making of work orders: of a body, of a quote that was accepted, of a defect.

Who makes an order takes its number first, and so takes turns with others who do.
"""

from collections.abc import Mapping
from typing import Any

from api.request.access import Access
from api.resources.work_orders.changes import check_parent, check_row, write_creation
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.numbers import next_number
from db.core.table import db_now
from db.resources import work_orders as table
from db.resources.quotas import check_room
from db.resources.work_orders import WorkOrder

_UNSAID: Mapping[str, Any] = {
    "priority": "normal",
    "state": "created",
    "checklist": [],
    "assignee_ids": [],
    "asset_ids": [],
}


async def take_number(conn: Connection) -> int:
    """Take the number of a new order. Raises QuotaExceeded where the plan has no room for it."""
    number = await next_number(conn, "work_order")
    await check_room(conn, "work_orders")
    return number


async def insert_order(
    conn: Connection, access: Access, number: int, columns: Mapping[str, Any]
) -> WorkOrder:
    """Insert a new order with its first transition and its event. Raises Problem (422)."""
    at = await db_now(conn)
    fixed = {"id": new_id(), "number": number, "created_at": at, "updated_at": at}
    values = {**dict.fromkeys(WorkOrder._fields), **_UNSAID, **columns, **fixed}
    row = WorkOrder(**values)
    check_row(row)
    await check_parent(conn, row)
    await table.work_orders.insert(conn, row)
    await table.set_assignees(conn, row.id, row.assignee_ids)
    await table.set_assets(conn, row.id, row.asset_ids)
    await write_creation(conn, access, row)
    made = await table.work_orders.find(conn, row.id)
    assert made is not None
    return made
