"""The database holds of quotes what the rules say, whoever writes: here the application's role."""

from collections.abc import Iterator
from itertools import product
from uuid import UUID

import psycopg
import pytest

from db.core.ids import new_id
from operations.quotes.states import QUOTE_MOVES, QUOTE_STATES
from tests.servers import DatabaseUnderTest

# One for 9 cents, less 10 percent, and 25 percent of tax.
_LINES = (
    '[{"description": "x", "quantity_thousandths": 1000, "unit_price_cents": 9,'
    ' "discount_basis_points": 1000, "tax_basis_points": 2500}]'
)
LEGAL = {(each.state, each.then) for each in QUOTE_MOVES}


@pytest.fixture
def conn(database: DatabaseUnderTest) -> Iterator[psycopg.Connection]:
    """A transaction of the application for a new organization with a client."""
    with psycopg.connect(database.url("admin")) as admin:
        org_id, client_id = new_id(), new_id()
        admin.execute(
            "INSERT INTO organizations (org_id, name, plan) VALUES (%s, 'O', 'unlimited')",
            (org_id,),
        )
        admin.execute(
            "INSERT INTO clients (org_id, id, name) VALUES (%s, %s, 'C')", (org_id, client_id)
        )
    with psycopg.connect(database.url("opsc_app")) as app:
        app.execute("CALL act_for(%s, '')", (org_id,))
        yield app
        app.rollback()


_TAKE_NUMBER = """
INSERT INTO number_counters AS counter (org_id, kind, last) VALUES (current_org_id(), 'quote', 1)
ON CONFLICT (org_id, kind) DO UPDATE SET last = counter.last + 1
"""


def quote(conn: psycopg.Connection) -> UUID:
    """Insert a draft with the next number."""
    quote_id = new_id()
    conn.execute(_TAKE_NUMBER)
    conn.execute(
        "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency,"
        " valid_until, subtotal_cents, discount_cents, tax_cents, total_cents)"
        " SELECT org_id, %s, last, 1, id, 'x', %s, 'CHF', '2099-01-01', 9, 1, 2, 10"
        "   FROM clients JOIN number_counters USING (org_id)",
        (quote_id, _LINES),
    )
    return quote_id


def test_the_database_allows_the_moves_of_the_table_and_no_others(
    conn: psycopg.Connection,
) -> None:
    for state, then in product(QUOTE_STATES, QUOTE_STATES):
        if state == then:
            continue
        quote_id = quote(conn)
        path = {"draft": (), "sent": ("sent",)}.get(state, ("sent", state))
        for each in path:
            _move(conn, quote_id, each)
        if (state, then) in LEGAL:
            _move(conn, quote_id, then)
            continue
        with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
            _move(conn, quote_id, then)


def _move(conn: psycopg.Connection, quote_id: UUID, state: str) -> None:
    conn.execute(
        "UPDATE quotes SET state = %s, sent_at = CASE WHEN %s <> 'draft' THEN now() END,"
        " decided_at = CASE WHEN %s IN ('accepted', 'declined') THEN now() ELSE decided_at END"
        " WHERE id = %s",
        (state, state, state, quote_id),
    )


@pytest.mark.parametrize("state", [each for each in QUOTE_STATES if each != "draft"])
def test_a_quote_begins_as_a_draft(conn: psycopg.Connection, state: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot begin"):
        conn.execute(
            "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency,"
            " valid_until, subtotal_cents, discount_cents, tax_cents, total_cents, state, sent_at,"
            " decided_at)"
            " SELECT org_id, %s, 1, 1, id, 'x', '[{}]', 'CHF', '2099-01-01', 0, 0, 0, 0, %s,"
            "        now(), now() FROM clients",
            (new_id(), state),
        )


@pytest.mark.parametrize(
    "change", ["title = 'y'", "total_cents = 11, tax_cents = 3", "terms = 'y'"]
)
def test_what_was_sent_does_not_change(conn: psycopg.Connection, change: str) -> None:
    quote_id = quote(conn)
    conn.execute("INSERT INTO quote_documents VALUES (current_org_id(), %s, 'x', 'x')", (quote_id,))
    conn.execute("UPDATE quotes SET mail_state = 'queued'")
    with pytest.raises(psycopg.errors.CheckViolation, match="does not change"), conn.transaction():
        conn.execute(f"UPDATE quotes SET {change}".encode())
    _move(conn, quote_id, "sent")
    for statement in (
        f"UPDATE quotes SET {change}",
        "UPDATE quote_documents SET pdf = 'y'",
    ):
        with pytest.raises(psycopg.errors.CheckViolation, match="does not"), conn.transaction():
            conn.execute(statement.encode())


def test_sums_that_do_not_add_up_are_refused(conn: psycopg.Connection) -> None:
    quote(conn)
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute("UPDATE quotes SET total_cents = total_cents + 1")


@pytest.mark.parametrize("statement", ["UPDATE quote_evidence SET place = 2", "DELETE FROM quotes"])
def test_evidence_is_only_appended_and_nothing_is_removed(
    conn: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())
