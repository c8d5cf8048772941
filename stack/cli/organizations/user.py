"""``opsc user``: who may sign in to an organization; a new password for who has lost theirs."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from api.auth.passwords import hash_password
from db.core.connect import Connection, connect
from db.core.errors import DatabaseError
from db.core.tenant import act_for
from db.identity import sign_ins, user_links, users
from db.identity.users import User
from db.resources import organization_removal
from stack.cli.options import DataDir
from stack.cli.organizations.org import (
    PASSWORD_BYTES,
    AsJson,
    OrganizationId,
    database_url,
    read_org_id,
)
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR
from telemetry.ids import format_id

T = TypeVar("T")

user = typer.Typer(
    help="List the users of an organization and reset passwords.", no_args_is_help=True
)


@user.command("list")
def show_list(
    organization: OrganizationId,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List everybody who may sign in, or might once: the oldest first."""
    members = _run(data, read_org_id(organization), users.all_of_tenant)
    rows = [_described(row) for row in members]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['id']}  {row['email']}  {row['role']}  {row['state']}")


@user.command("reset-password")
def reset_password(
    organization: OrganizationId,
    email: Annotated[str, typer.Argument(help="E-mail address of the user.")],
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Set a random password, which is shown only here, and sign the user out everywhere."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    password_hash = hash_password(password)

    async def work(conn: Connection) -> None:
        user_id = await users.id_of(conn, email.lower())
        if user_id is None:
            raise StackError(f"the organization has no active user {email.lower()}")
        await users.set_password(conn, user_id, password_hash)
        await user_links.end_all(conn, user_id)
        await sign_ins.end_all(conn, user_id)

    _run(data, read_org_id(organization), work)
    about = {"organization_id": organization, "email": email.lower(), "password": password}
    if as_json:
        print(json.dumps(about))
    else:
        print("\n".join(f"{name}: {value}" for name, value in about.items()))


def _run(data_dir: Path, org_id: UUID, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run `work` in one transaction for the organization, as opsc_owner."""

    async def connected() -> T:
        connection = await connect(database_url(data_dir), "opsc user")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            await act_for(connection, org_id)
            if await organization_removal.name_of(connection) is None:
                raise StackError("there is no such organization")
            return await work(connection)

    try:
        return asyncio.run(connected())
    except DatabaseError as error:
        raise StackError(f"the users cannot be read or changed: {error}") from error


def _described(row: User) -> dict[str, str | None]:
    state = "deactivated"
    if row.is_active:
        state = "invited" if row.is_invited else "active"
    return {
        "id": format_id("usr", row.id),
        "email": row.email,
        "name": row.name,
        "role": row.role,
        "state": state,
        "created_at": row.created_at.isoformat(),
    }
