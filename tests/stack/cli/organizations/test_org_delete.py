"""`opsc org list`, `org delete`, `user`: the operator's view of organizations and their users."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner, Result

from db.core.ids import new_id
from db.resources import organization_removal
from stack.cli.organizations.org import org
from stack.cli.organizations.user import user
from stack.errors import StackError
from telemetry.ids import format_id, parse_id
from tests.db.every_table import EVERY_TABLE, make_tenant
from tests.servers import DatabaseUnderTest

END_WAITING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE application_name = 'opsc org delete' AND wait_event_type = 'Lock'
"""


@pytest.fixture(params=["opsc_owner", "admin"])
def login(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs that would have to hear of it."""
    monkeypatch.setattr("stack.cli.organizations.delete.SETTLE_S", 0.0)


def call(
    app: Any, database: DatabaseUnderTest, login: str, *arguments: str, typed: str = ""
) -> Result:
    environment = {"OPSC_DATABASE_URL": database.url(login)}
    return CliRunner().invoke(app, arguments, input=typed, env=environment)


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows_of(database: DatabaseUnderTest, org_id: UUID) -> dict[str, int]:
    """Count the rows that each table has of an organization; tables without any are left out."""
    counts: dict[str, int] = {}
    with psycopg.connect(database.url("admin")) as conn:
        for (table,) in conn.execute(EVERY_TABLE).fetchall():
            statement = sql.SQL("SELECT count(*) FROM {} WHERE org_id = %s")
            row = conn.execute(statement.format(sql.Identifier(table)), (org_id,)).fetchone()
            assert row is not None
            counts[table] = row[0]
    return {table: count for table, count in counts.items() if count}


def test_everything_of_one_organization_goes_and_nothing_of_another(
    database: DatabaseUnderTest, login: str
) -> None:
    gone, stays = (asyncio.run(make_tenant(database)) for _ in range(2))
    before = rows_of(database, stays)
    assert rows_of(database, gone).keys() == before.keys()
    assert len(before) > 20
    org_id = format_id("org", gone)
    done = said(call(org, database, login, "delete", org_id, "--yes", "--json"))
    assert done == {"organization_id": org_id, "name": "Acme", "deleted": True}
    assert rows_of(database, gone) == {}
    assert rows_of(database, stays) == before
    with psycopg.connect(database.url("admin")) as conn:
        usage = conn.execute(
            "SELECT count(*) FROM quarantine_usage WHERE tracker_id <> %s"
            " AND tracker_id NOT IN (SELECT id FROM trackers)",
            (UUID(int=0),),
        ).fetchone()
    assert usage == (0,)
    again = call(org, database, login, "delete", org_id, "--yes")
    assert isinstance(again.exception, StackError)
    assert "no such organization" in str(again.exception)


def test_what_is_much_goes_in_pieces(
    database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organization_removal, "PIECE_ROWS", 2)
    org_id = asyncio.run(make_tenant(database))
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, flags)"
            " SELECT org_id, id, now() - make_interval(days => day), 0, now(), 1, 2, 0"
            " FROM trackers, generate_series(1, 7) AS day WHERE org_id = %s",
            (org_id,),
        )
        conn.execute(
            "INSERT INTO webhook_attempts (org_id, delivery_id, attempted_at)"
            " SELECT %s, gen_random_uuid(), now() - make_interval(days => day)"
            " FROM generate_series(1, 7) AS day",
            (org_id,),
        )
    result = call(org, database, "opsc_owner", "delete", format_id("org", org_id), "--yes")
    assert result.exit_code == 0, result.output
    assert rows_of(database, org_id) == {}


def test_a_deletion_that_was_cut_short_is_completed(database: DatabaseUnderTest) -> None:
    org_id = asyncio.run(make_tenant(database))
    arguments = ("delete", format_id("org", org_id), "--yes")
    with psycopg.connect(database.url("admin")) as other, ThreadPoolExecutor() as threads:
        other.execute("LOCK TABLE clients")  # which only the last step removes
        deleting = threads.submit(call, org, database, "opsc_owner", *arguments)
        while not (database.run("admin", END_WAITING) or deleting.done()):
            time.sleep(0.02)
        result = deleting.result()
    assert "is deleted: terminating connection" in str(result.exception)
    assert "run the command again" in str(result.exception)
    left = rows_of(database, org_id)
    assert "gps_events" not in left
    assert "organizations" in left
    assert call(org, database, "opsc_owner", *arguments).exit_code == 0
    assert rows_of(database, org_id) == {}


def test_the_name_is_asked_for(database: DatabaseUnderTest) -> None:
    org_id = asyncio.run(make_tenant(database))
    arguments = ("delete", format_id("org", org_id))
    refused = call(org, database, "opsc_owner", *arguments, typed="Acne\n")
    assert "nothing is deleted" in str(refused.exception)
    assert rows_of(database, org_id)
    assert call(org, database, "opsc_owner", *arguments, typed="Acme\n").exit_code == 0
    assert rows_of(database, org_id) == {}


def test_all_organizations_are_listed(database: DatabaseUnderTest, login: str) -> None:
    names = ("First", "Second")
    for name in names:
        made = ("create", "--name", name, "--email", "a@b.example", "--plan", "team", "--json")
        said(call(org, database, login, *made))
    rows = said(call(org, database, login, "list", "--json"))
    assert [row["name"] for row in rows][-2:] == list(names)
    assert rows[-1]["plan"] == "team"
    lines = call(org, database, login, "list").stdout.splitlines()
    assert len(lines) == len(rows)
    assert lines[-1].startswith(rows[-1]["organization_id"])


def test_a_password_is_set_and_sessions_end(database: DatabaseUnderTest, login: str) -> None:
    made = [
        said(call(org, database, login, "create", "--name", n, "--email", "a@b.example", "--json"))
        for n in ("Mine", "Other")
    ]
    mine = made[0]["organization_id"]
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
            " SELECT org_id, gen_random_uuid(), id, 'token', 'infinity' FROM users"
            " WHERE email = 'a@b.example'"
        )
    (row,) = said(call(user, database, login, "list", mine, "--json"))
    assert (row["email"], row["role"], row["state"]) == ("a@b.example", "admin", "active")
    reset = said(call(user, database, login, "reset-password", mine, "A@b.example", "--json"))
    assert reset["password"] != made[0]["password"]
    ids = [parse_id("org", each["organization_id"]) for each in made]
    with psycopg.connect(database.url("admin")) as conn:
        ended = conn.execute(
            "SELECT org_id, ended_at IS NOT NULL FROM sign_ins WHERE org_id = ANY (%s)", (ids,)
        ).fetchall()
    assert dict(ended) == {ids[0]: True, ids[1]: False}


def test_who_is_not_there_is_said_so(database: DatabaseUnderTest, login: str) -> None:
    made = ("create", "--name", "A", "--email", "a@b.example", "--json")
    org_id = said(call(org, database, login, *made))["organization_id"]
    nobody = call(user, database, login, "reset-password", org_id, "x@b.example")
    assert "no active user x@b.example" in str(nobody.exception)
    nowhere = call(user, database, login, "list", format_id("org", new_id()))
    assert "no such organization" in str(nowhere.exception)
    assert call(user, database, login, "list", "org_x").exit_code == 2
