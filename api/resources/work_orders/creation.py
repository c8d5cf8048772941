"""The making of work orders: of a body, of a quote that was accepted, of a defect.

Who makes an order takes its number last, when all that it names is locked: others who make orders
wait for the rest of the transaction (`db.core.numbers`). What is written goes out with COMMIT.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.request.access import Access
from api.resources.work_orders.changes import check_parent, check_row, write_creation
from db.core.connect import Connection
from db.core.exchange import Exchange
from db.core.ids import new_id
from db.core.numbers import ask_number
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
    """Queue a new order, made at `at`, with its first transition and its event. Raises Problem
    (422). Whoever gives it a parent has locked the tree. number: 0 for one that is queued
    (`db.core.numbers.take_later`).
    """
    fixed = {"id": new_id(), "number": number, "created_at": at, "updated_at": at}
    row = WorkOrder(**{**dict.fromkeys(WorkOrder._fields), **_DEFAULTS, **columns, **fixed})
    check_row(row)
    await check_parent(conn, row)
    write_creation(conn, access, row)
    return row
