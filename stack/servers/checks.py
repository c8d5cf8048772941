"""The checks of `opsc doctor`: each function returns findings and changes nothing."""

from __future__ import annotations

import asyncio
import http.client
import os
import platform
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from db.core.connect import connect
from db.core.errors import DatabaseError
from db.core.secrets import SecretKeyError, SecretKeys, read_secret_keys
from db.maintenance import sealed
from db.maintenance.sealed import SealedRows
from service.former_settings import rename_former
from service.health import read_address
from stack.errors import StackError
from stack.host.pages import open_page
from stack.host.programs import SYSTEM_ROOT, UNPACKED, Programs, find_programs, servers_dir
from stack.servers.listening import (
    INGEST_PORT,
    LISTEN_HTTP_PORT,
    LISTEN_PORT,
    NO_INGEST,
    OTHER_FILES,
    most_connections,
)
from stack.servers.ports import is_free, why_not
from stack.servers.role_parts import (
    API_HTTP_PORT,
    API_PORT,
    DELIVER_HTTP_PORT,
    INGEST_HTTP_PORT,
)
from stack.servers.runtime import NotRunning, check_data_dir, known_secret_key, read_stack
from stack.servers.settings import unread_variables, wrong_settings
from stack.servers.system import OPEN_FILES, POSTGRES_PORT

Level = Literal["ok", "warning", "fault"]

GIB = 2**30
LITTLE_DISK_BYTES, NO_DISK_BYTES = 10 * GIB, GIB
LITTLE_MEMORY_BYTES, NO_MEMORY_BYTES = 2 * GIB, GIB // 2
FEW_FILES = 4096
AS_ROOT = "run `opsc doctor` as root"
FORMER_ADVICE = "rename it: the former name is read until 1.0"
BUILT_AFTER_S = 1_767_225_600  # 2026-01-01: no clock that is right is before it
TOOL_TIMEOUT_S = 10.0
MOST_PROCESSES = 64
PAGE_LIMIT_BYTES = 1024 * 1024
_REFUSED_VERSION = re.compile(
    r'^opsc_listener_refused_total{reason="tls version"} (\S+)', re.MULTILINE
)
# Part, the setting that names its port where there is one, and the port without.
PORTS: Sequence[tuple[str, str | None, int]] = (
    ("postgres", None, POSTGRES_PORT),
    ("listener", "OPSC_LISTEN_PORT", LISTEN_PORT),
    ("devices", "OPSC_LISTEN_INGEST_HTTP", INGEST_PORT),
    ("listener-metrics", "OPSC_LISTEN_HTTP", LISTEN_HTTP_PORT),
    ("ingest", "OPSC_INGEST_HTTP", INGEST_HTTP_PORT),
    ("deliver", "OPSC_DELIVER_HTTP", DELIVER_HTTP_PORT),
    ("api", "OPSC_API_PORT", API_PORT),
    ("api-metrics", "OPSC_API_HTTP", API_HTTP_PORT),
)

NOT_WANTED = (("OPSC_LISTEN_PORT", "0"), ("OPSC_LISTEN_INGEST_HTTP", NO_INGEST))


class Finding(NamedTuple):
    """One thing that was looked at. advice: what to do, empty where all is well."""

    level: Level
    subject: str
    text: str
    advice: str = ""


def examine(data_dir: Path) -> list[Finding]:
    """Examine everything, in the order in which it is shown."""
    return [
        *versions(),
        *_servers(data_dir),
        *_data_folder(data_dir),
        *_disk(data_dir),
        *memory(),
        *_open_files(),
        *clock(),
        *_ports(data_dir),
        *tls_versions(_listener_pages(data_dir)),
        *_keys(data_dir),
        *_settings(),
    ]


def versions() -> Iterator[Finding]:
    libc = " ".join(platform.libc_ver()).strip() or "an unknown libc"
    about = f"Python {platform.python_version()}, {libc}, Linux {platform.release()}"
    yield Finding("ok", "versions", f"{about}, {platform.machine()}")


def _servers(data_dir: Path) -> Iterator[Finding]:
    folder = servers_dir(data_dir) / UNPACKED
    programs = find_programs([SYSTEM_ROOT, folder])
    if programs is not None:
        timescaledb = _timescaledb(programs)
        text = f"{_said_by(programs)} with TimescaleDB {timescaledb}, in {programs.postgres_bin}"
        yield Finding("ok", "servers", text)
    elif "OPSC_DATABASE_URL" in os.environ:
        yield Finding("ok", "servers", "the database that OPSC_DATABASE_URL names is used")
    elif all(map(shutil.which, ("apt-get", "apt-cache", "dpkg"))):
        yield Finding("ok", "servers", f"the first start fetches them into {folder.parent}")
    else:
        yield Finding(
            "fault", "servers", "PostgreSQL 17 with TimescaleDB is missing",
            "install it, or set OPSC_DATABASE_URL",
        )  # fmt: skip


