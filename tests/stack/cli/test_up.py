"""The whole system as a user runs it: one command, real parts, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest

from db.core.connect import DATABASE_URL_FORM
from db.core.secrets import new_secret_key
from stack.servers.runtime import AlreadyRunning, NotRunning, load_secrets, read_stack, sole_owner
from tests.db.catalog import catalogue
from tests.db.version_0_8_0 import migrate_as_then
from tests.ingest.tenants import Tenant, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest, Servers
from tests.stack.command import (
    OPSC,
    WAIT_S,
    Installation,
    Up,
    opsc,
    plain_environment,
    running,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.usefixtures("programs")]


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[..., Up]]:
    """Start `opsc up` on a folder of the test's own, and wait until it is ready."""
    started: list[Up] = []

    def start(*options: str, **variables: str) -> Up:
        up = Up(data_dir, plain_environment() | variables, *options)
        started.append(up)
        up.until_said("ready")
        return up

    yield start
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGTERM)


def descendants(pid: int) -> set[int]:
    """Return every process below `pid`."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(") ")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        below.setdefault(parent, []).append(int(stat.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        children = below.get(waiting.pop(), [])
        found.update(children)
        waiting.extend(children)
    return found


def none_left(pids: set[int]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while running(pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def sign_in(api_url: str, admin: dict[str, Any]) -> int:
    request = urllib.request.Request(
        f"{api_url}/v1/auth/token",
        json.dumps({k: admin[k] for k in ("email", "password", "organization_id")}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def is_root(pid: int | None) -> bool:
    """Return whether a process is root, or may do more of what root may than read files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    sets = ["CapInh", "CapPrm"]
    if os.geteuid() == 0:  # the bounding set of an ordinary user's processes is full
        sets.append("CapBnd")
    allowed = 1 << 2  # CAP_DAC_READ_SEARCH
    return status["Uid"].split()[1] == "0" or any(int(status[one], 16) & ~allowed for one in sets)


@pytest.mark.fresh_start
def test_up_runs_everything_once_and_leaves_nothing(
    start: Callable[..., Up], data_dir: Path
) -> None:
    up = start()
    stack = read_stack(data_dir)
    assert list(stack.parts) == ["postgres", "listener", "ingest", "deliver", "api"]
    starting, _, _ = up.output.partition("\npostgres ")
    assert [line.split()[0] for line in starting.splitlines()] == [
        "starting",
        "migrating",
        "starting",
    ]
    assert f"{data_dir}/mail" in up.output
    for address in (stack.api_url, stack.broker_url):
        assert address in up.output
    assert (data_dir / "stack.json").stat().st_mode & 0o077 == 0

    said = opsc("status", "--data", data_dir, "--json")
    assert said.returncode == 0, said.stdout
    status = json.loads(said.stdout)
    assert {name: part["pid"] for name, part in status["parts"].items()} == {
        name: part.pid for name, part in stack.parts.items()
    }
    assert status["versions"]["PostgreSQL"].startswith("17.")
    assert status["fixes_last_minute"] == 0

    socket = data_dir / "link" / "ingest.sock"
    assert [path.stat().st_mode & 0o777 for path in (socket, socket.parent)] == [0o600, 0o700]
    for role in ("listener", "ingest", "deliver", "api"):
        assert not is_root(stack.parts[role].pid), role

    second = opsc("up", "--data", data_dir)
    assert second.returncode == 1
    assert f"already running on {data_dir} (process {up.process.pid}" in second.stderr

    processes = descendants(up.process.pid)
    assert {part.pid for part in stack.parts.values()} <= processes
    assert up.end(signal.SIGTERM) == 0
    assert not running(processes)
    with pytest.raises(NotRunning):
        read_stack(data_dir)


def test_a_database_that_cannot_be_made_is_explained_in_initdbs_own_words(data_dir: Path) -> None:
    """No file may grow beyond a megabyte, which ends initdb as a full disk does."""
    done = subprocess.run(
        ["prlimit", "--fsize=1000000", OPSC, "up", "--data", data_dir],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env=plain_environment(),
        check=False,
    )
    assert done.returncode == 1
    starting, *said = done.stderr.splitlines()
    assert starting == f"starting PostgreSQL; its data is in {data_dir}/postgres"
    assert said[0].startswith(f"opsc: no database could be made in {data_dir}/postgres: initdb")
    assert "running bootstrap script ..." in done.stderr
    assert len(said) <= 8


def test_status_fails_where_a_part_is_not_well(installation: Installation) -> None:
    pid = installation.stack().parts["ingest"].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        said = opsc("status", "--data", installation.data_dir)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert said.returncode == 1
    (line,) = [line for line in said.stdout.splitlines() if "NOT WELL" in line]
    assert line.startswith("ingest")


