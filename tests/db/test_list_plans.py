"""Lists and the search at 200,000 rows of each table: how many rows PostgreSQL looks at for a page,
as the application's role.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from db.core.connect import Connection, conninfo
from db.core.listing import Order
from db.core.table import Table
from db.core.tenant import act_for
from db.quotes.quotes import quotes
from db.resources.inspection_forms import listed_inspections
from db.resources.search import SEARCHED, search
from db.resources.work_orders import work_orders
from db.stock.inventory import inventory
from db.stock.lots import stock_lots
from db.stock.movements import movements
from db.stock.parts import parts
from operations.work_orders.states import STATES
from tests.db.plans import Explaining, looked_at
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.long

ROWS = 200_000
PAGE = 51
MOST_LOOKED_AT = 6_000
"""Rows of all nodes of a plan together: a page, and what belongs to each of its rows."""

# A thing of each kind by number: ids are made from numbers.
_ID = (
    "CREATE FUNCTION pg_temp.made(kind integer, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE"
)
_ID += " AS $$ SELECT (lpad(to_hex(kind), 8, '0') || lpad(to_hex(number), 24, '0'))::uuid $$"
_FILL = """
INSERT INTO users (org_id, id, email, role) VALUES ({org}, {made}(1, 0), 'x@example.com', 'admin');
INSERT INTO clients (org_id, id, name) SELECT {org}, {made}(2, n), 'Client ' || n
  FROM generate_series(0, 1999) AS n;
INSERT INTO sites (org_id, id, name) SELECT {org}, {made}(3, n), 'Site ' || n
  FROM generate_series(0, 1999) AS n;
INSERT INTO employees (org_id, id, name) SELECT {org}, {made}(4, n), 'Worker ' || n
  FROM generate_series(0, 1999) AS n;
INSERT INTO assets (org_id, id, name, make, model, revision)
SELECT {org}, {made}(5, n), 'Crane ' || n, 'Make', 'Model ' || n / 2, 0
  FROM generate_series(0, 1999) AS n;
INSERT INTO warehouses (org_id, id, name) SELECT {org}, {made}(6, n), 'Store ' || n
  FROM generate_series(0, 99) AS n;
