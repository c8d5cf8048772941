"""`opsc status` and `opsc doctor` on a server: what runs as units is found, examined and told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner, Result

from db.maintenance import server_facts
from service.health import STANDS_BY, serving
from stack.cli.main import build
from stack.cli.status import readiness
from stack.errors import StackError
from stack.installed import database_checks, server_checks
from stack.installed.installation import find_installation
from stack.servers import runtime
from stack.servers.checks import Finding
from stack.servers.postgres import free_port
from stack.servers.postgres_sizes import GIB, MIB, machine_memory_bytes, sizes
from stack.servers.settings import known_variables
from tests.servers import ANY_PORT, DatabaseUnderTest, data_folder
from tests.stack.command import Installation
from tests.stack.server import MadeServer, found

NOBODY = 65534
ROOT = Path(__file__).parents[3]
KEY = "A" * 43 + "="
LINK = {"OPSC_LINK_KEY": "ab" * 32, "OPSC_INGEST_LINK": "tcp://127.0.0.1:9110"}
COMMON = {"OPSC_SECRET_KEY": KEY, "OPSC_PUBLIC_URL": "https://ops.example.com"}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the files alone."""
    for name in known_variables():
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeServer]:
    """A server without units yet; everybody may walk to its files."""
    with data_folder() as folder:
        monkeypatch.setattr(database_checks, "BACKUPS", folder / "backups")
        monkeypatch.setattr(server_checks, "NGINX_SITE", folder / "nginx")
        yield MadeServer(folder, monkeypatch)


def called(*arguments: str) -> Result:
    result = CliRunner().invoke(build(arguments[0]), list(arguments))
    assert "opsc up" not in result.output
    return result


def add_running(server: MadeServer, installation: Installation) -> None:
    """Add a unit for each role of a system that runs, with the settings that it has."""
    stack = installation.stack()
    for unit, part, login in (
        ("opsc-ingest", "ingest", "opsc_ingest"),
        ("opsc-deliver", "deliver", "opsc_deliver"),
        ("opsc-listen", "listener", "opsc_listen"),
        ("opsc-api@8001", "api", "opsc_app"),
    ):
        info = stack.parts[part]
        settings = {"OPSC_DATABASE_URL": stack.database[login]} | COMMON | LINK
        page = (info.metrics_url or "").removeprefix("http://").removesuffix("/metrics")
        variables = f"OPSC_{unit[5:].partition('@')[0].upper()}_HTTP={page}"
        if part == "api":
            variables += f" OPSC_API_PORT={info.address.rpartition(':')[2]}"
        assert info.pid is not None
        server.add(unit, settings, pid=info.pid, environment=variables)


@pytest.mark.acceptance
def test_status_shows_roles_database_and_health(
    server: MadeServer, installation: Installation
) -> None:
    add_running(server, installation)
    stack = installation.stack()
    said = called("status")
    assert said.exit_code == 0, said.stdout
    lines = said.stdout.splitlines()
    assert lines[0].startswith("systemd runs the roles of this machine")
    assert [line.split()[0] for line in lines[1:6]] == [
        "postgres", "opsc-api@8001", "opsc-deliver", "opsc-ingest", "opsc-listen",
    ]  # fmt: skip
    assert all(line.endswith(" ok") for line in lines[1:6])
    assert f"process {stack.parts['ingest'].pid}" in lines[4]
    assert "PostgreSQL 17." in lines[6]
    assert "fixes of the last minute" in lines[7]
    parts = json.loads(called("status", "--json").stdout)["parts"]
    assert parts["opsc-api@8001"]["address"] == stack.parts["api"].address

    server.add("opsc-ingest", {"OPSC_DATABASE_URL": stack.database["opsc_ingest"]}, state="failed")
    said = called("status")
    assert said.exit_code == 1
    assert "NOT WELL: failed" in said.stdout


