"""Point-in-time recovery by pgBackRest, with the files of deploy/pgbackrest: an accident is undone
by a restore to the moment before it.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from db.maintenance import contents as database_contents
from db.maintenance import migrate, server_facts
from db.maintenance.contents import Content
from db.maintenance.server_facts import ARCHIVED_WITHIN
from stack.host.os_user import hand_over_files, service_identity
from stack.host.process import Process
from stack.host.programs import Programs, ProvisionError, library_path, provided, servers_dir
from stack.servers.backup_folder import contents, differences
from stack.servers.postgres import Postgres, free_port, make_home, started
from tests.data import LACKING
from tests.servers import ANY_PORT, data_folder
from tests.stack.server import MadeServer, found

DEPLOY = Path(__file__).parents[2] / "deploy" / "pgbackrest"
PROGRAM = "usr/bin/pgbackrest"
ARCHIVED_WITHIN_S = 30
RECOVERED_WITHIN_S = 60
ORGANIZATION = "11111111-1111-7111-8111-111111111111"


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as made:
        yield made


@pytest.fixture(scope="module")
def root() -> Path:
    """The root of pgBackRest: the system's, else that of a private copy."""

    def find(roots: Sequence[Path]) -> Path | None:
        return next((root for root in roots if (root / PROGRAM).exists()), None)

    try:
        return provided(servers_dir() / "pgbackrest", ("pgbackrest",), find)
    except ProvisionError as error:
        reason = " ".join(str(error).split())[:200]
        pytest.skip(f"{LACKING}pgbackrest, for point-in-time recovery ({reason})")


