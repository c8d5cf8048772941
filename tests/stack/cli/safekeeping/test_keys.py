"""`opsc keys`: on a server by settings, and on the data folder of an `opsc up`."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from db.core.ids import new_id
from db.core.secrets import SecretBox, new_secret_key, read_secret_keys
from db.maintenance.sealed import ROWS_AT_ONCE
from stack.cli.organizations.org import org
from stack.cli.safekeeping.keys import keys
from stack.errors import StackError
from stack.servers.checks import secret_keys
from stack.servers.runtime import load_secrets, read_stack
from telemetry.ids import parse_id
from tests.servers import DatabaseUnderTest
from tests.stack.command import Up, opsc, plain_environment

KEY, OLDER = new_secret_key(), new_secret_key()


def _keys(*arguments: str, url: str | None = None, ring: str | None = None) -> Result:
    environment = {"OPSC_DATABASE_URL": url, "OPSC_SECRET_KEY": ring}
    return CliRunner().invoke(keys, arguments, env=environment)


def _refused(result: Result) -> str:
    assert isinstance(result.exception, StackError), result.output
    return str(result.exception)


def test_each_new_key_is_another_and_good() -> None:
    first, second = (_keys("new").stdout.strip() for _ in range(2))
    assert len(read_secret_keys(f"{first},{second}")) == 2


@pytest.mark.parametrize("login", ["opsc_owner", "admin"])
def test_a_database_without_anything_sealed_needs_no_older_key(
    database: DatabaseUnderTest, login: str
) -> None:
    url = database.url(login)
    for arguments in (("rotate",), ("rotate", "--check")):
        done = _keys(*arguments, url=url, ring=f"{KEY},{OLDER}")
        assert done.exit_code == 0, done.output
        assert "under older keys: 0 webhook endpoints, 0 kept answers" in done.output
        assert "older keys may go in a day" in done.output
    alone = _keys("rotate", url=url, ring=KEY)
    assert (alone.exit_code, "has one key" in alone.output) == (0, True)


def test_a_row_that_somebody_holds_is_left_to_them(database: DatabaseUnderTest) -> None:
    """More rows than a page has, of two organizations; one row is locked, and changed then."""
    url, ring = database.url("opsc_owner"), f"{KEY},{OLDER}"
    older, first = (SecretBox(read_secret_keys(each)) for each in (OLDER, KEY))
    org_ids = [_organization(url, name) for name in ("Acme", "Zenith")]
    ids = [new_id() for _ in range(ROWS_AT_ONCE + 10)]
    with psycopg.connect(database.url("admin")) as conn, conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO webhook_endpoints (org_id, id, url, types, secret_encrypted)"
            " VALUES (%s, %s, 'https://example.com', '{*}', %s)",
            [
                (org_id, each, older.seal(b"secret", each.bytes))
                for org_id in org_ids
                for each in ids
            ],
        )
    with psycopg.connect(database.url("admin")) as writer:
        held = (org_ids[0], ids[3])
        where = "WHERE org_id = %s AND id = %s"
        writer.execute(f"SELECT FROM webhook_endpoints {where} FOR UPDATE", held)
        done = _keys("rotate", url=url, ring=ring)
        assert (done.exit_code, "held by others: call this again" in done.output) == (1, True)
        assert f"sealed anew: {2 * len(ids) - 1} webhook endpoints" in done.output
        changed = older.seal(b"another", ids[3].bytes)
        writer.execute(
            f"UPDATE webhook_endpoints SET secret_encrypted = %s {where}", (changed, *held)
        )
    done = _keys("rotate", url=url, ring=ring)
    assert (done.exit_code, "sealed anew: 1 webhook endpoints" in done.output) == (0, True)
    with psycopg.connect(database.url("admin")) as conn:
        rows = conn.execute("SELECT org_id, id, secret_encrypted FROM webhook_endpoints").fetchall()
    opened = {(org_id, each): first.open(sealed, each.bytes) for org_id, each, sealed in rows}
    assert opened.pop(held) == b"another"
    assert (set(opened.values()), len(opened)) == ({b"secret"}, 2 * len(ids) - 1)


def _organization(url: str, name: str) -> UUID:
    arguments = ["create", "--name", name, "--email", "boss@example.com", "--json"]
    made = CliRunner().invoke(org, arguments, env={"OPSC_DATABASE_URL": url})
    return parse_id("org", json.loads(made.stdout)["organization_id"])


def test_a_ring_that_is_none_is_told_without_its_keys(database: DatabaseUnderTest) -> None:
    url = database.url("opsc_owner")
    assert "OPSC_SECRET_KEY is missing" in _refused(_keys("rotate", url=url))
    for ring, says in ((f"{KEY},{KEY}", "are the same"), (f"{KEY},short", "key 2 of the 2")):
        said = _refused(_keys("rotate", url=url, ring=ring))
        assert says in said
        assert KEY not in said
    assert "is for the data folder" in _refused(_keys("drop", url=url, ring=f"{KEY},{OLDER}"))


def test_a_login_that_may_not_is_told(database: DatabaseUnderTest) -> None:
    said = _refused(_keys("rotate", url=database.url("opsc_listen"), ring=f"{KEY},{OLDER}"))
    assert said.startswith("stored secrets cannot be read or sealed: ")


def test_a_folder_without_a_key_gets_none(tmp_path: Path) -> None:
    for command in ("rotate", "drop"):
        assert "has no secret key yet" in _refused(_keys(command, "--data", str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_new_key_is_put_in_front_once(tmp_path: Path) -> None:
    made = load_secrets(tmp_path)
    assert "there is no older one" in _refused(_keys("drop", "--data", str(tmp_path)))
    done = _keys("rotate", "--data", str(tmp_path), "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"new_key": True})
    ring = load_secrets(tmp_path)
    new, old = ring.secret_key.split(",")
    assert (old, new != old) == (made.secret_key, True)
    assert ring.role_passwords == made.role_passwords
    # With two keys the system has to run.
    assert "nothing runs on" in _refused(_keys("rotate", "--data", str(tmp_path)))
    assert load_secrets(tmp_path) == ring


@pytest.mark.acceptance
@pytest.mark.fresh_start
@pytest.mark.usefixtures("programs")
def test_the_key_of_an_up_is_replaced_in_a_few_steps(data_dir: Path) -> None:
    def started() -> Up:
        up = Up(data_dir, plain_environment())
        up.until_said("ready")
        return up

    def called(*arguments: str) -> str:
        done = opsc("keys", *arguments, "--data", data_dir)
        return f"{done.returncode} {done.stdout}{done.stderr}"

    up = started()
    try:
        old = load_secrets(data_dir).secret_key
        assert called("rotate").startswith("0 a new secret key is in the data folder")
        assert "does not use its new secret key yet" in called("rotate")
        assert "does not use its new secret key yet" in called("drop")
        up.end(signal.SIGTERM)
        up = started()
        ring = read_stack(data_dir).secret_key
        assert ring.endswith(f",{old}")
        doctor = opsc("doctor", "--data", data_dir).stdout
        assert "there are 2 secret keys, and no older one is needed" in doctor
        assert called("rotate").startswith("0 sealed anew: 0 webhook endpoints, 0 kept answers")
        assert called("drop").startswith("0 older keys dropped: 1")
        up.end(signal.SIGTERM)
        up = started()
        assert read_stack(data_dir).secret_key == ring.partition(",")[0]
    finally:
        if up.process.poll() is None:
            up.end(signal.SIGTERM)


def test_the_doctor_tells_of_keys_without_showing_them() -> None:
    assert secret_keys(KEY, None)[:3] == ("ok", "keys", "there is one secret key")
    assert secret_keys(f"{KEY},{OLDER}", None).text == "there are 2 secret keys"
    wrong = secret_keys(f"{KEY},{KEY}", None)
    assert (wrong.level, KEY in wrong.text) == ("fault", False)
