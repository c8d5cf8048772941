"""``opsc status``: what runs on a data folder or as units of systemd, and whether it is well."""

from __future__ import annotations

import asyncio
import json
import platform
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from db.core.connect import Connection, connect
from db.core.errors import DatabaseError
from db.history import vital_signs
from db.history.vital_signs import VitalSigns
from mqtt import BrokerAddress
from stack.cli.options import WantedDataDir
from stack.errors import StackError
from stack.installed.archive_page import ArchiveState, archive_state
from stack.installed.database_checks import place_of
from stack.installed.installation import Installation, find_installation
from stack.installed.readiness import TIMEOUT_S, readiness
from stack.servers.cluster.states import states
from stack.servers.runtime import (
    DEFAULT_DATA_DIR,
    SETTINGS_FOLDER,
    NotRunning,
    StackInfo,
    read_stack,
)

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class PartState:
    """One part; pid is None for a server that we did not start. state: "ok", or what is wrong."""

    address: str
    pid: int | None
    healthy: bool
    state: str


@dataclass(frozen=True)
class Overview:
    """All that runs here. about: facts of its own for JSON; signs: or why there are none. archive:
    None where nothing is archived.
    """

    title: str
    about: Mapping[str, object]
    parts: Mapping[str, PartState]
    signs: VitalSigns | str
    archive: ArchiveState | None = None