INSERT INTO parts (org_id, id, number, name, unit, currency, created_at)
SELECT {org}, {made}(7, n), 'N' || n, 'Part ' || n, 'piece', 'CHF', {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO part_fits (org_id, part_id, asset_id)
SELECT {org}, {made}(7, n), {made}(5, n % 2000) FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO inventory (org_id, id, part_id, warehouse_id, on_hand_milli, reorder_point_milli,
                       created_at)
SELECT {org}, {made}(8, n), {made}(7, n / 10), {made}(6, n % 10 * 10 + n / 10 % 10), 1000,
       CASE WHEN n % 2000 = 0 THEN 2000 END, {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO stock_movements (org_id, id, kind, part_id, warehouse_id, to_warehouse_id,
                             quantity_milli, on_hand_change_milli, reserved_change_milli,
                             created_at, work_order_id)
SELECT {org}, {made}(9, n),
       CASE WHEN n % 2000 = 0 THEN 'transfer' WHEN n % 20 = 7 THEN 'return' ELSE 'receive' END,
       {made}(7, n / 10), {made}(6, n % 100),
       CASE WHEN n % 2000 = 0 THEN {made}(6, 1) END, 1000,
       CASE WHEN n % 2000 = 0 THEN -1000 ELSE 1000 END, 0, {at},
       CASE WHEN n % 20 = 7 THEN {made}(11, n % 2000) END
  FROM generate_series(0, {rows} - 1) AS n;
UPDATE stock_movements SET lot = 'L' || substr(id::text, 30) WHERE org_id = {org};
INSERT INTO stock_movement_serials SELECT org_id, lot, id FROM stock_movements
 WHERE org_id = {org};
INSERT INTO stock_lots (org_id, id, part_id, warehouse_id, lot, is_serial, expires_on,
                        on_hand_milli, created_at, updated_at)
SELECT {org}, {made}(14, n), {made}(7, n / 10), {made}(6, n % 10 * 10 + n / 10 % 10), 'L' || n,
       true, date '2026-01-01' + n, CASE WHEN n % 2000 = 0 THEN 0 ELSE 1000 END, {at}, {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency, valid_until,
                    subtotal_cents, discount_cents, tax_cents, total_cents, state, sent_at,
                    created_at)
SELECT {org}, {made}(10, n), n + 1, 1, {made}(2, n % 2000), 'Offer ' || n, '[1]', 'CHF',
       '2099-01-01', 1, 0, 0, 1, CASE WHEN n % 2000 = 0 THEN 'sent' ELSE 'expired' END, now(), {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO work_orders (org_id, id, number, title, priority, state, client_id, site_id, parent_id,
                         planned_start, planned_end, due_at, created_at)
SELECT {org}, {made}(11, n), n + 1, 'Grease the crane ' || n,
       CASE WHEN n % 2000 = 0 THEN 'urgent' ELSE 'normal' END,
       CASE n % 2000 WHEN 1 THEN 'started' WHEN 2 THEN 'created' ELSE 'closed' END,
       {made}(2, n % 2000),
       {made}(3, n % 2000), CASE WHEN n % 100 = 1 THEN {made}(11, n % 2000 - 1) END,
       {at}, {at} + interval '8 hours', {at} + interval '1 day', {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO work_order_assignees SELECT {org}, {made}(11, n), {made}(4, n % 2000)
  FROM generate_series(0, {rows} - 1) AS n WHERE n % 2000 <> 2;
INSERT INTO work_order_assets SELECT {org}, {made}(11, n), {made}(5, n % 2000)
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO inspection_templates (org_id, id, name, version)
SELECT {org}, {made}(12, n), 'Daily ' || n, 1 FROM generate_series(0, 1999) AS n;
INSERT INTO inspection_template_versions (org_id, template_id, version, name, sections, questions,
                                          created_by)
SELECT {org}, {made}(12, n), 1, 'Daily ' || n, '[]', 1, {made}(1, 0)
  FROM generate_series(0, 1999) AS n;
INSERT INTO inspection_forms (org_id, id, template_id, template_version, asset_id, site_id,
                              employee_id, state, answers, defects, created_by, submitted_by,
                              submitted_at, created_at, work_order_id)
SELECT {org}, {made}(13, n), {made}(12, n % 2000), 1, {made}(5, n % 2000), {made}(3, n % 2000),
       {made}(4, n % 2000), CASE WHEN n % 2000 = 0 THEN 'draft' ELSE 'submitted' END, '{{}}',
       CASE WHEN n % 2000 = 1 THEN '["x"]'::jsonb ELSE '[]' END,
       {made}(1, 0), CASE WHEN n % 2000 > 0 THEN {made}(1, 0) END,
       CASE WHEN n % 2000 > 0 THEN {at} END, {at}, {made}(11, n % 2000)
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO search_terms (org_id, kind, place, term, row_id)
SELECT {org}, 'work_order', 1, 'grease the crane ' || n, {made}(11, n)
  FROM generate_series(0, {rows} - 1) AS n
 UNION ALL SELECT {org}, 'work_order', 2, 'crane ' || n, {made}(11, n)
  FROM generate_series(0, {rows} - 1) AS n
 UNION ALL SELECT {org}, 'work_order', 2, n::text, {made}(11, n)
  FROM generate_series(0, {rows} - 1) AS n
 UNION ALL SELECT {org}, 'work_order', 0, n::text, {made}(11, n)
  FROM generate_series(0, {rows} - 1) AS n;
"""


class Made(NamedTuple):
    """A database with an organization that has much."""

    database: DatabaseUnderTest
    org_id: UUID


@pytest.fixture(scope="module")
def much(database: DatabaseUnderTest) -> Made:
    """ROWS rows of each list, one a minute until now; every 2,000th is another than the others."""
    org_id = asyncio.run(Tenant.create(database)).org_id
    names = {
        "org": f"'{org_id}'::uuid",
        "made": "pg_temp.made",
        "rows": ROWS,
        "at": f"now() - ({ROWS} - n) * interval '1 minute'",
    }
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        conn.execute(_ID.encode())
        conn.execute("SET session_replication_role = replica")  # no triggers
        conn.execute(_FILL.format(**names).encode())
        conn.execute("VACUUM ANALYZE")
    return Made(database, org_id)


def _made(kind: int, number: int) -> UUID:
    return UUID(f"{kind:08x}{number:024x}")


def listing(table: Table[Any], order: Order | None = None, **wanted: Any) -> Any:
    """Return a case: a list, its order and its filters."""
    by = "" if order is None else f"{order.by} {order.column} "
    return pytest.param(table, order or Order(), wanted, id=f"{table.name} {by}{[*wanted]}")


NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(minutes=ROWS)
MIDDLE = LONG_AGO + timedelta(minutes=ROWS / 2)
DAY = timedelta(days=1)
BY_DUE, BY_PRIORITY = Order(column="due_key"), Order("rank", column="priority_key")
BY_PLAN = Order(column="planned_key", descending=False)
LISTS = [
    listing(work_orders),
    listing(work_orders, BY_DUE),
    listing(work_orders, replace(BY_DUE, descending=False)),
    listing(work_orders, BY_PRIORITY),
    listing(work_orders, replace(BY_PRIORITY, descending=False)),
    listing(work_orders, BY_PLAN),
    listing(work_orders, replace(BY_PLAN, descending=True)),
    listing(work_orders, BY_PLAN, status="started"),
    listing(work_orders, BY_PLAN, unassigned=True),
    listing(work_orders, deleted=False),
    listing(work_orders, status="started"),
    listing(work_orders, status="closed"),
    listing(work_orders, status="started,on_hold"),
    listing(work_orders, status="started", priority="normal"),
    listing(work_orders, priority="urgent"),
    listing(work_orders, priority="normal"),
    listing(work_orders, client_id=_made(2, 7)),
    listing(work_orders, site_id=_made(3, 7)),
    listing(work_orders, parent_id=_made(11, 100)),
    listing(work_orders, assignee_id=_made(4, 7)),
    listing(work_orders, asset_id=_made(5, 7)),
    listing(work_orders, overdue=True),
    listing(work_orders, overdue=False),
    listing(work_orders, planned=(NOW - DAY, None)),
    listing(work_orders, planned=(None, LONG_AGO + DAY)),
    listing(work_orders, planned=(MIDDLE, MIDDLE + DAY)),
    listing(work_orders, due=(NOW, None)),
    listing(work_orders, due=(None, LONG_AGO + DAY * 2)),
    listing(work_orders, due=(MIDDLE, MIDDLE + DAY)),
    listing(work_orders, BY_PRIORITY, due=(MIDDLE, MIDDLE + DAY)),
    listing(work_orders, scheduled=(MIDDLE, MIDDLE + DAY / 2)),
    listing(work_orders, BY_PLAN, scheduled=(NOW - DAY / 4, None)),
    listing(work_orders, created=(MIDDLE, MIDDLE + DAY)),
    listing(work_orders, created=(None, LONG_AGO + DAY)),
    listing(work_orders, unassigned=True),
    listing(work_orders, unassigned=False),
    listing(work_orders, unassigned=True, client_id=_made(2, 2)),
    listing(work_orders, number=777),
    listing(work_orders, q="77777"),
    listing(work_orders, q="crane 777"),
    listing(work_orders, BY_DUE, q="crane 777", deleted=False),
    listing(inventory),
    listing(inventory, part_id=_made(7, 7)),
    listing(inventory, warehouse_id=_made(6, 7)),
    listing(inventory, low=True),
    listing(inventory, low=False),
    listing(inventory, asset_model="Model 7"),
    listing(inventory, asset_id=_made(5, 7)),
    listing(stock_lots, in_stock=True),
    listing(stock_lots, in_stock=False),
    listing(stock_lots, part_id=_made(7, 7), in_stock=True),
    listing(stock_lots, warehouse_id=_made(6, 7), in_stock=True),
    listing(stock_lots, lot="L777", in_stock=True),
    listing(stock_lots, expires_before=date(2026, 1, 20), in_stock=True),
    listing(parts, deleted=False),
    listing(parts, Order("name")),
    listing(parts, number="N7", deleted=False),
    listing(parts, asset_model="Model 7"),
    listing(parts, q="part 77"),
    listing(parts, asset_id=_made(5, 7)),
    listing(movements),
    listing(movements, part_id=_made(7, 7)),
    listing(movements, warehouse_id=_made(6, 7)),
    listing(movements, work_order_id=_made(11, 7)),
    listing(movements, kind="transfer"),
    listing(movements, lot="L0000777"),
    listing(movements, serial="L0000777"),
    listing(movements, kind="receive"),
    listing(movements, since=MIDDLE, until=MIDDLE + DAY),
    listing(quotes, deleted=False),
    listing(quotes, client_id=_made(2, 7)),
    listing(quotes, status="sent"),
    listing(quotes, status="expired"),
    listing(quotes, status="sent,viewed"),
    listing(quotes, since=MIDDLE, until=MIDDLE + DAY),
    listing(listed_inspections),
    listing(listed_inspections, template_id=_made(12, 7)),
    listing(listed_inspections, asset_id=_made(5, 7)),
    listing(listed_inspections, site_id=_made(3, 7)),
    listing(listed_inspections, employee_id=_made(4, 7)),
    listing(listed_inspections, work_order_id=_made(11, 7)),
    listing(listed_inspections, status="draft"),
    listing(listed_inspections, status="submitted"),
    listing(listed_inspections, result="failed"),
    listing(listed_inspections, result="passed"),
    listing(listed_inspections, result="failed", asset_id=_made(5, 1)),
    listing(listed_inspections, since=MIDDLE, until=MIDDLE + DAY),
]


async def _looked_at(much: Made, ask: Any) -> tuple[Any, float]:
    """Return an answer, and how many rows were looked at."""
    Explaining.plans = []
    url = conninfo(much.database.url("opsc_app"), "test")
    async with await Connection.connect(url, cursor_factory=Explaining) as conn:
        await act_for(conn, much.org_id)
        Explaining.plans.clear()
        rows = await ask(conn)
        (plan,) = Explaining.plans
    return rows, looked_at(plan)


@pytest.mark.parametrize(("table", "order", "wanted"), LISTS)
async def test_a_page_is_found_by_an_index(
    much: Made, table: Table[Any], order: Order, wanted: dict[str, Any]
) -> None:
    async def ask(conn: Connection) -> list[Any]:
        return await table.listing(conn, wanted, order=order, after=None, limit=PAGE, offset=0)

    rows, count = await _looked_at(much, ask)
    assert rows
    assert count <= MOST_LOOKED_AT


@pytest.mark.parametrize(
    "wanted",
    [
        {"client_id": _made(2, 7)},
        {"assignee_id": _made(4, 7)},
        {"asset_id": _made(5, 7)},
        {"priority": "urgent"},
        {"unassigned": True},
        {"due": (MIDDLE, MIDDLE + DAY / 4)},
        {"q": "crane 7777"},
    ],
    ids=lambda wanted: next(iter(wanted)),
)
async def test_work_orders_are_counted_by_status_by_an_index(
    much: Made, wanted: dict[str, Any]
) -> None:
    """An order is looked at once for each status at most, wherever its other filters find it."""
    counts, count = await _looked_at(
        much, lambda conn: work_orders.counts(conn, wanted, "state", STATES, PAGE)
    )
    assert set(counts) == set(STATES)
    assert 0 < max(counts.values()) <= PAGE
    assert count <= MOST_LOOKED_AT * len(STATES)


async def test_a_prefix_that_many_names_have_reads_those_alone(much: Made) -> None:
    """They were made in the middle of the list: a walk by time would read 120,000 before."""
    order, wanted = Order(), {"q": "part 7"}
    rows, count = await _looked_at(
        much,
        lambda conn: parts.listing(conn, wanted, order=order, after=None, limit=PAGE, offset=0),
    )
    assert [row.name for row in rows] == [f"Part {79_999 - n}" for n in range(PAGE)]
    assert count == 11_111


@pytest.mark.parametrize(
    ("text", "most_rows"),
    [
        ("crane", 51),
        ("grease the crane 77", 51),
        ("77", 51),
        ("crane grease", 51),
        ("crane 77777", 1),
        ("nothing", 0),
    ],
)
async def test_a_search_looks_at_a_bounded_number_of_rows(
    much: Made, text: str, most_rows: int
) -> None:
    rows, count = await _looked_at(much, lambda conn: search(conn, text, SEARCHED, PAGE))
    assert len(rows) == most_rows
    assert count <= MOST_LOOKED_AT
