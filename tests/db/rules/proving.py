"""Rows in whatever state, and what the database says to changes of the application's role."""

import asyncio
import re
from collections.abc import Iterable
from contextlib import AsyncExitStack
from uuid import UUID

import psycopg
from psycopg.abc import Params
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.ids import new_id
from operations.quotes.evidence import EvidenceEntry, EvidenceKind, hex_hash, next_entry
from operations.work_orders.states import MOVES
from tests.db.rows import transaction
from tests.servers import DatabaseUnderTest
from tests.waiting import until

Statement = tuple[str, Params]
_NEW_ORDER = "INSERT INTO work_orders "
_TAKE_NUMBER = """
INSERT INTO number_counters AS counter (org_id, kind, last)
VALUES (current_org_id(), 'work_order', 1)
ON CONFLICT (org_id, kind) DO UPDATE SET last = counter.last + 1
"""
_REFUSALS = (
    psycopg.errors.CheckViolation,
    psycopg.errors.UniqueViolation,
    psycopg.errors.InsufficientPrivilege,
)
_POLICY = re.compile(r'row-level security policy "(\w+)"')
EARLIER = "now() - interval '2 minutes'"
_WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'opsc_app'"


def put(database: DatabaseUnderTest, *statements: Statement) -> None:
    """Write rows in whatever state, without triggers."""
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("SET session_replication_role = replica")
        for statement, values in statements:
            conn.execute(statement.encode(), values)


async def refusal(
    database: DatabaseUnderTest, org_id: UUID, *statements: Statement, role: str = "opsc_app"
) -> str | None:
    """Return the constraint or the policy that refuses the statements of one transaction; None:
    they are done.
    """
    try:
        async with transaction(database, role, org_id) as conn:
            await _execute(conn, statements)
    except _REFUSALS as error:
        return _refused_by(error)
    return None


async def _execute(conn: Connection, statements: Iterable[Statement]) -> None:
    """Execute the statements; before each that makes a work order, its number is taken."""
    for statement, values in statements:
        if statement.startswith(_NEW_ORDER):
            await conn.execute(_TAKE_NUMBER)
        await conn.execute(statement.encode(), values)


def _refused_by(error: psycopg.Error) -> str:
    policy = _POLICY.search(str(error))
    name = error.diag.constraint_name if policy is None else policy[1]
    if name is None:
        raise error  # the role has no right to it at all
    return name


async def at_once(
    database: DatabaseUnderTest, org_id: UUID, first: list[Statement], second: list[Statement]
) -> list[str | None]:
    """Check two transactions before either commits, unless the second waits for the first; return
    what refused each.
    """
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(database.connection("opsc_app")) for _ in range(2)]

        async def begin(conn: Connection, statements: list[Statement]) -> str | None:
            try:
                await conn.execute("BEGIN")
                await conn.execute("CALL act_for(%s, '')", (org_id,))
                await _execute(conn, statements)
                await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
            except _REFUSALS as error:
                return _refused_by(error)
            return None

        refusals = [await begin(both[0], first)]
        waiting = asyncio.create_task(begin(both[1], second))
        await until(lambda: waiting.done() or bool(database.run("admin", _WAITING)))
        await both[0].execute("COMMIT")
        refusals.append(await waiting)
        await both[1].execute("COMMIT")  # which rolls back what was refused
        return refusals


# Work orders --------------------------------------------------------------------------------------