async def _make_vehicle(database: DatabaseUnderTest) -> None:
    tenant = await Tenant.create(database)
    await tenant.vehicle()
    await tenant.zone(square(13.4, 52.5))


def test_a_data_folder_of_0_8_0_is_brought_up_to_date(
    start: Callable[..., Up],
    data_dir: Path,
    empty_database: DatabaseUnderTest,
    database: DatabaseUnderTest,
    tmp_path: Path,
) -> None:
    migrate_as_then(empty_database.url("admin"))
    asyncio.run(_make_vehicle(empty_database))
    folder, key = tmp_path / "backup", ("--secret-key", tmp_path / "key")
    elsewhere = {
        "OPSC_DATABASE_URL": empty_database.url("admin"),
        "OPSC_SECRET_KEY": new_secret_key(),
    }
    assert opsc("backup", folder, *key, "--data", data_dir, **elsewhere).returncode == 0
    assert opsc("restore", folder, *key, "--data", data_dir).returncode == 0
    start()
    with (
        psycopg.connect(read_stack(data_dir).database["admin"]) as upgraded,
        psycopg.connect(database.url("admin")) as new,
    ):
        assert catalogue(upgraded) == catalogue(new)


def test_an_organization_outlives_a_restart(installation: Installation) -> None:
    up, data_dir = installation.up(), installation.data_dir
    assert opsc("migrate", "--check", "--data", data_dir).returncode == 0
    made = opsc(
        "org", "create", "--name", "Ada Ltd", "--email", "Ada@ada.example",
        "--json", "--data", data_dir,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    admin = json.loads(made.stdout)
    assert admin["organization_id"].startswith("org_")
    assert admin["email"] == "ada@ada.example"
    assert sign_in(installation.stack().api_url, admin) == 200
    assert up.end(signal.SIGINT) == 0
    assert sign_in(installation.stack().api_url, admin) == 200
    assert sign_in(installation.stack().api_url, {**admin, "password": "wrong"}) == 401


def test_whatever_part_is_killed_is_started_again(installation: Installation) -> None:
    up = installation.up()
    for part, info in installation.stack().parts.items():
        assert info.pid is not None
        os.kill(info.pid, signal.SIGKILL)
        up.until_said(f"{part} ended (by SIGKILL)")
        up.until_said(f"{part} is running again")
        assert installation.stack().parts[part].pid != info.pid


def test_nothing_is_left_when_up_itself_is_killed(installation: Installation) -> None:
    up = installation.up()
    processes = descendants(up.process.pid)
    up.end(signal.SIGKILL)
    assert none_left(processes)
    with pytest.raises(NotRunning, match="nothing runs on"):
        read_stack(installation.data_dir)
    installation.up()


def test_a_start_right_after_a_kill_waits_for_the_former_servers(
    installation: Installation,
) -> None:
    up = installation.up()
    postgres = installation.stack().parts["postgres"].pid
    assert postgres is not None
    children = descendants(postgres)
    for child in children:  # so that it takes its time to end
        os.kill(child, signal.SIGSTOP)
    up.end(signal.SIGKILL)
    again = installation.up(until="waiting until servers of an earlier run have ended: ")
    for child in running(children):
        os.kill(child, signal.SIGCONT)
    again.until_said("ready")
    assert len(installation.stack().parts) == 5


def test_the_end_of_the_start_says_what_to_do_next(installation: Installation) -> None:
    up = installation.up()
    words = shlex.split(up.output.partition("\n  export ")[2].partition("\n")[0])
    variables = dict(word.split("=", 1) for word in words)
    assert f"docs       {variables['API']}/docs\n" in up.output
    assert f"logs       {up.data_dir}/log\n" in up.output
    for line in up.output.splitlines():
        if " org create " in line:
            made = subprocess.run(shlex.split(line), check=True, capture_output=True, text=True)
            assert "password: " in made.stdout
            break
    else:
        pytest.fail(up.output)


def test_servers_that_run_elsewhere_are_used(
    start: Callable[..., Up],
    data_dir: Path,
    private_servers: Servers,
    broker: BrokerUnderTest,
) -> None:
    database = private_servers.start_postgres().empty_database()  # one without our roles
    up = start(OPSC_DATABASE_URL=database.url("admin"), OPSC_BROKER_URL=broker.url)
    stack = read_stack(data_dir)
    assert stack.broker_url == f"mqtt://{stack.parts['listener'].address}" != broker.url
    assert f"ingest reads the broker {broker.url}, too, beside the listener" in up.output
    status = opsc("status", "--data", data_dir)
    assert status.returncode == 0, status.stdout
    assert [name for name, part in stack.parts.items() if part.pid is None] == [
        "postgres",
        "broker",
    ]
    assert database.name in stack.database["opsc_app"]
    assert up.end(signal.SIGTERM) == 0
    assert sorted(p.name for p in data_dir.iterdir()) == [
        "link", "lock", "log", "mail", "secrets.json",
    ]  # fmt: skip


def test_with_tls_the_api_and_the_port_of_trackers_speak_1_3_and_nothing_older(
    start: Callable[..., Up], data_dir: Path
) -> None:
    up = start("--tls")
    stack = read_stack(data_dir)
    assert stack.certificate is not None
    assert stack.broker_tls_url is not None
    assert f"{stack.certificate}\n" in up.output
    for url in (stack.api_url, stack.broker_tls_url):
        assert url.startswith(("https://127.0.0.1:", "mqtts://127.0.0.1:"))
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2) * 5:
            context = ssl.create_default_context(cafile=stack.certificate)
            context.minimum_version = context.maximum_version = version
            address = (urlsplit(url).hostname, urlsplit(url).port)
            with socket.create_connection(address, timeout=10) as plain:
                if version is ssl.TLSVersion.TLSv1_3:
                    context.wrap_socket(plain, server_hostname="127.0.0.1").close()
                    continue
                with pytest.raises(ssl.SSLError):
                    context.wrap_socket(plain, server_hostname="127.0.0.1")
    sim = opsc("sim", "--data", data_dir, "--trackers", "2", "--seconds", "1", "--json")
    assert sim.returncode == 0, sim.stderr
    assert json.loads(sim.stdout)["stored"] > 0


