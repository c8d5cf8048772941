"""`opsc doctor` on a server: certificates, backups, and the database."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from db.maintenance import server_facts
from service.health import STANDS_BY, serving
from stack.installed import database_checks, server_checks
from stack.servers.postgres import free_port
from stack.servers.postgres_sizes import MIB
from tests.servers import ANY_PORT, DatabaseUnderTest
from tests.stack.server import MadeServer, called, found

ROOT = Path(__file__).parents[3]


@contextmanager
def showing(folder: Path, days: float) -> Iterator[int]:
    """Show a certificate that ends after these days, at a port of loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(now - timedelta(days=90))
    made = builder.not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "both.pem").write_bytes(made.public_bytes(pem) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(serve())
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    ("days", "level", "says"),
    [
        (60.5, "ok", "in 60 days"),
        (20.5, "warning", "in 20 days"),
        (6.5, "fault", "in 6 days"),
        (-1, "fault", "nobody trusts it any more"),
    ],
)
def test_a_certificate_that_ends_is_told_in_time(
    server: MadeServer, days: float, level: str, says: str
) -> None:
    with showing(server.folder, days) as port:
        site = (ROOT / "deploy" / "nginx" / "ops-companion.conf").read_text()
        server_checks.NGINX_SITE.write_text(site.replace("listen 443 ", f"listen {port} "))
        server.add("opsc-listen")
        (finding,) = found("certificate")
    assert finding.level == level
    assert f"that of nginx at 127.0.0.1:{port} e" in finding.text
    assert says in finding.text


def test_every_role_that_shows_a_certificate_is_asked_for_it(server: MadeServer) -> None:
    with showing(server.folder, 1) as port:
        tls = {"OPSC_TLS_CERT": os.devnull, "OPSC_TLS_KEY": os.devnull}
        everywhere = {"OPSC_LISTEN_HOST": "0.0.0.0", "OPSC_LISTEN_TLS12_PORT": str(port), **tls}
        server.add("opsc-api@443", {"OPSC_API_PORT": str(port), **tls})
        server.add("opsc-listen", {"OPSC_LISTEN_TLS_PORT": str(port), **everywhere})
        server.add("opsc-ingest", {"OPSC_INGEST_LINK": f"tls://127.0.0.1:{port}"})
        texts = [each.text.partition(" ended ")[0] for each in found("certificate")]
    assert [text.partition(" ends ")[0] for text in texts] == [
        f"that of {unit} at 127.0.0.1:{port}"
        for unit in ("opsc-api@443", "opsc-ingest", "opsc-listen", "opsc-listen")
    ]


def test_who_should_show_a_certificate_and_does_not_is_a_fault(server: MadeServer) -> None:
    port = free_port(ANY_PORT)
    server.add("opsc-listen", {"OPSC_LISTEN_TLS_PORT": str(port)})
    (finding,) = found("certificate")
    assert finding.level == "fault"
    assert finding.text == f"opsc-listen shows none at 127.0.0.1:{port}: Connection refused"


def add_backup(age: timedelta, name: str, missing_bytes: int = 0) -> None:
    folder = database_checks.BACKUPS / name
    folder.mkdir(parents=True)
    (folder / "database.dump").write_bytes(bytes(1000 - missing_bytes))
    about = {"made_at": (datetime.now(UTC) - age).isoformat(), "dump_bytes": 1000, "format": 1}
    (folder / "manifest.json").write_text(json.dumps(about))


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("backups", "level", "says"),
    [
        ([(10 * HOUR, "a", 0), (34 * HOUR, "b", 0)], "ok", "/a, is 10.0 hours old"),
        ([(37 * HOUR, "a", 0)], "fault", "/a, is 37.0 hours old"),
        ([(10 * HOUR, "a", 1), (37 * HOUR, "b", 0)], "fault", "/b, is 37.0 hours old"),
        ([(10 * HOUR, "a.partial", 0)], "fault", "has no complete backup"),
        ([], "fault", "has no complete backup"),
    ],
)
def test_an_old_backup_or_none_is_a_fault_where_one_is_made_every_night(
    server: MadeServer, backups: list[tuple[timedelta, str, int]], level: str, says: str
) -> None:
    for backup in backups:
        add_backup(*backup)
    server.add("opsc-backup.timer")
    (finding,) = found("backup")
    assert finding.level == level
    assert says in finding.text


def test_a_backup_that_failed_is_a_fault_though_the_one_before_is_good(server: MadeServer) -> None:
    add_backup(10 * HOUR, "a")
    server.add("opsc-backup.timer")
    server.add("opsc-backup", state="failed", result="exit-code", exit_code=1)
    (finding,) = found("backup")
    assert finding.level == "fault"
    assert "opsc-backup failed (exit-code, exit code 1)" in finding.text
    assert re.search(r"^opsc-backup .*NOT WELL: failed", called("status").stdout, re.MULTILINE)


def test_a_server_without_nightly_backups_is_warned(server: MadeServer) -> None:
    server.add("opsc-listen")
    (finding,) = found("backup")
    assert finding.level == "warning"
    assert "systemctl enable --now opsc-backup.timer" in finding.advice


