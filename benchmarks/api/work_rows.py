"""Rows of the field operations that `benchmarks.api.run` asks about: as many of each as assets.

Statements outside db/, and without triggers, as in `benchmarks.api.rows`.
"""

from uuid import UUID

from benchmarks.common.rows import ORGANIZATION, Admin

_FILL = """
CREATE FUNCTION pg_temp.made(kind integer, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$
    SELECT (lpad(to_hex(kind), 8, '0') || '000080008000' || lpad(to_hex(number), 12, '0'))::uuid
    $$;
INSERT INTO clients (org_id, id, name) SELECT {org}, {made}(1, n), 'Client ' || n
  FROM generate_series(0, 999) AS n;
INSERT INTO employees (org_id, id, name) SELECT {org}, {made}(2, n), 'Worker ' || n
  FROM generate_series(0, 999) AS n;
INSERT INTO warehouses (org_id, id, name) SELECT {org}, {made}(3, n), 'Store ' || n
  FROM generate_series(0, 9) AS n;
INSERT INTO parts (org_id, id, number, name, unit, currency)
SELECT {org}, {made}(4, n), 'N' || n, 'Part ' || n, 'piece', 'CHF'
  FROM generate_series(0, {rows} / 10 - 1) AS n;
INSERT INTO inventory (org_id, id, part_id, warehouse_id, on_hand_milli, average_microcents,
                       created_at)
SELECT {org}, {made}(5, n), {made}(4, n / 10), {made}(3, n % 10), 1000, 1000000, {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency, valid_until,
                    subtotal_cents, discount_cents, tax_cents, total_cents, created_at)
SELECT {org}, {made}(6, n), n + 1, 1, {made}(1, n % 1000), 'Offer ' || n,
       '[{{"description": "Crane, a day", "quantity_thousandths": 1000, "unit_price_cents": 100}}]',
       'CHF', '2099-01-01', 100, 0, 0, 100, {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO work_orders (org_id, id, number, title, priority, state, client_id, planned_start,
                         planned_end, due_at, created_at)
SELECT {org}, {made}(7, n), n + 1, 'Grease the crane ' || n, 'normal', 'assigned',
       {made}(1, n % 1000), {at}, {at} + interval '8 hours', {at} + interval '1 day', {at}
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO work_order_assignees SELECT {org}, {made}(7, n), {made}(2, n % 1000)
  FROM generate_series(0, {rows} - 1) AS n;
INSERT INTO work_order_assets SELECT org_id, {made}(7, substr(name, 7)::bigint), id FROM assets;
INSERT INTO inspection_templates (org_id, id, name, version)
VALUES ({org}, {made}(8, 0), 'Daily check', 1);
INSERT INTO inspection_template_versions (org_id, template_id, version, name, sections, questions,
                                          created_by)
VALUES ({org}, {made}(8, 0), 1, 'Daily check',
        '[{{"title": "Chassis", "questions": [{{"id": "brakes", "type": "pass_fail",
            "label": "Do the brakes hold?", "required": true,
            "show_if": null}}]}}]', 1, {user});
INSERT INTO inspection_forms (org_id, id, template_id, template_version, asset_id, employee_id,
                              state, answers, defects, created_by, submitted_by, submitted_at,
                              created_at)
SELECT {org}, {made}(9, substr(name, 7)::bigint), {made}(8, 0), 1, id, {made}(2, 0), 'submitted',
       '{{}}', '[]', {user}, {user}, created_at, created_at
  FROM assets;
INSERT INTO number_counters (org_id, kind, last)
VALUES ({org}, 'quote', {rows}), ({org}, 'work_order', {rows});
INSERT INTO search_terms (org_id, kind, place, term, row_id)
SELECT {org}, 'asset', 1, lower(name), id FROM assets
 UNION ALL SELECT {org}, 'work_order', 1, lower(title), id FROM work_orders
 UNION ALL SELECT {org}, 'work_order', 2, substr(title, 12), id FROM work_orders;
INSERT INTO row_counts (org_id, table_name, rows, stored)
VALUES ({org}, 'clients', 1000, 1000), ({org}, 'employees', 1000, 1000),
       ({org}, 'warehouses', 10, 10), ({org}, 'parts', {rows} / 10, {rows} / 10),
       ({org}, 'inspection_templates', 1, 1);
INSERT INTO row_counts (org_id, table_name, rows, stored)
SELECT {org}, name, {rows}, {rows}
  FROM unnest(ARRAY['inventory', 'quotes', 'work_orders', 'inspection_forms']) AS name
"""


def client_uuid(number: int) -> UUID:
    """Return the id of a client."""
    return _made(1, number)


def employee_uuid(number: int) -> UUID:
    """Return the id of an employee."""
    return _made(2, number)


def warehouse_uuid(number: int) -> UUID:
    """Return the id of a warehouse."""
    return _made(3, number)


def part_uuid(number: int) -> UUID:
    """Return the id of a part."""
    return _made(4, number)


def template_uuid() -> UUID:
    """Return the id of the template of all inspections."""
    return _made(8, 0)


def add_work(conn: Admin, rows: int, user_id: UUID) -> None:
    """Add as many work orders, quotes, stock records and inspections as there are assets."""
    names = {
        "org": f"'{ORGANIZATION}'::uuid",
        "user": f"'{user_id}'::uuid",
        "made": "pg_temp.made",
        "rows": rows,
        "at": f"now() - ({rows} - n) * interval '1 minute'",
    }
    conn.execute("SET session_replication_role = replica")
    conn.execute(_FILL.format(**names).encode())
    conn.execute("RESET session_replication_role")
    conn.execute("VACUUM ANALYZE")


def _made(kind: int, number: int) -> UUID:
    return UUID(f"{kind:08x}000080008000{number:012x}")
