"""The evidence of quotes is only appended, as the application's role."""

from collections.abc import Iterator

import psycopg
import pytest

from db.core.ids import new_id
from tests.servers import DatabaseUnderTest


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


@pytest.mark.parametrize("statement", ["UPDATE quote_evidence SET place = 2", "DELETE FROM quotes"])
def test_evidence_is_only_appended_and_nothing_is_removed(
    conn: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())