def test_the_failure_of_the_doctor_itself_is_no_fault(server: MadeServer) -> None:
    server.add("opsc-doctor", state="failed", result="exit-code", exit_code=1)
    assert "opsc-doctor" not in str(found("units"))


def test_a_login_that_does_not_work_is_a_fault(
    server: MadeServer, database: DatabaseUnderTest
) -> None:
    url = database.url("opsc_ingest")
    server.add("opsc-ingest", {"OPSC_DATABASE_URL": url})
    (finding,) = found("database")
    assert finding.level == "ok"
    assert found("postgres")[0].text.startswith("PostgreSQL 17.")
    server.add("opsc-ingest", {"OPSC_DATABASE_URL": url.replace("opsc_ingest:", "opsc_ingest:x")})
    (finding,) = found("database")
    assert finding.level == "fault"
    assert "opsc-ingest cannot connect: " in finding.text
    assert url.split("@")[0].rpartition(":")[2] not in finding.text


def test_wal_that_is_kept_and_sizes_that_do_not_suit_the_machine_are_warnings(
    server: MadeServer, database: DatabaseUnderTest
) -> None:
    wal = server.folder / "data" / "pg_wal"
    wal.mkdir(parents=True)
    port = database.url("admin").rpartition(":")[2].partition("/")[0]
    server.add_program("pg_lsclusters", f"echo '17 main {port} online postgres {wal.parent} /l'")
    server.add("opsc-ingest", {"OPSC_DATABASE_URL": database.url("opsc_ingest")})
    assert found("WAL")[0].level == "ok"
    with (wal / "0001").open("wb") as file:
        file.truncate(513 * MIB)  # of nothing: tests have max_wal_size at 256 MB
    (finding,) = found("WAL")
    assert finding.level == "warning"
    assert "0.5 GiB" in finding.text
    (finding,) = found("sizes")
    assert finding.level == "warning"
    assert "max_wal_size is 256 MiB, not about " in finding.text
    assert finding.advice.startswith("`opsc doctor --postgres`")


def test_an_old_backup_is_a_fault_though_none_is_made_every_night(server: MadeServer) -> None:
    add_backup(37 * HOUR, "a")
    server.add("opsc-listen")
    assert [each.level for each in found("backup")] == ["warning", "fault"]


def test_a_standby_shows_no_certificate_and_is_well(server: MadeServer) -> None:
    port, page = free_port(ANY_PORT), free_port(ANY_PORT)
    settings = {"OPSC_INGEST_LINK": f"tls://127.0.0.1:{port}"}
    server.add("opsc-ingest", {**settings, "OPSC_INGEST_HTTP": f"127.0.0.1:{page}"})
    with page_of(page, lambda: STANDS_BY):
        assert found("certificate") == []
    with page_of(page, lambda: None):
        assert [each.level for each in found("certificate")] == ["fault"]


@contextmanager
def page_of(port: int, trouble: Callable[[], str | None]) -> Iterator[None]:
    """Serve a role's pages."""

    async def serve(started: Event, end: asyncio.Event) -> None:
        async with serving(("127.0.0.1", port), trouble, bytes):
            started.set()
            await end.wait()

    loop, started, end = asyncio.new_event_loop(), Event(), asyncio.Event()
    thread = Thread(target=loop.run_until_complete, args=[serve(started, end)])
    thread.start()
    started.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    ("answer", "level", "says"),
    [
        ("exit 1", "warning", "does not answer: base backups are unknown"),
        ("echo WARN: a line that is no JSON", "warning", "does not answer"),
        ("echo '[{\"backup\": []}]'", "fault", "pgBackRest has no base backup"),
        (None, None, ""),
    ],
)
def test_what_pgbackrest_does_not_say_is_told(
    server: MadeServer,
    database: DatabaseUnderTest,
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    level: str | None,
    says: str,
) -> None:
    facts = server_facts.ask(database.url("opsc_ingest"))
    archiving = facts._replace(is_archiving=True, not_archived_since=None)
    if answer is None:
        monkeypatch.setattr(database_checks, "PGBACKREST", ("no-such-program",))
    else:
        server.add_program("pgbackrest", answer)
    findings = [f for f in database_checks._archive(archiving) if f.level != "ok"]
    assert [finding.level for finding in findings] == ([] if level is None else [level])
    assert says in str(findings)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_database_of_this_machine_whose_folder_is_unknown_is_not_another_machines(
    server: MadeServer, host: str
) -> None:
    server.add("opsc-ingest", {"OPSC_DATABASE_URL": f"postgresql://a:b@{host}:5433/opsc"})
    server.add_program("pg_lsclusters", f"echo '17 main 5433 online postgres {server.folder} /l'")
    assert f"free for {server.folder}" in found("disk")[0].text
    server.add_program("pg_lsclusters", "exit 1")
    (finding,) = found("disk")
    assert finding.level == "warning"
    assert "at port 5433" in finding.text
