"""The costs of work orders: the shifts on them, and the parts that they used."""

from psycopg.rows import args_row

from db.core.connect import Connection
from db.resources.work_orders import WorkOrder
from operations.work_orders.costs import Labour, Money, OrderCosts, order_costs

_LABOUR = """
SELECT sum(CASE WHEN shift.lapses_at < now()
           THEN (shift.lapsed ->> 'worked_s')::integer ELSE shift.worked_s END)::bigint,
       worker.hourly_cost_cents, worker.currency
  FROM shifts AS shift
  JOIN employees AS worker ON worker.org_id = shift.org_id AND worker.id = shift.employee_id
 WHERE shift.work_order_id = %s
 GROUP BY worker.id, worker.hourly_cost_cents, worker.currency
"""
_PARTS = """
SELECT sum(used.cost_cents)::bigint, part.currency
  FROM work_order_parts AS used
  JOIN parts AS part ON part.org_id = used.org_id AND part.id = used.part_id
 WHERE used.work_order_id = %s AND used.used_milli > 0
 GROUP BY part.currency
"""


async def costs_of(conn: Connection, order: WorkOrder) -> OrderCosts:
    """Return the costs of the tenant's order."""
    async with conn.cursor(row_factory=args_row(Labour)) as cursor:
        await cursor.execute(_LABOUR, (order.id,))
        labour = await cursor.fetchall()
    async with conn.cursor(row_factory=args_row(Money)) as cursor:
        await cursor.execute(_PARTS, (order.id,))
        parts = await cursor.fetchall()
    entered = None
    if order.labour_cost_cents is not None and order.currency is not None:
        entered = Money(order.labour_cost_cents, order.currency)
    return order_costs(labour, parts, entered)
