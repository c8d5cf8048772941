"""``opsc org create``: an organization with its first admin."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import UUID

import psycopg
import typer

from api.passwords import hash_password
from db.connect import connect
from db.organizations import create_organization
from stack.errors import StackError
from stack.runtime import DEFAULT_DATA_DIR, read_stack
from stack.up import DataDir
from telemetry.ids import format_id

PASSWORD_BYTES = 18
PLANS = ("starter", "team", "unlimited")

org = typer.Typer(help="Organizations.", no_args_is_help=True)


class Admin(NamedTuple):
    """What the first admin of an organization signs in with."""

    organization_id: str
    email: str
    password: str


@org.callback()
def _organizations() -> None:  # pyright: ignore[reportUnusedFunction]
    """Organizations."""


@org.command("create")
def create(
    name: Annotated[str, typer.Option(help="Name of the organization.")],
    email: Annotated[str, typer.Option(help="E-mail address of its first admin.")],
    plan: Annotated[str, typer.Option(help="starter, team or unlimited.")] = "unlimited",
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Create an organization; prints its id and the admin's password, which is shown only here."""
    if plan not in PLANS:
        raise typer.BadParameter(f"must be one of {', '.join(PLANS)}", param_hint="--plan")
    if not 1 <= len(name) <= 200:
        raise typer.BadParameter("must have 1 to 200 characters", param_hint="--name")
    if "@" not in email or not 3 <= len(email) <= 254 or not email.isprintable() or " " in email:
        raise typer.BadParameter("must be an e-mail address", param_hint="--email")
    admin = asyncio.run(create_with_admin(database_url(data), name, email, plan))
    if as_json:
        print(json.dumps(admin._asdict()))
    else:
        print("\n".join(f"{key}: {value}" for key, value in admin._asdict().items()))


def database_url(data_dir: Path) -> str:
    """OPSC_DATABASE_URL (a login as opsc_owner or a superuser), else that of the running `up`."""
    return os.environ.get("OPSC_DATABASE_URL") or read_stack(data_dir).database["opsc_owner"]


async def create_with_admin(url: str, name: str, email: str, plan: str) -> Admin:
    """Make both in one transaction; the password is random and kept as an argon2id hash only."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    password_hash = hash_password(password)
    try:
        connection = await connect(url, "opsc org create")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            org_id: UUID = await create_organization(
                connection, name=name, email=email, password_hash=password_hash, plan=plan
            )
    except psycopg.Error as error:
        raise StackError(f"the organization cannot be created: {error}") from error
    return Admin(format_id("org", org_id), email.lower(), password)