def _said_by(programs: Programs) -> str:
    command = [str(programs.postgres_bin / "postgres"), "--version"]
    said = output(command, programs.postgres_environment)
    return said or "a PostgreSQL that does not start"


def _timescaledb(programs: Programs) -> str:
    root = programs.postgres_bin.parents[4]
    control = root / "usr/share/postgresql/17/extension/timescaledb.control"
    for line in control.read_text().splitlines():
        if line.startswith("default_version"):
            return line.partition("=")[2].strip(" '")
    return "of an unknown version"


def _data_folder(data_dir: Path) -> Iterator[Finding]:
    folder = data_dir.resolve()
    try:
        if folder.exists():
            check_data_dir(folder)
        elif not os.access(_existing(folder), os.W_OK | os.X_OK):
            raise StackError(f"{folder} cannot be made: {_existing(folder)} cannot be written")
    except StackError as error:
        advice = "choose another folder with --data, or change its owner"
        yield Finding("fault", "data folder", str(error), advice)
    else:
        about = "can be written" if folder.exists() else "can be made"
        yield Finding("ok", "data folder", f"{folder} {about}")


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _disk(data_dir: Path) -> Iterator[Finding]:
    folder = _existing(data_dir.resolve())
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB are free on the disk of {folder}"
    yield by_amount("disk", text, free, (NO_DISK_BYTES, LITTLE_DISK_BYTES), "make room")


def memory() -> Iterator[Finding]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    total, free = kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GiB are available"
    advice = "end other programs, or use a larger machine"
    yield by_amount("memory", text, free, (NO_MEMORY_BYTES, LITTLE_MEMORY_BYTES), advice)


def by_amount(
    subject: str, text: str, amount: int, bounds: tuple[int, int], advice: str
) -> Finding:
    """Return a fault below the first bound, a warning below the second."""
    none, little = bounds
    if amount >= little:
        return Finding("ok", subject, text)
    return Finding("fault" if amount < none else "warning", subject, text, advice)


def _open_files() -> Iterator[Finding]:
    wanted = os.environ.get("OPSC_LISTEN_MAX_CONNECTIONS", "")
    if wanted.isdecimal() and int(wanted) > most_connections():
        text = f"OPSC_LISTEN_MAX_CONNECTIONS: {wanted} connections need as many open files"
        advice = f"raise `ulimit -Hn` to {int(wanted) + OTHER_FILES} or more"
        yield Finding("fault", "open files", text, advice)
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        yield Finding("ok", "open files", f"at least {OPEN_FILES:,} may be open")
        return
    text = f"at most {hard:,} files may be open, one for each connected tracker"
    level = "ok" if hard >= FEW_FILES else "warning"
    yield Finding(level, "open files", text, "" if level == "ok" else "raise `ulimit -Hn`")


