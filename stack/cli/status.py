"""``opsc status``: what runs on a data folder, and whether it is well."""

from __future__ import annotations

import asyncio
import json
import platform
import socket
import ssl
import urllib.error
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Annotated, Any

import msgspec
import typer

from db.core.connect import connect
from db.core.errors import DatabaseError
from db.history import vital_signs
from db.history.vital_signs import VitalSigns
from mqtt import BrokerAddress
from stack.cli.options import DataDir
from stack.host.pages import open_page
from stack.servers.runtime import DEFAULT_DATA_DIR, NotRunning, StackInfo, read_stack
from stack.servers.tls import pinned

TIMEOUT_S = 3
PAGE_LIMIT_BYTES = 65_536


@dataclass(frozen=True)
class PartState:
    """One part; pid is None for a server that runs elsewhere. state: "ok", or what is wrong."""

    address: str
    pid: int | None
    healthy: bool
    state: str


class _Page(msgspec.Struct):
    """The answer of /readyz; `detail` where it is a problem of the API."""

    status: str | int
    warnings: list[str] = []
    detail: str | None = None


def status(
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what runs on this data folder; exit code 1 if a part has a fault or nothing runs."""
    try:
        system = read_stack(data)
    except NotRunning as nothing:
        if as_json:
            print(json.dumps({"running": False, "why": str(nothing)}))
            raise typer.Exit(1) from None
        raise
    signs = asyncio.run(_vital_signs(system))
    parts = {name: _state(system, name, signs) for name in system.parts}
    print(_as_json(system, parts, signs) if as_json else _as_text(system, parts, signs))
    if not all(part.healthy for part in parts.values()):
        raise typer.Exit(1)


async def _vital_signs(system: StackInfo) -> VitalSigns | str:
    """Return the figures of the database, or why it cannot be asked."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            # As ingest, which sees all organizations.
            async with await connect(system.database["opsc_ingest"], "opsc status") as conn:
                return await vital_signs.read(conn)
    except TimeoutError:
        return f"no answer within {TIMEOUT_S} s"
    except DatabaseError as error:
        return str(error).strip()


def _state(system: StackInfo, name: str, signs: VitalSigns | str) -> PartState:
    part = system.parts[name]
    if name == "postgres":
        state = signs if isinstance(signs, str) else "ok"
        healthy = state == "ok"
    elif name == "broker":
        state = _listens(f"mqtt://{part.address}")
        healthy = state == "ok"
    else:
        page = (part.metrics_url or "").removesuffix("/metrics")
        base = system.api_url if name == "api" else page
        tls = pinned(system.certificate) if name == "api" else None
        healthy, state = _readiness(f"{base}/readyz", tls)
    return PartState(part.address, part.pid, healthy, state)


def _listens(url: str) -> str:
    address = BrokerAddress.parse(url)
    try:
        socket.create_connection((address.host, address.port), TIMEOUT_S).close()
    except OSError as error:
        return str(error)
    return "ok"


def _readiness(url: str, tls: ssl.SSLContext | None) -> tuple[bool, str]:
    """Return whether a role says that it can do its work, and what else it says."""
    try:
        try:
            with open_page(url, TIMEOUT_S, tls) as answer:
                text, is_ready = answer.read(PAGE_LIMIT_BYTES), True
        except urllib.error.HTTPError as answer:
            text, is_ready = answer.read(PAGE_LIMIT_BYTES), False
        page = msgspec.json.decode(text, type=_Page)
    except msgspec.DecodeError:
        return False, f"{url} answers something else"
    except OSError as error:
        return False, str(error)
    return is_ready, "; ".join([page.detail or str(page.status), *page.warnings])


def _versions(signs: VitalSigns | str) -> dict[str, str]:
    versions = {"opsc": version("ops-companion"), "Python": platform.python_version()}
    if not isinstance(signs, str):
        versions |= {"PostgreSQL": signs.postgres, "TimescaleDB": signs.timescaledb}
    return versions


def _as_json(system: StackInfo, parts: dict[str, PartState], signs: VitalSigns | str) -> str:
    about: dict[str, Any] = {
        "running": True,
        "data_dir": system.data_dir,
        "pid": system.pid,
        "parts": {name: asdict(part) for name, part in parts.items()},
        "versions": _versions(signs),
    }
    if not isinstance(signs, str):
        about["fixes_last_minute"] = signs.fixes_last_minute
    return json.dumps(about)


def _as_text(system: StackInfo, parts: dict[str, PartState], signs: VitalSigns | str) -> str:
    width = max(len(part.address) for part in parts.values())
    lines = [f"opsc up runs on {system.data_dir} (process {system.pid})"]
    for name, part in parts.items():
        process = "elsewhere" if part.pid is None else f"process {part.pid}"
        mark = "" if part.healthy else "NOT WELL: "
        lines.append(f"{name:<9} {part.address:<{width}}  {process:<15} {mark}{part.state}")
    lines.append(", ".join(f"{what} {number}" for what, number in _versions(signs).items()))
    if not isinstance(signs, str):
        lines.append(f"{signs.fixes_last_minute:,} fixes of the last minute are stored")
    return "\n".join(lines)
