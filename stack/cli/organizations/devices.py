"""``opsc devices``: which organization has claimed which IMEI, and who was refused it.

An IMEI is no secret, and one claim holds over all organizations. Where two want the same, the
operator asks them, and confirms or releases the claim.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from db.listener import imei_claims
from db.listener.imei_claims import ImeiClaim
from stack.cli.options import DataDir
from stack.cli.organizations.as_owner import run_as_owner
from stack.cli.organizations.org import AsJson
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR
from telemetry.ids import format_id

_FAILED = "the claims cannot be read or changed"

Imei = Annotated[str, typer.Argument(metavar="IMEI", help="The 15 digits of a device, or its 10.")]

devices = typer.Typer(help="Show and settle claims of IMEIs.", no_args_is_help=True)


@devices.command("claims")
def claims(data: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List the claims of all organizations, and those that were refused, by IMEI."""
    rows = [_described(claim) for claim in run_as_owner(data, imei_claims.all_claims, _FAILED)]
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
    if not run_as_owner(data, lambda conn: imei_claims.confirm(conn, imei), _FAILED):
        raise StackError(f"{imei} is claimed by nobody")
    print(f"{imei}: confirmed")


@devices.command("release")
def release(imei: Imei, data: DataDir = DEFAULT_DATA_DIR) -> None:
    """End a claim, and the connections of its device: another tracker may claim the IMEI."""
    if not run_as_owner(data, lambda conn: imei_claims.release(conn, imei), _FAILED):
        raise StackError(f"{imei} is claimed by nobody")
    print(f"{imei}: released")


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
