"""``opsc devices``: which organization has claimed which IMEI, and who was refused it.

An IMEI is no secret, and one claim holds over all organizations. Where two want the same, the
operator asks them, and confirms or releases the claim.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from db.core.connect import Connection, connect
from db.core.errors import DatabaseError
from db.listener import imei_claims
from db.listener.imei_claims import ImeiClaim
from stack.cli.options import DataDir
from stack.cli.organizations.org import AsJson, database_url
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR
from telemetry.ids import format_id

T = TypeVar("T")
Imei = Annotated[str, typer.Argument(metavar="IMEI", help="The 15 digits of a device.")]

devices = typer.Typer(help="Show and settle claims of IMEIs.", no_args_is_help=True)


@devices.command("claims")
def claims(data: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List the claims of all organizations, and those that were refused, by IMEI."""
    rows = [_described(claim) for claim in _run(data, imei_claims.all_claims)]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['imei']}  {row['organization_id']}  {row['tracker_id'] or '-'}  {row['state']}"
        )
    if not rows:
        print("no IMEI is claimed")


@devices.command("confirm")
def confirm(imei: Imei, data: DataDir = DEFAULT_DATA_DIR) -> None:
    """Confirm a claim: it does not end because nothing was sent."""
    if not _run(data, lambda conn: imei_claims.confirm(conn, imei)):
        raise StackError(f"{imei} is claimed by nobody")
    print(f"{imei}: confirmed")


@devices.command("release")
def release(imei: Imei, data: DataDir = DEFAULT_DATA_DIR) -> None:
    """End a claim, and the connections of its device: another tracker may claim the IMEI."""
    if not _run(data, lambda conn: imei_claims.release(conn, imei)):
        raise StackError(f"{imei} is claimed by nobody")
    print(f"{imei}: released")


def _run(data_dir: Path, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run `work` in one transaction as opsc_owner, who sees the claims of all organizations."""

    async def connected() -> T:
        connection = await connect(database_url(data_dir), "opsc devices")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            return await work(connection)

    try:
        return asyncio.run(connected())
    except DatabaseError as error:
        raise StackError(f"the claims cannot be read or changed: {error}") from error


def _described(claim: ImeiClaim) -> dict[str, str | None]:
    state = "confirmed" if claim.confirmed_at else "provisional"
    times = {
        name: None if at is None else at.isoformat()
        for name, at in claim._asdict().items()
        if name.endswith("_at")
    }
    return {
        "imei": claim.imei,
        "organization_id": format_id("org", claim.org_id),
        "tracker_id": None if claim.tracker_id is None else format_id("trk", claim.tracker_id),
        "state": "refused" if claim.tracker_id is None else state,
        **times,
    }
