"""The making of work orders: of a body, of a quote that was accepted, of a defect.

Who makes an order takes its number last, when all that it names is locked: others who make orders
wait for the rest of the transaction (`db.core.numbers`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.request.access import Access
from api.resources.work_orders.changes import (
    A_MOMENT,
    check_new_assignees,
    check_parent,
    check_row,
    check_site,
    insert_created,
    needs_assignment,
)
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.numbers import next_number
from db.resources.work_orders import WorkOrder

_DEFAULTS: Mapping[str, Any] = {
    "priority": "normal",
    "state": "created",
    "checklist": [],
    "assignee_ids": [],
    "asset_ids": [],
    "user_ids": [],
    "worked_s": 0,
}


async def insert_order(
    conn: Connection, access: Access, columns: Mapping[str, Any], at: datetime
) -> WorkOrder:
    """Insert a new order, made at `at`, with its first transitions and its events. Where it has
    assignees and is no draft, it is `assigned`. Raises Problem (422). Whoever gives it a parent has
    locked the tree.
    """
    fixed = {"id": new_id(), "number": 0, "created_at": at, "updated_at": at}
    row = WorkOrder(**{**dict.fromkeys(WorkOrder._fields), **_DEFAULTS, **columns, **fixed})
    if needs_assignment(row):
        row = row._replace(state="assigned", updated_at=at + A_MOMENT)
    check_row(row)
    await check_site(conn, row)
    await check_new_assignees(conn, None, row)
    await check_parent(conn, row)
    row = row._replace(number=await next_number(conn, "work_order"))
    await insert_created(conn, access, row)
    return row