class Archive:
    """pgBackRest with its repository below a folder, set as deploy/pgbackrest says."""

    def __init__(self, root: Path, folder: Path, port: int) -> None:
        self.folder, self._port = folder / "repository", port
        self._identity = service_identity()
        self.folder.mkdir()
        self._configuration = self.folder / "pgbackrest.conf"
        self.command = self.folder / "pgbackrest"
        variables = " ".join(f"{name}='{value}'" for name, value in library_path(root).items())
        self.command.write_text(
            f"#!/bin/sh\nexport PGUSER=postgres {variables}\n"
            f'exec {root / PROGRAM} --config={self._configuration} "$@"\n'
        )
        self.command.chmod(0o755)

    def serve(self, cluster: Path) -> None:
        """Name the cluster whose WAL comes, and the places of this test."""
        text = (DEPLOY / "pgbackrest.conf").read_text()
        for name, value in {
            "repo1-path": self.folder / "repo1",
            "pg1-path": f"{cluster}\npg1-port={self._port}\npg1-socket-path={self.folder}",
        }.items():
            text, count = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
            assert count == 1, name
        places = f"lock-path={self.folder}/lock\nlog-path={self.folder}/log\n"
        self._configuration.write_text(text.replace("[global]\n", f"[global]\n{places}"))
        hand_over_files(self.folder, self._identity)

    def postgres_settings(self) -> dict[str, str]:
        """Return what PostgreSQL needs to archive, by deploy/pgbackrest/archive.conf."""
        text = (DEPLOY / "archive.conf").read_text()
        settings = dict(re.findall(r"^(\w+) = '(.*)'$", text, re.MULTILINE))
        assert settings["archive_command"].startswith("pgbackrest --stanza=opsc ")
        settings["archive_command"] = f"{self.folder}/{settings['archive_command']}"
        return settings | {"unix_socket_directories": str(self.folder)}

    def run(self, *arguments: str) -> str:
        drop: dict[str, object] = {}
        if self._identity is not None:
            drop = {"user": self._identity.uid, "group": self._identity.gid, "extra_groups": []}
        done = subprocess.run(
            [self.command, "--stanza=opsc", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **drop,  # pyright: ignore[reportArgumentType, reportCallIssue]
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout


def start(programs: Programs, home: Path, port: int, archive: Archive) -> tuple[Postgres, Process]:
    """Start the cluster of a home; pgBackRest connects by its socket, as user postgres."""
    settings = {**archive.postgres_settings(), "shared_buffers": "128MB"}
    server = Postgres(programs, home, port, home.with_suffix(".log"), settings)
    server.prepare()
    with (home / "cluster" / "pg_hba.conf").open("a") as access:
        access.write("local all postgres trust\n")
    archive.serve(home / "cluster")
    return server, started(server.command(), server.is_ready)


def all_rows(url: str) -> dict[str, Content]:
    with database_contents.open_for_reading(url) as conn:
        return contents(conn, lambda _: None)


def store_fixes(conn: psycopg.Connection, days: Sequence[int]) -> None:
    """Store 1,000 fixes of a tracker on each day of November: a chunk of TimescaleDB a day."""
    for day in days:
        conn.execute(
            """
            INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)
            SELECT %(id)s, %(id)s,
                   timestamptz '2026-10-31' + make_interval(days => %(day)s, mins => number),
                   0, now(), 47, 8
              FROM generate_series(1, 1000) AS number
            """,
            {"id": ORGANIZATION, "day": day},
        )


def test_an_accident_is_undone_by_a_restore_to_the_moment_before(
    programs: Programs, root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port(ANY_PORT)
    archive = Archive(root, folder, port)
    server, process = start(programs, folder / "before", port, archive)
    machine = MadeServer(folder / "machine", monkeypatch)
    machine.add("opsc-ingest", {"OPSC_DATABASE_URL": server.url()})
    machine.add_program("pgbackrest", f'exec {archive.command} "$@"')
    try:
        archive.run("stanza-create")
        archive.run("check")
        assert [each.text for each in found("archive")] == ["pgBackRest has no base backup"]
        migrate.migrate(server.url())
        with psycopg.connect(server.url(), autocommit=True) as conn:
            store_fixes(conn, days=[1, 2])
            archive.run("--type=full", "backup")
            conn.execute("SELECT pg_sleep(1.1)")  # a moment is in a later second than its backup
            assert {each.level for each in found("archive")} == {"ok"}
            store_fixes(conn, days=[3])  # a chunk that no base backup has
            expected = all_rows(server.url())
            moment = now(conn)
            conn.execute("DELETE FROM gps_events WHERE time < '2026-11-03'")
            conn.execute("DROP TABLE visits CASCADE")
            store_fixes(conn, days=[4])
            later, expected_later = now(conn), all_rows(server.url())
            store_fixes(conn, days=[6])
            until_archived(conn)
    finally:
        process.stop()

    def restore(name: str, to: str, *more: str) -> tuple[Postgres, Process]:
        archive.serve(folder / name / "cluster")
        empty_home_like(folder / "before", folder / name)
        archive.run("--type=time", f"--target={to}", "--target-action=promote", *more, "restore")
        return start(programs, folder / name, port, archive)

    server, process = restore("after", moment)
    try:
        with psycopg.connect(server.url(), autocommit=True) as conn:
            until_recovered(conn)
            assert differences(expected, all_rows(server.url())) == []
            store_fixes(conn, days=[5])
            until_archived(conn)
        archive.run("--type=diff", "backup")  # the archive goes on, on a timeline of its own
    finally:
        process.stop()

    # A later moment after all, which lies on the timeline before that restore.
    server, process = restore("again", later, "--target-timeline=1")
    try:
        with psycopg.connect(server.url(), autocommit=True) as conn:
            until_recovered(conn)
            assert differences(expected_later, all_rows(server.url())) == []
            until_archived(conn)
        with psycopg.connect(server.url(), autocommit=True) as conn:
            assert server_facts.read(conn, timedelta()).not_archived_since is None
            archive.command.write_text("#!/bin/sh\nsleep 5\nexit 1\n")
            until_not_archived(conn, within=timedelta())
            assert server_facts.read(conn).not_archived_since is None  # it has ten minutes
            until_not_archived(conn, within=ARCHIVED_WITHIN)  # it has failed
        finding, asked = found("archive")
        assert (finding.level, asked.level) == ("fault", "warning")
        assert finding.text.startswith("WAL has not been archived since ")
        archive.command.write_text("#!/bin/sh\nexit 0\n")  # so that PostgreSQL ends at once
    finally:
        process.stop()


def now(conn: psycopg.Connection) -> str:
    """Return the time of the server, later than all that is committed."""
    row = conn.execute("SELECT clock_timestamp()::text, pg_sleep(0.05)").fetchone()
    assert row is not None
    return row[0]


def until_archived(conn: psycopg.Connection) -> None:
    """Wait until all WAL that is there now has been archived."""
    row = conn.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
    assert row is not None
    deadline = time.monotonic() + ARCHIVED_WITHIN_S
    while True:
        found = conn.execute("SELECT last_archived_wal, failed_count FROM pg_stat_archiver")
        last, failed = found.fetchone() or (None, 0)
        assert failed == 0
        if last is not None and last >= row[0]:
            return
        assert time.monotonic() < deadline, f"{row[0]} is not archived, but {last}"
        time.sleep(0.05)


def until_not_archived(conn: psycopg.Connection, within: timedelta) -> None:
    """Write WAL until it is noticed that none is archived."""
    deadline = time.monotonic() + ARCHIVED_WITHIN_S
    while server_facts.read(conn, within).not_archived_since is None:
        assert time.monotonic() < deadline, "nobody noticed"
        conn.execute("CREATE TABLE more ()")
        conn.execute("DROP TABLE more")
        conn.execute("SELECT pg_switch_wal()")
        time.sleep(0.2)


def until_recovered(conn: psycopg.Connection) -> None:
    deadline = time.monotonic() + RECOVERED_WITHIN_S
    while conn.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
        assert time.monotonic() < deadline, "still in recovery"
        time.sleep(0.05)


def empty_home_like(before: Path, home: Path) -> None:
    """Make a home for a restored cluster, with the superuser's password, which is in the data."""
    make_home(home / "cluster", service_identity())
    make_home(home, service_identity())
    shutil.copy(before / "superuser.password", home)
    hand_over_files(home, service_identity())
