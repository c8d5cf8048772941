"""The costs of work orders: the shifts on them, and the parts that they used.

An order that is closed keeps what an hour of each employee cost then: no raise is for work that is
over.
"""

from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.resources.work_orders import WorkOrder
from operations.work_orders.costs import Labour, Money, OrderCosts, order_costs

_LABOUR = """
SELECT sum(CASE WHEN shift.lapses_at < now()
           THEN (shift.lapsed ->> 'worked_s')::integer ELSE shift.worked_s END)::bigint,
       rate.cents, rate.currency
  FROM shifts AS shift
  JOIN work_orders AS job ON job.org_id = shift.org_id AND job.id = shift.work_order_id
  JOIN employees AS worker ON worker.org_id = shift.org_id AND worker.id = shift.employee_id
 CROSS JOIN LATERAL (
       SELECT (job.labour_rates -> worker.id::text ->> 0)::bigint AS cents,
              job.labour_rates -> worker.id::text ->> 1 AS currency
        WHERE job.labour_rates ? worker.id::text
        UNION ALL
       SELECT worker.hourly_cost_cents, worker.currency
        WHERE NOT coalesce(job.labour_rates ? worker.id::text, false)) AS rate
 WHERE shift.work_order_id = %s
 GROUP BY worker.id, rate.cents, rate.currency
"""
_KEEP_RATES = """
UPDATE work_orders AS job SET labour_rates = (
       SELECT coalesce(jsonb_object_agg(
                  worker.id, jsonb_build_array(worker.hourly_cost_cents, worker.currency)), '{}')
         FROM employees AS worker
        WHERE worker.id IN (
              SELECT employee_id FROM work_order_assignees WHERE work_order_id = job.id
               UNION ALL
              SELECT employee_id FROM shifts WHERE work_order_id = job.id))
 WHERE id = %s
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


async def keep_rates(conn: Connection, order_id: UUID) -> None:
    """Keep what an hour costs now of those who have or had the tenant's order."""
    await conn.execute(_KEEP_RATES, (order_id,))


async def forget_rates(conn: Connection, order_id: UUID) -> None:
    """Forget what an hour cost: the tenant's order is open again."""
    await conn.execute("UPDATE work_orders SET labour_rates = NULL WHERE id = %s", (order_id,))
