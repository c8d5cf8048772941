"""The making of work orders: of a body, of a quote that was accepted, of a defect.

Who makes an order takes its number last, when all that it names is locked: others who make orders
wait for the rest of the transaction (`db.core.numbers`). What is written goes out with COMMIT.
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
    creation,
    needs_assignment,
)
from db.core.connect import Connection
from db.core.exchange import Exchange, Reply
from db.core.ids import new_id
from db.core.joined import joined
from db.core.numbers import ask_number, write_numbered
from db.resources.quotas import ask_room
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


async def take_number(conn: Connection) -> tuple[int, datetime]:
    """Take the number of a new order, and return it with the present time. Raises QuotaExceeded
    where the plan has no room for the order.
    """
    exchange = Exchange(conn)
    room, number = ask_room(exchange, "work_orders"), ask_number(exchange, "work_order")
    await exchange.send()
    return number.value, room.value.check()


async def insert_order(
    conn: Connection, access: Access, number: int, columns: Mapping[str, Any], at: datetime
) -> WorkOrder:
    """Queue a new order, made at `at`, with its first transitions and its events. Where it has
    assignees and is no draft, it is `assigned`. Raises Problem (422). Whoever gives it a parent has
    locked the tree.
    """
    row = await _new_order(conn, number, columns, at)
    conn.later(joined(*creation(conn, access, row)))
    return row


async def insert_new(
    conn: Connection, access: Access, columns: Mapping[str, Any], at: datetime
) -> tuple[WorkOrder, Reply[int]]:
    """Queue a new order as `insert_order` does. Its number is taken with COMMIT."""
    row = await _new_order(conn, 0, columns, at)
    return row, write_numbered(conn, "work_order", *creation(conn, access, row))


async def _new_order(
    conn: Connection, number: int, columns: Mapping[str, Any], at: datetime
) -> WorkOrder:
    fixed = {"id": new_id(), "number": number, "created_at": at, "updated_at": at}
    row = WorkOrder(**{**dict.fromkeys(WorkOrder._fields), **_DEFAULTS, **columns, **fixed})
    if needs_assignment(row):
        row = row._replace(state="assigned", updated_at=at + A_MOMENT)
    check_row(row)
    await check_site(conn, row)
    await check_new_assignees(conn, None, row)
    await check_parent(conn, row)
    return row
