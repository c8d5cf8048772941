"""`opsc quarantine`: the operator works on what belongs to no organization, and on no more."""

import json
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from db.core.ids import new_id
from stack.cli.organizations.quarantine import quarantine
from stack.errors import StackError
from telemetry.ids import format_id
from tests.servers import DatabaseUnderTest

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TOPIC = "trackers/nobody/fixes"


@pytest.fixture(params=["opsc_owner", "admin"])
def login(request: pytest.FixtureRequest) -> str:
    return request.param


def _store(database: DatabaseUnderTest, org_id: UUID | None, payload: bytes | None) -> str:
    row_id = new_id()
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            "INSERT INTO quarantine (org_id, id, digest, topic, reason, detail, positions, payload,"
            " payload_bytes, payload_sha256, first_received_at, last_received_at)"
            " VALUES (%s, %s, sha256(%s), %s, 'unknown_tracker', 'nobody', '{}', %s, 3, '', %s,"
            " %s)",
            (org_id, row_id, row_id.bytes, TOPIC, payload, NOW, NOW),
        )
    return format_id("qua", row_id)


def _opsc(database: DatabaseUnderTest, login: str, *arguments: str) -> Result:
    environment = {"OPSC_DATABASE_URL": database.url(login)}
    return CliRunner().invoke(quarantine, arguments, env=environment)


def test_a_message_of_nobody_is_listed_shown_released_and_dropped(
    database: DatabaseUnderTest, login: str
) -> None:
    mine, other = _store(database, None, b"\xff\x00\n"), _store(database, None, None)
    foreign = _store(database, new_id(), b"abc")

    def opsc(*arguments: str) -> Result:
        return _opsc(database, login, *arguments)

    listed = json.loads(opsc("list", "--json", "--reason", "unknown_tracker").stdout)
    assert {row["id"] for row in listed} >= {mine, other}
    assert foreign not in {row["id"] for row in listed}
    assert mine in opsc("list").stdout
    assert json.loads(opsc("show", mine, "--json").stdout)["topic"] == TOPIC
    assert opsc("show", mine, "--payload").stdout_bytes == b"\xff\x00\n"
    assert json.loads(opsc("release", mine, "--json").stdout) == {"id": mine, "result": "released"}
    for refused, says in (
        (("release", mine), "waits for ingest"),
        (("drop", mine), "waits for ingest"),
        (("release", other), "not kept"),
        (("show", foreign), "no such message"),
        (("release", foreign), "no such message"),
        (("drop", foreign), "no such message"),
    ):
        result = opsc(*refused)
        assert isinstance(result.exception, StackError), refused
        assert says in str(result.exception)
    assert opsc("drop", other).exit_code == 0
    assert opsc("show", "qua_1").exit_code == 2
    with psycopg.connect(database.url("admin")) as conn:
        inbox = conn.execute("SELECT org_id, topic, payload FROM inbox").fetchall()
        conn.execute("DELETE FROM inbox")
    assert inbox == [(None, TOPIC, b"\xff\x00\n")]
