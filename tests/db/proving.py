"""Rows in whatever state, and what the database says to changes of the application's role."""

import re
from collections.abc import Iterable
from uuid import UUID

import psycopg
from psycopg.abc import Params
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.ids import new_id
from operations.work_orders.states import MOVES
from tests.db.rows import transaction
from tests.servers import DatabaseUnderTest

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


# Work orders --------------------------------------------------------------------------------------


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


def new_order(order_id: UUID, **columns: object) -> Statement:
    columns = {"state": "created"} | columns
    names, places = "".join(f", {name}" for name in columns), ", %s" * len(columns)
    statement = (
        f"{_NEW_ORDER}(org_id, id, number, title, priority{names}) SELECT"
        f" current_org_id(), %s, last, 'x', 'normal'{places} FROM number_counters"
        " WHERE kind = 'work_order'"
    )
    return statement, (order_id, *columns.values())


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
