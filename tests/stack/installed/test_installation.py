"""`opsc status` and `opsc doctor` on a server: what runs as units is found, examined and told."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from db.maintenance import server_facts
from service.health import STANDS_BY, serving
from stack.cli.main import build
from stack.errors import StackError
from stack.installed import database_checks
from stack.installed.installation import find_installation
from stack.installed.readiness import readiness
from stack.servers import runtime
from stack.servers.checks import Finding
from stack.servers.postgres import free_port
from stack.servers.postgres_sizes import GIB, MIB, machine_memory_bytes, sizes
from tests.servers import ANY_PORT, DatabaseUnderTest
from tests.stack.command import Installation
from tests.stack.server import MadeServer, called, found

NOBODY = 65534
ROOT = Path(__file__).parents[3]
KEY = "A" * 43 + "="
LINK = {"OPSC_LINK_SECRET": "ab" * 32, "OPSC_INGEST_LINK": "tcp://127.0.0.1:9110"}
COMMON = {"OPSC_SECRET_KEY": KEY, "OPSC_PUBLIC_URL": "https://ops.example.com"}


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
        "keys", "disk", "WAL", "sizes", "backup", "memory", "clock",
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
    (finding,) = found("units")
    assert finding.level == "fault"
    assert "refused" in finding.text


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
    database_checks.BACKUPS.chmod(0o755)  # so that it can be removed
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


def test_a_former_name_of_a_unit_is_a_warning_and_its_value_counts(server: MadeServer) -> None:
    former = {"OPSC_LINK_KEY": "ab" * 32, "OPSC_QUARANTINE_DAYS": "many"}
    server.add("opsc-ingest", {"OPSC_INGEST_LINK": "tcp://127.0.0.1:9110", **former, **COMMON})
    advice = "rename it: the former name is read until 1.0"
    findings = found("settings")
    assert [(each.level, each.text) for each in findings if each.advice == advice] == [
        ("warning", "OPSC_LINK_KEY is called OPSC_LINK_SECRET now"),
        ("warning", "OPSC_QUARANTINE_DAYS is called OPSC_RETENTION_QUARANTINE_DAYS now"),
    ]
    faults = [
        each.text.partition(":")[2].split(":")[0] for each in findings if each.level == "fault"
    ]
    assert faults == [" OPSC_DATABASE_URL", " OPSC_RETENTION_QUARANTINE_DAYS"]
    server.add("opsc-ingest", {**LINK, "OPSC_LINK_KEY": "another"})
    assert "OPSC_LINK_SECRET and OPSC_LINK_KEY, its former name" in str(found("settings"))


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


@pytest.mark.parametrize(
    ("unit", "login", "names"),
    [
        ("opsc-listen", "opsc_listen", ("OPSC_TLS_CERT", "OPSC_TLS_KEY")),
        ("opsc-api@443", "opsc_app", ("OPSC_TLS_CERT", "OPSC_TLS_KEY")),
        ("opsc-ingest", "opsc_ingest", ("OPSC_LINK_TLS_CERT", "OPSC_LINK_TLS_KEY")),
    ],
)
def test_files_that_systemd_shows_to_the_unit_alone_count_as_there(
    server: MadeServer, database: DatabaseUnderTest, unit: str, login: str, names: tuple[str, str]
) -> None:
    settings = {"OPSC_DATABASE_URL": database.url(login), **COMMON, **LINK}
    settings |= {
        "opsc-listen": {"OPSC_LISTEN_TLS_PORT": "8883"},
        "opsc-api@443": {"OPSC_API_PORT": "443"},
        "opsc-ingest": {"OPSC_INGEST_LINK": "tls://127.0.0.1:9110"},
    }[unit]
    for folder, level in ((f"/run/credentials/{unit}.service", "ok"), ("/none", "fault")):
        files = " ".join(f"{name}={folder}/{name[5:]}.pem" for name in names)
        server.add(unit, settings, environment=files)
        assert {each.level for each in found("settings")} == {level}


def test_a_unit_that_nobody_starts_here_may_be_without_its_file(server: MadeServer) -> None:
    server.add("opsc-migrate", state="inactive", has_file=False)
    assert "opsc-migrate has no " not in str(found("units"))
    server.add("opsc-migrate", state="failed", result="resources", has_file=False)
    assert "opsc-migrate has no " in str(found("units"))


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
        (
            "opsc-api@8001",
            {"OPSC_API_HOST": "0.0.0.0", "OPSC_ALLOW_PLAIN_HTTP": "1"},
            "listens on 0.0.0.0 without TLS, as OPSC_ALLOW_PLAIN_HTTP allows",
        ),
        ("opsc-listen", {"OPSC_LISTEN_HOST": "0.0.0.0"}, "may connect to 0.0.0.0:1883 without TLS"),
        (
            "opsc-listen",
            {"OPSC_LISTEN_INGEST_HTTP": "10.0.0.5:5055"},
            "may send to 10.0.0.5:5055 without TLS",
        ),
        ("opsc-listen", {"OPSC_LISTEN_INGEST_HTTP": "off"}, None),
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
    folder.chmod(0o755)  # so that it can be removed