@pytest.mark.acceptance
def test_the_doctor_finds_a_running_server_well(
    server: MadeServer, installation: Installation
) -> None:
    add_running(server, installation)
    cluster = installation.data_dir / "postgres" / "cluster"
    port = installation.stack().parts["postgres"].address.rpartition(":")[2]
    line = f"17 main {port} online postgres {cluster} /var/log/postgresql.log"
    server.add_program("pg_lsclusters", f"echo '{line}'")
    said = called("doctor", "--json")
    assert said.exit_code == 0, said.stdout
    findings = [Finding(**each) for each in json.loads(said.stdout)]
    subjects = {each.subject for each in findings}
    assert subjects == {
        "versions", "units", "settings", "encryption", "TLS", "database", "postgres", "checksums",
        "disk", "WAL", "sizes", "backup", "memory", "clock",
    }  # fmt: skip
    texts = {each.subject: each.text for each in findings}
    assert str(cluster / "pg_wal") in texts["WAL"]
    assert [each for each in findings if each.subject == "units" and each.level != "ok"] == []


@pytest.mark.parametrize(
    ("unit", "says"),
    [
        ({"state": "inactive"}, "is stopped; `systemctl start opsc-ingest` starts it"),
        (
            {"state": "failed", "result": "exit-code", "exit_code": 2},
            "failed (exit-code, exit code 2); see `journalctl -u opsc-ingest`",
        ),
        (
            {"state": "activating", "result": "exit-code", "exit_code": 1},
            "failed (exit-code, exit code 1); see `journalctl -u opsc-ingest`",
        ),
        ({"state": "deactivating"}, "is deactivating; see `journalctl -u opsc-ingest`"),
        ({"has_file": False}, "opsc-ingest.env: docs/install.md makes it"),
    ],
)
def test_a_unit_that_is_not_well_is_a_fault(
    server: MadeServer, unit: dict[str, Any], says: str
) -> None:
    for name in ("cache", "lock"):  # as in the folder /
        (server.folder / "var" / name).mkdir(parents=True)
    server.add("opsc-ingest", **unit)
    status = called("status")
    assert status.exit_code == 1
    assert says in status.stdout
    (finding,) = found("units")
    assert finding.level == "fault"
    assert says in finding.text


def test_a_role_whose_page_does_not_answer_is_not_well(server: MadeServer) -> None:
    server.add("opsc-deliver", {"OPSC_DELIVER_HTTP": f"127.0.0.1:{free_port(ANY_PORT)}"})
    said = called("status")
    assert said.exit_code == 1
    assert re.search(r"^opsc-deliver .*NOT WELL: .*refused", said.stdout, re.MULTILINE)


async def test_a_standby_is_well() -> None:
    address = "127.0.0.1", free_port(ANY_PORT)
    async with serving(address, lambda: STANDS_BY, bytes):
        url = f"http://127.0.0.1:{address[1]}/readyz"
        assert await asyncio.to_thread(readiness, url, None) == (True, STANDS_BY)


def test_several_processes_of_the_listener_have_a_page_each(server: MadeServer) -> None:
    settings = {"OPSC_LISTEN_PROCESSES": "3", "OPSC_LISTEN_HTTP": "127.0.0.1:9204"}
    server.add("opsc-listen", settings)
    installed = find_installation()
    assert installed is not None
    (unit,) = installed.roles
    assert unit.pages == [f"http://127.0.0.1:{port}" for port in (9204, 9205, 9206)]


def test_a_file_wins_over_the_unit_and_is_read_as_systemd_reads_it(server: MadeServer) -> None:
    server.add(
        "opsc-api@8001", {}, environment='OPSC_API_PORT=8001 "OPSC_MAIL_FROM=A B <a@b.example>"'
    )
    path = server.folder / "etc" / "opsc-api@8001.env"
    path.write_text("; a comment\n\nOPSC_API_PORT=8002\nOPSC_PUBLIC_URL='https://a.example/$x'\n")
    installed = find_installation()
    assert installed is not None
    assert installed.units[0].settings == {
        "OPSC_API_PORT": "8002",
        "OPSC_MAIL_FROM": "A B <a@b.example>",
        "OPSC_PUBLIC_URL": "https://a.example/$x",
    }


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Give up what root may do, where we are root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_an_ordinary_user_hears_what_only_root_may_read(server: MadeServer) -> None:
    address = f"127.0.0.1:{free_port(ANY_PORT)}"
    path = server.add("opsc-ingest", {"OPSC_INGEST_LINK": "wrong"}, state="failed")
    server.add("opsc-deliver", environment=f"OPSC_DELIVER_HTTP={address}").chmod(0)
    path.chmod(0)
    database_checks.BACKUPS.mkdir(0)
    with ordinary_user():
        status = called("status")
        findings = found("settings") + found("backup")
    assert "postgres" in status.stdout
    assert "not asked: its login is in /etc/ops-companion, for root" in status.stdout
    assert "NOT WELL: failed" in status.stdout
    assert {(each.subject, each.level) for each in findings} == {
        ("settings", "warning"),
        ("backup", "warning"),
    }
    assert [each.advice for each in findings].count("run `opsc doctor` as root") == 2