def test_a_data_folder_of_an_older_version_whose_path_is_long_is_taken_along(
    readable_folder: Path,
) -> None:
    data_dir = readable_folder / ("long" * 25)
    (data_dir / "broker").mkdir(parents=True)
    made = load_secrets(data_dir.parent)
    older = json.loads(msgspec.json.encode(made)) | {"broker_secrets": {"opsc-ingest": "secret"}}
    del older["role_passwords"]["opsc_listen"]
    (data_dir / "secrets.json").write_text(json.dumps(older))
    up = Up(data_dir, plain_environment())
    try:
        up.until_said("ready")
        assert "belongs to the broker of an older version; it can be deleted" in up.output
        assert (data_dir / "broker").exists()
        status = opsc("status", "--data", data_dir)
        assert status.returncode == 0, status.stdout
        assert not (data_dir / "link").exists()
    finally:
        up.end(signal.SIGTERM)
    assert load_secrets(data_dir).secret_key == made.secret_key


def test_a_data_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    with sole_owner(tmp_path), pytest.raises(AlreadyRunning), sole_owner(tmp_path):
        pass
    with sole_owner(tmp_path):
        pass


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["org", "create", "--name", "Ada"],
        ["org", "create", "--name", "Ada", "--email", "nobody", "--plan", "unlimited"],
        ["org", "create", "--name", "Ada", "--email", "a@b.example", "--plan", "gold"],
        ["up", "--no-such-option"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert opsc(*arguments).returncode == 2


@pytest.mark.parametrize(
    "command", [["migrate"], ["status"], ["org", "create", "--name", "A", "--email", "a@b"]]
)
def test_commands_that_need_a_running_system_say_so(tmp_path: Path, command: list[str]) -> None:
    done = opsc(*command, "--data", tmp_path)
    assert done.returncode == 1
    assert f"opsc up --data {tmp_path}" in done.stderr


@pytest.mark.fresh_start
def test_migrate_check_fails_until_the_schema_is_there(empty_database: DatabaseUnderTest) -> None:
    environment = {**os.environ, "OPSC_DATABASE_URL": empty_database.url("admin")}

    def migrate(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [OPSC, "migrate", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        return done.returncode, done.stdout

    code, pending = migrate("--check")
    assert (code, pending.splitlines()[0]) == (1, "pending: base (offline)")
    code, applied = migrate()
    assert (code, applied) == (0, pending.replace("pending", "applied"))
    assert migrate("--check") == (0, "the schema is up to date\n")
    assert migrate("--check", "--json") == (0, '{"pending": [], "kinds": []}\n')


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("up", 2),
        ("migrate", 1),
        ("org create --name A --email a@b", 1),
        ("quarantine list", 1),
    ],
)
def test_a_database_url_that_cannot_be_read_is_not_shown(
    tmp_path: Path, command: str, code: int
) -> None:
    environment = {**os.environ, "OPSC_DATABASE_URL": "postgresql://me:%Sw0rdfish@127.0.0.1/x"}
    done = subprocess.run(
        [OPSC, *command.split(), "--data", tmp_path / "data"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"opsc: OPSC_DATABASE_URL: must be {DATABASE_URL_FORM}\n"
