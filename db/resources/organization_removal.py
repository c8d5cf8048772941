"""Removing an organization with everything that is its own, while the system runs.

In three steps, each of which may be done again after it was cut short; all as opsc_owner, who acts
for the organization.

1. `retire`: nobody of it gets in any more, neither people nor trackers.
2. `remove_fixes` of each of the `trackers`, and `remove_piece`, until they return 0: what may be
   much, a bounded number of rows a transaction.
3. `remove`: all the rest in one transaction. It takes the lease away from ingest, which begins
   again with what is stored then: what it remembers of the organization is gone, and nothing more
   is written for it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import LiteralString
from uuid import UUID

from psycopg import sql

from db.archive import moving
from db.archive.archived_days import exports_of, object_path
from db.core import leases, registry_revision
from db.core.connect import Connection
from db.core.fetch import rows_of, value_of

PIECE_ROWS = 10_000
_PASSES = 2  # what is removed first may be written again by triggers of what is removed later

_RETIRE: Sequence[LiteralString] = (
    "UPDATE trackers SET revoked_at = now(), revision = %(revision)s WHERE revoked_at IS NULL",
    "UPDATE gateways SET revoked_at = now() WHERE revoked_at IS NULL",
    "UPDATE api_keys SET revoked_at = now() WHERE revoked_at IS NULL",
    "UPDATE sign_ins SET ended_at = now() WHERE ended_at IS NULL",
    "UPDATE users SET deactivated_at = now()"
    " WHERE deactivated_at IS NULL OR deactivated_at > now()",
    "UPDATE webhook_endpoints SET deleted_at = now() WHERE deleted_at IS NULL",
)
# A visit that is open may still be written to by ingest.
_MUCH: Sequence[tuple[LiteralString, LiteralString]] = (
    ("webhook_deliveries", "true"),
    ("event_subjects", "true"),
    ("events", "true"),
    ("alerts", "true"),
    ("told_trips", "true"),
    ("visits", "left_at IS NOT NULL"),
    ("shifts", "true"),
    ("punch_verdicts", "true"),
    ("punch_evidence", "true"),
    ("punches", "true"),
    ("stock_movement_serials", "true"),
    ("stock_movements", "true"),
    ("stock_lots", "true"),
    ("search_terms", "true"),
    ("attachment_pieces", "true"),
    ("photo_copies", "true"),
    ("quarantine", "true"),
    ("audit_events", "true"),
)
# Rows of one instant go together.
_FIXES = """
DELETE FROM gps_events
 WHERE tracker_id = %(tracker_id)s AND time <= (SELECT max(time) FROM (
       SELECT time FROM gps_events WHERE tracker_id = %(tracker_id)s
        ORDER BY time LIMIT %(limit)s) AS piece)
"""
_LAST_OF_PIECE = """
SELECT delivery_id FROM (
       SELECT delivery_id FROM webhook_attempts
        WHERE org_id = current_org_id() ORDER BY delivery_id LIMIT %s) AS piece
 ORDER BY delivery_id DESC LIMIT 1
"""
# Not "org_id = ...": TimescaleDB cannot plan that beside the policy, which says the same.
_ATTEMPTS = """
DELETE FROM webhook_attempts AS attempt USING unnest(ARRAY[current_org_id()]) AS tenant (org_id)
 WHERE attempt.org_id = tenant.org_id AND attempt.delivery_id <= %s
"""
_TENANT_TABLES = """
SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attname = 'org_id'
   AND relname NOT IN ('gps_events', 'webhook_attempts')
 ORDER BY relname
"""
# An inspection form is of a work order, and a work order mends a form's defect: one of the two
# references has to go before the rows. A form's cannot: a submitted form does not change.
_CUT = """
UPDATE work_orders SET inspection_form_id = NULL, question_id = NULL
 WHERE org_id = current_org_id() AND inspection_form_id IS NOT NULL
"""
_REFERENCES = """
SELECT child.relname, parent.relname FROM pg_constraint
  JOIN pg_class AS child ON child.oid = conrelid JOIN pg_class AS parent ON parent.oid = confrelid
 WHERE contype = 'f' AND child.relnamespace = 'public'::regnamespace AND conrelid <> confrelid
   AND conname <> 'work_orders_inspection_form'