def test_a_setting_that_a_role_refuses_or_misses_is_named_with_its_unit(server: MadeServer) -> None:
    misspelt = "OPSC_INGEST_LINK" + "K"
    server.add("opsc-ingest", {"OPSC_INGEST_LEASE_S": "soon", misspelt: "x", **LINK})
    assert [(each.level, each.text.partition(",")[0]) for each in found("settings")] == [
        ("warning", f"nothing reads {misspelt} of opsc-ingest"),
        ("fault", "opsc-ingest: OPSC_DATABASE_URL: is missing; it must be a URL like"
                  " postgresql://user:password@host:port/database"),
        ("fault", "opsc-ingest: OPSC_INGEST_LEASE_S: must be a valid number"),
    ]  # fmt: skip


def test_wrong_settings_do_not_keep_the_rest_from_being_examined(server: MadeServer) -> None:
    secret = "postgresql//opsc:hidden@127.0.0.1"
    wrong = {"OPSC_LISTEN_PORT": "plain", "OPSC_LISTEN_PROCESSES": "many", "OPSC_LISTEN_HTTP": "x"}
    server.add("opsc-listen", {**wrong, "OPSC_DATABASE_URL": secret}, state="failed")
    server.add("opsc-ingest", {"OPSC_INGEST_LINK": "tls://x:y", "OPSC_INGEST_HTTP": ":"})
    server.add("opsc-api@8001", {"OPSC_API_PORT": "x", "OPSC_TLS_CERT": str(server.folder)})
    server.add("opsc-backup", {"OPSC_DATABASE_URL": secret})
    for command in ("status", "doctor"):
        said = called(command)
        assert (said.exit_code, said.exception.__class__) == (1, SystemExit), said.output
        assert "hidden" not in said.output
    assert {each.text.split(":")[1].strip() for each in found("settings")} >= wrong.keys()


def test_files_that_systemd_shows_to_the_unit_alone_count_as_there(
    server: MadeServer, database: DatabaseUnderTest
) -> None:
    settings = {"OPSC_LISTEN_TLS_PORT": "8883", "OPSC_DATABASE_URL": database.url("opsc_listen")}
    for folder, level in (("/run/credentials/opsc-listen.service", "ok"), ("/none", "fault")):
        files = f"OPSC_TLS_CERT={folder}/chain.pem OPSC_TLS_KEY={folder}/key.pem"
        server.add("opsc-listen", settings, environment=files)
        assert {each.level for each in found("settings")} == {level}