def status(
    data: WantedDataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what runs, and its health; exit code 1 if a part has a fault or nothing runs.

    That is the `opsc up` on the data folder, else the units of a server.
    """
    try:
        overview = _overview(data)
    except NotRunning as nothing:
        if as_json:
            print(json.dumps({"running": False, "why": str(nothing)}))
            raise typer.Exit(1) from None
        raise
    print(_as_json(overview) if as_json else _as_text(overview))
    if not all(part.healthy for part in overview.parts.values()):
        raise typer.Exit(1)


def _overview(data: Path | None) -> Overview:
    """Return what runs on the data folder; where none is named and nothing runs on the usual one,
    the units of this machine.
    """
    try:
        return _of_stack(read_stack(data or DEFAULT_DATA_DIR))
    except StackError:
        server = find_installation() if data is None else None
        if server is None:
            raise
    return _of_server(server)


def _of_stack(system: StackInfo) -> Overview:
    signs = asyncio.run(_vital_signs(system.database["opsc_ingest"]))
    pages = (part.metrics_url for name, part in system.parts.items() if _role(name) == "deliver")
    asked = states(Path(system.data_dir)) if "nginx" in system.parts else {}
    return Overview(
        f"opsc up runs on {system.data_dir} (process {system.pid})",
        {"data_dir": system.data_dir, "pid": system.pid},
        {name: _state(system, name, signs, asked) for name in system.parts},
        signs,
        archive_state(filter(None, pages)),
    )


def _of_server(server: Installation) -> Overview:
    if not server.units:
        raise NotRunning(
            f"systemd knows none of our units, though {SETTINGS_FOLDER} is there:"
            " docs/install.md starts them, under Roles"
        )
    parts: dict[str, PartState] = {}
    login = next(server.databases(), None)
    signs: VitalSigns | str = f"not asked: its login is in {SETTINGS_FOLDER}, for root"
    if login is not None:
        unit, url = login
        signs = asyncio.run(_vital_signs(url) if unit.role == "ingest" else _answers(url))
        is_well = signs == "ok" or not isinstance(signs, str)
        parts["postgres"] = PartState(place_of(url), None, is_well, "ok" if is_well else str(signs))
    elif server.unread:
        parts["postgres"] = PartState("", None, True, signs)
    for unit in server.units:
        if unit.role is not None:
            parts[unit.short_name] = PartState(unit.address, unit.pid, *unit.health())
        elif unit.trouble is not None:
            parts[unit.short_name] = PartState("", None, False, unit.trouble)
    title = f"systemd runs the roles of this machine, with settings in {SETTINGS_FOLDER}"
    pages = [
        unit.pages
        for unit in server.roles
        if unit.role == "deliver" and parts[unit.short_name].healthy and not unit.unread
    ]
    archive = archive_state(f"{page}/metrics" for page in chain(*pages))
    return Overview(title, {"settings_folder": str(SETTINGS_FOLDER)}, parts, signs, archive)


async def _vital_signs(url: str) -> VitalSigns | str:
    """Return the figures of the database, or why it cannot be asked. url: of ingest, which sees
    all organizations.
    """
    return await _asked(url, vital_signs.read)


async def _answers(url: str) -> str:
    """Return "ok" where a login works, else why not."""

    async def ok(_: Connection) -> str:
        return "ok"

    return await _asked(url, ok)


async def _asked(url: str, read: Callable[[Connection], Awaitable[Answer]]) -> Answer | str:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async with await connect(url, "opsc status") as conn:
                return await read(conn)
    except TimeoutError:
        return f"no answer within {TIMEOUT_S} s"
    except DatabaseError as error:
        return "; ".join(str(error).strip().splitlines())


def _role(part: str) -> str:
    """Return the role of a part, which is one of two where three of all servers run."""
    return part.partition("-")[0]


def _state(
    system: StackInfo,
    name: str,
    signs: VitalSigns | str,
    asked: Mapping[str, Callable[[], tuple[bool, str]]],
) -> PartState:
    """asked: servers that say themselves what they do."""
    part = system.parts[name]
    if name in asked:
        healthy, state = asked[name]()
    elif name == "postgres":
        state = signs if isinstance(signs, str) else "ok"
        healthy = state == "ok"
    elif name in ("broker", "nginx"):
        state = _listens(f"mqtt://{part.address}")
        healthy = state == "ok"
    else:
        page = (part.metrics_url or "").removesuffix("/metrics")
        certificate = None
        if _role(name) == "api":
            page = f"{system.api_url.partition(':')[0]}://{part.address}"
            certificate = system.certificate
        healthy, state = readiness(f"{page}/readyz", certificate)
        if name.startswith("ingest-") and state == "ok":
            state = "ok, leads"
    return PartState(part.address, part.pid, healthy, state)


def _listens(url: str) -> str:
    address = BrokerAddress.parse(url)
    try:
        socket.create_connection((address.host, address.port), TIMEOUT_S).close()
    except OSError as error:
        return str(error)
    return "ok"


def _versions(signs: VitalSigns | str) -> dict[str, str]:
    versions = {"opsc": version("ops-companion"), "Python": platform.python_version()}
    if not isinstance(signs, str):
        versions |= {"PostgreSQL": signs.postgres, "TimescaleDB": signs.timescaledb}
    return versions


def _as_json(overview: Overview) -> str:
    parts = {name: asdict(part) for name, part in overview.parts.items()}
    about = {
        "running": True,
        **overview.about,
        "parts": parts,
        "versions": _versions(overview.signs),
    }
    if not isinstance(overview.signs, str):
        about["fixes_last_minute"] = overview.signs.fixes_last_minute
        about["work"] = {
            "waiting": overview.signs.work_waiting,
            "set_aside": overview.signs.work_set_aside,
        }
    if overview.archive is not None:
        about["archive"] = overview.archive._asdict()
    return json.dumps(about)


def _as_text(overview: Overview) -> str:
    names = max(9, *map(len, overview.parts))
    addresses = max((len(part.address) for part in overview.parts.values()), default=0)
    lines = [overview.title]
    for name, part in overview.parts.items():
        process = "-" if part.pid is None else f"process {part.pid}"
        mark = "" if part.healthy else "NOT WELL: "
        lines.append(
            f"{name:<{names}} {part.address:<{addresses}}  {process:<15} {mark}{part.state}"
        )
    lines.append(
        ", ".join(f"{what} {number}" for what, number in _versions(overview.signs).items())
    )
    if not isinstance(overview.signs, str):
        lines.append(f"{overview.signs.fixes_last_minute:,} fixes of the last minute are stored")
        waiting, set_aside = overview.signs.work_waiting, overview.signs.work_set_aside
        if waiting or set_aside:
            lines.append(
                f"background work that fails: {waiting:,} rows wait, {set_aside:,} are set aside;"
                " `opsc work list` shows them"
            )
    if overview.archive is not None:
        waiting, failed, orphans = overview.archive
        lines.append(
            f"archive: {waiting:,} days wait, {failed:,} could not move, {orphans:,} orphans"
        )
    return "\n".join(lines)