"""


async def name_of(conn: Connection) -> str | None:
    """Return the name of the tenant; None where there is no such organization."""
    cursor = await conn.execute("SELECT name FROM organizations WHERE org_id = current_org_id()")
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def retire(conn: Connection) -> None:
    """Let nobody of the organization in any more."""
    number, _ = await registry_revision.bump(conn)
    for statement in _RETIRE:
        await conn.execute(statement, {"revision": number})


async def trackers(conn: Connection) -> list[UUID]:
    """Return all that the organization ever had: the index of fixes is by tracker."""
    cursor = await conn.execute("SELECT id FROM trackers WHERE org_id = current_org_id()")
    return [tracker_id for (tracker_id,) in await cursor.fetchall()]


async def remove_fixes(conn: Connection, tracker_id: UUID) -> int:
    """Remove the oldest fixes of a tracker, and return their number."""
    cursor = await conn.execute(_FIXES, {"tracker_id": tracker_id, "limit": PIECE_ROWS})
    return cursor.rowcount


async def remove_piece(conn: Connection) -> int:
    """Remove some rows of what else may be much, and return their number."""
    if removed := await _remove_attempts(conn):
        return removed
    for table, condition in _MUCH:
        statement = sql.SQL(
            "DELETE FROM {0} WHERE ctid IN (SELECT ctid FROM {0}"
            " WHERE org_id = current_org_id() AND {1} LIMIT %s)"
        ).format(sql.Identifier(table), sql.SQL(condition))
        cursor = await conn.execute(statement, (PIECE_ROWS,))
        if cursor.rowcount > 0:
            return cursor.rowcount
    return 0


async def _remove_attempts(conn: Connection) -> int:
    """Remove attempts of the oldest deliveries, and return their number. Not by ctid, which is that
    of a chunk.
    """
    row = await (await conn.execute(_LAST_OF_PIECE, (PIECE_ROWS,))).fetchone()
    return 0 if row is None else (await conn.execute(_ATTEMPTS, row)).rowcount


_ARCHIVED: LiteralString = """
SELECT org_id, day, object_id FROM archived_days WHERE org_id = current_org_id()
"""


async def remove(conn: Connection, ingest_lease: str) -> int:
    """Remove all that is left, the organization too. Returns how many objects of the archive are to
    go for it: the next pass of `archive.mover` removes them.
    """
    await leases.fence(conn, ingest_lease)  # first, as ingest does: else both could wait
    # Triggers write about what is removed, and that has to go too.
    await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
    await conn.execute(
        "DELETE FROM quarantine_usage WHERE tracker_id IN"
        " (SELECT id FROM trackers WHERE org_id = current_org_id())"
    )
    while await _remove_attempts(conn):
        pass  # those that ended meanwhile
    archived = [object_path(*row) for row in await rows_of(conn, _ARCHIVED)]
    await moving.remove_later(conn, archived, datetime.now(UTC))
    org_id = await value_of(conn, "SELECT current_org_id()")
    archived += await moving.remove_now(conn, exports_of(org_id))
    await conn.execute(_CUT)
    *others, organizations = await _in_order(conn)
    for table in [*others * _PASSES, organizations, "audit_events"]:
        statement = sql.SQL("DELETE FROM {} WHERE org_id = current_org_id()")
        await conn.execute(statement.format(sql.Identifier(table)))
    return sum(not path.endswith(".partial") for path in archived)


async def log(conn: Connection, text: str) -> None:
    """Write a line into the log of PostgreSQL."""
    body = sql.SQL("BEGIN RAISE LOG '%', {}; END").format(sql.Literal(text))
    await conn.execute(sql.SQL("DO {}").format(sql.Literal(body.as_string(conn))))


async def _in_order(conn: Connection) -> list[str]:
    """Return all tables of a tenant but that of fixes, those first that refer to others."""
    tables = [name for (name,) in await (await conn.execute(_TENANT_TABLES)).fetchall()]
    references = await (await conn.execute(_REFERENCES)).fetchall()
    sorter = TopologicalSorter({"organizations": [t for t in tables if t != "organizations"]})
    for child, parent in references:
        if child in tables and parent in tables:
            sorter.add(parent, child)
    return list(sorter.static_order())
