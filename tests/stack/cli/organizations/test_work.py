"""`opsc work`: the operator sees background work that fails, and lets it go."""

import asyncio
import json
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from db.core.connect import connect
from db.core.ids import new_id
from db.history import vital_signs
from stack.cli import status
from stack.cli.organizations.work import work
from stack.errors import StackError
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

PART = status.PartState("127.0.0.1:8000", None, True, "ok")


@pytest.fixture(params=["opsc_owner", "admin"])
def login(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def nothing_fails(database: DatabaseUnderTest) -> Iterator[None]:
    yield
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("DELETE FROM failing_work")


def fail(database: DatabaseUnderTest, kind: str, retry_at: str, org_id: UUID | None = None) -> str:
    key = str(new_id())
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            "INSERT INTO failing_work (kind, key, org_id, tries, error, retry_at)"
            " VALUES (%s, %s, %s, 11, 'TypeError: nobody foresaw this', %s)",
            (kind, key, org_id, retry_at),
        )
    return key


def opsc(database: DatabaseUnderTest, login: str, *arguments: str) -> Result:
    environment = {"OPSC_DATABASE_URL": database.url(login)}
    return CliRunner().invoke(work, arguments, env=environment)


def test_what_fails_is_listed_and_let_go(database: DatabaseUnderTest, login: str) -> None:
    org_id = asyncio.run(Tenant.create(database)).org_id
    aside, other = [fail(database, "letter", "infinity", org_id) for _ in range(2)]
    waiting = fail(database, "retention", "2200-01-01")
    over = fail(database, "letter", "2020-01-01", org_id)
    rows = {row["key"]: row for row in json.loads(opsc(database, login, "list", "--json").stdout)}
    assert set(rows) == {aside, other, waiting}, f"{over} does not wait any more"
    assert rows[aside]["retry_at"] is None
    assert rows[aside]["organization_id"] == format_id("org", org_id)
    assert rows[waiting]["organization_id"] is None
    shown = opsc(database, login, "list").stdout
    assert f"letter {aside}  organization {format_id('org', org_id)}  11 tries, set aside" in shown
    assert "TypeError: nobody foresaw this" in shown

    assert opsc(database, login, "release", "letter", aside).stdout == "1 released\n"
    assert json.loads(opsc(database, login, "release", "letter", "--json").stdout) == {
        "released": 1
    }
    again = opsc(database, login, "release", "letter")
    assert isinstance(again.exception, StackError)
    assert str(again.exception) == "no row of letter waits"
    (row,) = json.loads(opsc(database, login, "list", "--json").stdout)
    assert row["key"] == waiting
    opsc(database, login, "release", "retention")
    assert opsc(database, login, "list").stdout == "no background work fails\n"


async def test_the_state_of_the_system_counts_it(database: DatabaseUnderTest) -> None:
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        assert (await vital_signs.read(conn))[-2:] == (0, 0)
        fail(database, "letter", "infinity")
        fail(database, "letter", "2200-01-01")
        fail(database, "letter", "2020-01-01")
        signs = await vital_signs.read(conn)
    assert signs[-2:] == (1, 1)
    overview = status.Overview("x", {}, {"api": PART}, signs)
    assert json.loads(status._as_json(overview))["work"] == {"waiting": 1, "set_aside": 1}
    assert (
        "background work that fails: 1 rows wait, 1 are set aside; `opsc work list` shows them"
        in status._as_text(overview)
    )