def order_in(database: DatabaseUnderTest, org_id: UUID, state: str, *, assigned: bool) -> UUID:
    order_id, employee_id = new_id(), new_id()
    put(
        database,
        (
            "WITH taken AS (INSERT INTO number_counters AS counter (org_id, kind, last)"
            " VALUES (%(org)s, 'work_order', 1) ON CONFLICT (org_id, kind)"
            " DO UPDATE SET last = counter.last + 1 RETURNING last)"
            " INSERT INTO work_orders (org_id, id, number, title, priority, state)"
            " SELECT %(org)s, %(id)s, last, 'x', 'normal', %(state)s FROM taken",
            {"org": org_id, "id": order_id, "state": state},
        ),
    )
    if assigned:
        put(
            database,
            (
                "INSERT INTO employees (org_id, id, name) VALUES (%s, %s, 'Anna Keller')",
                (org_id, employee_id),
            ),
            (
                "INSERT INTO work_order_assignees (org_id, work_order_id, employee_id)"
                " VALUES (%s, %s, %s)",
                (org_id, order_id, employee_id),
            ),
        )
    return order_id


VERBS: dict[tuple[str, str], str] = {(each.state, each.then): each.verb for each in MOVES}


def to_state(order_id: UUID, state: str) -> Statement:
    return (
        "UPDATE work_orders SET state = %s, ended_at = now(), updated_at = now() WHERE id = %s",
        (state, order_id),
    )


def said(order_id: UUID, before: str, then: str, days_ago: int = 0) -> Statement:
    """Return the statement that writes the transition of a move."""
    verb = VERBS[before, then]
    return (
        "INSERT INTO work_order_transitions (org_id, id, work_order_id, verb, from_state, state,"
        " user_id, created_at, reason, signer_name, signed_at) SELECT current_org_id(),"
        " %(id)s, %(order)s, %(verb)s, %(before)s, %(then)s, id,"
        " now() - make_interval(days => %(days)s),"
        " CASE WHEN %(verb)s IN ('hold', 'cancel', 'cannot-complete') THEN 'x' END,"
        " CASE WHEN %(verb)s = 'complete' THEN 'Peter Frei' END,"
        " CASE WHEN %(verb)s = 'complete' THEN now() END FROM users LIMIT 1",
        {
            "id": new_id(),
            "order": order_id,
            "verb": verb,
            "before": before,
            "then": then,
            "days": days_ago,
        },
    )


def moved(order_id: UUID, before: str, then: str) -> list[Statement]:
    return [to_state(order_id, then), said(order_id, before, then)]


def insert_named(table: str, row_id: UUID, **columns: UUID | int) -> Statement:
    """Return the statement that inserts a row of the tenant with a name."""
    names = "".join(f", {name}" for name in columns)
    places = ", %s" * len(columns)
    statement = f"INSERT INTO {table} (org_id, id, name{names}) SELECT current_org_id(), %s, 'x'"
    return statement + places, (row_id, *columns.values())


def new_order(order_id: UUID, **columns: object) -> Statement:
    columns = {"state": "created"} | columns
    names, places = "".join(f", {name}" for name in columns), ", %s" * len(columns)
    statement = (
        f"{_NEW_ORDER}(org_id, id, number, title, priority{names}) SELECT"
        f" current_org_id(), %s, last, 'x', 'normal'{places} FROM number_counters"
        " WHERE kind = 'work_order'"
    )
    return statement, (order_id, *columns.values())


def given_to(order_id: UUID, thing_id: UUID, table: str = "employees") -> Statement:
    names = {"employees": ("assignees", "employee_id"), "assets": ("assets", "asset_id")}
    things, column = names[table]
    return (
        f"INSERT INTO work_order_{things} (org_id, work_order_id, {column})"
        " SELECT current_org_id(), %s, %s",
        (order_id, thing_id),
    )


def new_part(part_id: UUID) -> Statement:
    return (
        "INSERT INTO parts (org_id, id, number, name, unit, currency)"
        " SELECT current_org_id(), %s, %s, 'x', 'piece', 'EUR'",
        (part_id, str(part_id)),
    )


def planned(order_id: UUID, part_id: UUID, place_id: UUID, milli: int = 1000) -> Statement:
    return (
        "INSERT INTO work_order_parts (org_id, id, work_order_id, part_id, warehouse_id,"
        " planned_milli) SELECT current_org_id(), %s, %s, %s, %s, %s",
        (new_id(), order_id, part_id, place_id, milli),
    )