def test_our_own_environment_is_not_that_of_a_role(
    server: MadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSC_DATABASE_URL", "postgresql://a:b@127.0.0.1:5432/opsc")
    server.add("opsc-listen", LINK)
    assert "OPSC_DATABASE_URL: is missing" in str(found("settings"))


@pytest.mark.parametrize(
    ("unit", "settings", "says"),
    [
        ("opsc-deliver", {"OPSC_PUBLIC_URL": "http://ops.example.com"}, "OPSC_PUBLIC_URL is http"),
        ("opsc-api@8001", {"OPSC_API_HOST": "0.0.0.0"}, "opsc-api@8001 listens on 0.0.0.0"),
        ("opsc-listen", {"OPSC_LISTEN_HOST": "0.0.0.0"}, "may connect to 0.0.0.0:1883 without TLS"),
        (
            "opsc-ingest",
            {"OPSC_INGEST_LINK": "tcp://10.0.0.5:9110"},
            "send fixes to tcp://10.0.0.5",
        ),
        ("opsc-deliver", {"OPSC_PUBLIC_URL": "http://127.0.0.1:8000"}, None),
        ("opsc-api@8001", {"OPSC_API_HOST": "0.0.0.0", "OPSC_TLS_CERT": os.devnull}, None),
        ("opsc-listen", {"OPSC_LISTEN_HOST": "0.0.0.0", "OPSC_LISTEN_PORT": "0"}, None),
        ("opsc-listen", {"OPSC_LISTEN_HOST": "::1"}, None),
        ("opsc-ingest", {"OPSC_INGEST_LINK": "tls://10.0.0.5:9110"}, None),
    ],
)
def test_ways_in_clear_text_are_named(
    server: MadeServer, unit: str, settings: dict[str, str], says: str | None
) -> None:
    server.add(unit, settings)
    (finding,) = found("encryption")
    assert finding.level == ("ok" if says is None else "warning")
    assert (says or "") in finding.text


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


def test_sizes_follow_memory_and_disk() -> None:
    def of(memory_gib: float, disk_gib: float) -> dict[str, float]:
        found = sizes(int(memory_gib * GIB), int(disk_gib * GIB))
        return {size.name: size.size_bytes / MIB for size in found}

    assert of(4, 80) == {
        "shared_buffers": 1024, "effective_cache_size": 2048, "work_mem": 16,
        "maintenance_work_mem": 256, "max_wal_size": 4096, "min_wal_size": 256,
    }  # fmt: skip
    assert of(128, 2000)["shared_buffers"] == 8192
    assert of(0.25, 20) == {
        "shared_buffers": 128, "effective_cache_size": 256, "work_mem": 4,
        "maintenance_work_mem": 64, "max_wal_size": 2048, "min_wal_size": 128,
    }  # fmt: skip


def test_the_printed_settings_are_taken_by_postgresql(database: DatabaseUnderTest) -> None:
    said = called("doctor", "--postgres")
    assert said.exit_code == 0
    printed = dict(re.findall(r"^(\w+) = '(\d+MB)'$", said.stdout, re.MULTILINE))
    comments = re.findall(r"^# .+\n(\w+) = ", said.stdout, re.MULTILINE)
    assert comments == list(printed)
    shared = int(printed["shared_buffers"].removesuffix("MB"))
    assert shared <= machine_memory_bytes() / MIB / 4 + 128
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        facts = server_facts.read(conn)
        assert facts.sizes.keys() == printed.keys()
        for name, value in printed.items():  # checked as in a file, and not applied
            conn.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            conn.execute(f"ALTER SYSTEM RESET {name}")


def test_metrics_have_the_worst_of_each_subject(server: MadeServer) -> None:
    server.add("opsc-backup.timer")
    server.add("opsc-listen", LINK, state="failed")
    server.add("opsc-deliver", COMMON)
    path = server.folder / "opsc.prom"
    assert called("doctor", "--metrics", str(path)).exit_code == 1
    text = path.read_text()
    assert 'opsc_doctor_level{subject="backup"} 2.0\n' in text
    assert 'opsc_doctor_level{subject="units"} 2.0\n' in text
    assert 'opsc_doctor_level{subject="encryption"} 0.0\n' in text
    assert "opsc_doctor_time_seconds 1" in text
    assert path.stat().st_mode & 0o444 == 0o444 & ~current_umask()
    said = called("doctor", "--metrics", str(server.folder / "none" / "opsc.prom"))
    assert isinstance(said.exception, StackError)


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_folder_that_is_named_is_examined_though_there_is_a_server(
    server: MadeServer, command: str
) -> None:
    server.add("opsc-ingest", state="failed")
    said = CliRunner().invoke(build(command), [command, "--data", str(server.folder / "data")])
    assert "opsc-ingest" not in said.output + str(said.exception)


def test_other_commands_do_not_advise_to_start_a_second_system(
    server: MadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = server.folder / "etc"
    monkeypatch.setattr(runtime, "SETTINGS_FOLDER", folder)
    with pytest.raises(runtime.NotRunning, match=r"opsc up --data"):  # no settings are there
        runtime.read_stack(server.folder / "data")
    server.add("opsc-migrate")
    folder.chmod(0)
    for user in (nullcontext, ordinary_user):
        with user(), pytest.raises(runtime.NotRunning, match=r"take OPSC_DATABASE_URL") as refused:
            runtime.read_stack(server.folder / "data")
        assert "opsc up" not in str(refused.value)