def clock() -> Iterator[Finding]:
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    if time.time() < BUILT_AFTER_S:
        yield Finding("fault", "clock", f"it says {now} UTC, which is past", "set the clock")
        return
    said = output(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if said == "yes":
        yield Finding("ok", "clock", f"{now} UTC, synchronized")
    elif said == "no":
        advice = "start a time service, such as systemd-timesyncd or chrony"
        yield Finding("warning", "clock", f"{now} UTC, not synchronized", advice)
    else:
        text = f"{now} UTC; whether it is synchronized is unknown here"
        yield Finding("ok", "clock", text)


def output(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str | None:
    """Return what a program prints; None where it cannot be asked."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _ports(data_dir: Path) -> Iterator[Finding]:
    try:
        system = read_stack(data_dir)
    except StackError as error:
        if not isinstance(error, NotRunning):
            return  # said of the data folder already
    else:
        yield Finding("ok", "ports", f"opsc up runs on {data_dir} with the ports that it has")
        for name, part in system.parts.items():
            yield Finding("ok", "ports", f"{name} is at {part.address}")
        return
    for part, variable, port in PORTS:
        if variable is not None and (named := os.environ.get(variable)):
            if (variable, named) in NOT_WANTED:
                continue
            yield _named_port(variable, named)
        else:
            yield _usual_port(part, port)


def _usual_port(part: str, port: int) -> Finding:
    if is_free(port):
        return Finding("ok", "ports", f"{port} is free ({part})")
    text = f"{port} {why_not(port)}"
    return Finding("warning", "ports", text, f"opsc up takes another for {part}")


def _named_port(variable: str, text: str) -> Finding:
    digits = text.rpartition(":")[2]
    if not digits.isdecimal() or not 0 < int(digits) < 65_536:
        return Finding("fault", "ports", f"{variable} has no port number", "set one: 1 to 65535")
    if is_free(int(digits)):
        return Finding("ok", "ports", f"{digits} is free ({variable})")
    text = f"{variable}: {digits} {why_not(int(digits))}"
    return Finding("fault", "ports", text, f"set {variable} to another port, or leave it out")


def tls_versions(pages: Iterable[str]) -> Iterator[Finding]:
    """Yield devices that the TLS ports turned away for their version, by the metrics of the
    listener's processes; nothing where there is none.
    """
    pages = list(pages)
    if not pages:
        return
    count = sum(int(float(number)) for page in pages for number in _REFUSED_VERSION.findall(page))
    if not count:
        yield Finding("ok", "TLS", "the listener turned nobody away for a version of TLS")
        return
    text = f"the listener turned {count:,} connections away for their version of TLS"
    advice = "OPSC_LISTEN_TLS12_PORT is a port for modems that know no TLS 1.3"
    yield Finding("warning", "TLS", text, advice)


def _listener_pages(data_dir: Path) -> Iterator[str]:
    """Yield the metrics of each process of the listener: their ports follow one another."""
    try:
        first = read_stack(data_dir).parts["listener"].metrics_url or ""
    except (StackError, KeyError):
        first = f"http://{os.environ.get('OPSC_LISTEN_HTTP', '')}/metrics"
    try:
        host, port = read_address(urlsplit(first).netloc)
    except ValueError:
        return
    for number in range(MOST_PROCESSES):
        page = listener_page(f"http://{in_url(host)}:{port + number}/metrics")
        if page is None:
            return
        yield page


def listener_page(url: str) -> str | None:
    """Return the metrics of a listener's process; None where none answers."""
    try:
        with open_page(url, TOOL_TIMEOUT_S) as answer:
            page = answer.read(PAGE_LIMIT_BYTES).decode()
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return page if "opsc_listener_" in page else None


def _keys(data_dir: Path) -> Iterator[Finding]:
    """Yield the ring of the data folder; what is sealed is known while a system runs there."""
    try:
        ring = known_secret_key(data_dir)
    except StackError:
        return  # said of the data folder already
    if ring is None:
        return
    try:
        url = read_stack(data_dir).database["opsc_deliver"]
    except StackError:
        url = None
    yield secret_keys(ring, url)


def secret_keys(ring: str, database_url: str | None) -> Finding:
    """Return how many secret keys there are, and whether an older one is still needed for webhook
    endpoints. database_url: a login that sees all of them, if there is one.
    """
    try:
        keys = read_secret_keys(ring)
    except SecretKeyError as error:
        return Finding("fault", "keys", str(error), _SEE)
    text = "there is one secret key" if len(keys) == 1 else f"there are {len(keys)} secret keys"
    if database_url is None:
        return Finding("ok", "keys", text)
    try:
        count = asyncio.run(_count_endpoints(database_url, keys))
    except DatabaseError:
        return Finding("ok", "keys", text)  # said of the database already
    if count.lost:
        text = f"{text}, and {count.lost:,} webhook endpoints are sealed under another one"
        advice = "put it behind the others in OPSC_SECRET_KEY, or rotate the endpoints' secrets"
        return Finding("warning", "keys", text, advice)
    if count.under_older:
        text = f"{text}, and {count.under_older:,} webhook endpoints are sealed under an older one"
        return Finding("warning", "keys", text, "call `opsc keys rotate`")
    return Finding("ok", "keys", f"{text}, and no older one is needed for webhook endpoints")


async def _count_endpoints(url: str, keys: SecretKeys) -> SealedRows:
    async with await connect(url, "opsc doctor") as conn:
        return await sealed.count_endpoints(conn, keys)


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _settings() -> Iterator[Finding]:
    variables = dict(os.environ)
    former = rename_former(variables)
    findings = [Finding("warning", "settings", text, FORMER_ADVICE) for text in former.warnings]
    findings += [Finding("fault", "settings", text, _SEE) for text in former.faults]
    findings += [
        Finding(
            "warning",
            "settings",
            f"nothing reads {name}",
            f"did you mean {near}?" if near else _SEE,
        )
        for name, near in unread_variables(variables).items()
    ]
    findings += [Finding("fault", "settings", line, _SEE) for line in wrong_settings(variables)]
    set_here = sorted(name for name in variables if name.startswith("OPSC_"))
    about = f"set: {', '.join(set_here)}" if set_here else "no OPSC_ variable is set"
    yield from findings or [Finding("ok", "settings", about)]


_SEE = "docs/settings.md says what it may be"
