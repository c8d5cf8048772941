"""PostgreSQL and mosquitto as children of ours."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from db.maintenance import migrate
from stack.servers.postgres import free_port
from tests.servers import BrokerUnderTest, DatabaseUnderTest, PostgresUnderTest


def test_a_taken_port_is_not_given_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port


def test_any_free_port_is_another_one_and_none_that_a_connection_may_get() -> None:
    ports = [free_port(0) for _ in range(50)]
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 50
    assert max(ports) < lowest


@pytest.mark.parametrize("role", ["admin", *migrate.ROLES])
def test_every_role_can_sign_in_to_a_migrated_database(
    database: DatabaseUnderTest, role: str
) -> None:
    with psycopg.connect(database.url(role)) as connection:
        row = connection.execute("SELECT session_user").fetchone()
    assert row == ("postgres" if role == "admin" else role,)


def test_only_loopback_is_listened_on_and_only_with_a_password(
    postgres: PostgresUnderTest,
) -> None:
    with psycopg.connect(postgres.admin_url()) as connection:
        row = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        ).fetchone()
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert methods.fetchall() == [("scram-sha-256",)]
    assert row == ("127.0.0.1", "")


def test_no_value_stands_in_the_log_of_postgres(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    secret, postgres = "Sw0rdfish", private_postgres()
    with psycopg.connect(postgres.admin_url(), autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres SET log_min_duration_statement = 0")
    with psycopg.connect(postgres.admin_url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (word text PRIMARY KEY CHECK (word <> ''), n int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [secret])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO kept VALUES (%s)", [secret])
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE kept SET word = '', n = length(%s)", [secret])
        with (
            pytest.raises(psycopg.errors.InvalidTextRepresentation),
            connection.cursor().copy("COPY kept FROM STDIN") as copy,
        ):
            copy.write(f"a\t1\nb\t{secret}\n".encode())
    migrate.migrate(postgres.admin_url())
    migrate.set_role_passwords(postgres.admin_url(), dict.fromkeys(migrate.ROLES, secret))
    postgres.stop()
    log = postgres.log.read_text()
    for told in ("INSERT INTO kept VALUES ($1)", "kept_pkey", "kept_word_check", "ALTER ROLE"):
        assert told in log
    assert log.count(secret) == 1  # in the message itself: PostgreSQL has no setting for that
    assert f'invalid input syntax for type integer: "{secret}"' in log


def test_a_stopped_postgres_keeps_its_rows_and_its_port(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    with psycopg.connect(postgres.admin_url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.kill()
    postgres.start()
    with psycopg.connect(postgres.admin_url()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_servers_never_run_as_root(broker: BrokerUnderTest, postgres: PostgresUnderTest) -> None:
    for server in (broker, postgres):
        uid = Path(f"/proc/{server.process.pid}").stat().st_uid
        assert uid != 0
        assert os.geteuid() in (0, uid)


def test_a_broker_accepts_again_after_a_restart(
    private_broker: Callable[..., BrokerUnderTest],
) -> None:
    broker = private_broker()
    broker.restart()
    with socket.create_connection((broker.host, broker.port), timeout=5):
        pass


def test_two_programs_that_start_at_once_do_not_take_the_same_port() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        wanted = probe.getsockname()[1]
    code = (
        "from stack.servers.postgres import free_port\n"
        f"print(free_port({wanted}), flush=True); input()"
    )
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        taken = [int((program.stdout or sys.stdin).readline()) for program in (first, second)]
        for program in (first, second):
            program.communicate("\n")
    assert wanted in taken
    assert len(set(taken)) == 2