def replanned(order_id: UUID, milli: int) -> Statement:
    return "UPDATE work_order_parts SET planned_milli = %s WHERE work_order_id = %s", (
        milli,
        order_id,
    )


def deletion(table: str, row_id: UUID, *, restore: bool = False) -> Statement:
    at = "NULL" if restore else "now()"
    return f"UPDATE {table} SET deleted_at = {at} WHERE id = %s", (row_id,)


# Quotes -------------------------------------------------------------------------------------------

LINE = {
    "description": "x",
    "quantity_thousandths": 1000,
    "unit_price_cents": 0,
    "discount_basis_points": 0,
    "tax_basis_points": 0,
}
# What a document has of the row of its quote.
DOCUMENT = """
convert_to(json_build_object('number', number, 'revision', revision, 'title', title,
    'currency', currency, 'valid_until', valid_until, 'subtotal_cents', subtotal_cents,
    'discount_cents', discount_cents, 'tax_cents', tax_cents, 'total_cents', total_cents,
    'terms', terms, 'notes', notes)::text, 'UTF8')
"""


def quote_in(database: DatabaseUnderTest, org_id: UUID, state: str, *, document: bool) -> UUID:
    quote_id = new_id()
    put(
        database,
        (
            "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency,"
            " valid_until, subtotal_cents, discount_cents, tax_cents, total_cents, state, sent_at,"
            " decided_at)"
            " SELECT %(org)s, %(id)s, coalesce(max(number), 0) + 1, 1, %(id)s, 'x', %(lines)s,"
            " 'EUR', '2099-01-01', 0, 0, 0, 0, %(state)s, CASE WHEN %(state)s <> 'draft' THEN now()"
            " END, CASE WHEN %(state)s IN ('accepted', 'declined') THEN now() END FROM quotes",
            {"org": org_id, "id": quote_id, "lines": Jsonb([LINE]), "state": state},
        ),
    )
    if document:
        put(
            database,
            (
                "INSERT INTO quote_documents (org_id, quote_id, content, pdf)"
                f" SELECT org_id, id, {DOCUMENT}, 'x' FROM quotes WHERE id = %s",
                (quote_id,),
            ),
        )
    return quote_id


def become(quote_id: UUID, state: str) -> Statement:
    decided = "" if state == "sent" else ", decided_at = now()"
    statement = (
        f"UPDATE quotes SET state = %s, sent_at = coalesce(sent_at, now()){decided} WHERE id = %s"
    )
    return statement, (state, quote_id)


def evidence_of(
    database: DatabaseUnderTest, quote_id: UUID, kind: EvidenceKind, **facts: object
) -> Statement:
    """Return the statement that appends an entry, which has the hashes of what there is."""
    kept = database.run(
        "admin",
        "SELECT content, pdf FROM quote_documents WHERE quote_id = %s",
        (quote_id,),
    )
    chain = database.run(
        "admin",
        "SELECT content, sha256 FROM quote_evidence WHERE quote_id = %s ORDER BY place",
        (quote_id,),
    )
    hashes = {"document_sha256": hex_hash(kept[0][0])} if kept else {}
    if kept and kind == "sent":
        hashes["pdf_sha256"] = hex_hash(kept[0][1])
    before = [EvidenceEntry(*entry) for entry in chain]
    entry = next_entry(before, kind, "2026-03-01T12:00:00Z", {**hashes, **facts})
    return (
        "INSERT INTO quote_evidence (org_id, quote_id, place, content, sha256)"
        " VALUES (current_org_id(), %s, %s, %s, %s)",
        (quote_id, len(before) + 1, *entry),
    )


def of_earlier(statement: Statement, column: str) -> Statement:
    """Return a change that says another time than now."""
    text, values = statement
    assert f"{column} = now()" in text
    return text.replace(f"{column} = now()", f"{column} = {EARLIER}"), values
