"""``opsc org``: organizations with their first admin, plan and retention, and their end."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import UUID

import typer

from api.auth.passwords import hash_password
from db.core.connect import connect
from db.core.errors import DatabaseError, ForeignKeyViolation
from db.core.registry_revision import bump
from db.core.tenant import act_for
from db.history import retention
from db.history.retention import Days
from db.resources import plans, quotas
from db.resources.organizations import Organization, create_organization, listing
from db.resources.plans import Plan, PlanName
from stack.cli.options import DataDir, say
from stack.cli.organizations.delete import delete, name_of
from stack.errors import StackError
from stack.servers.elsewhere import given_database
from stack.servers.runtime import DEFAULT_DATA_DIR, read_stack
from telemetry.ids import IdError, format_id, parse_id

PASSWORD_BYTES = 18
DAYS = typer.Option(min=0, max=36_500, help="Days; 0: the setting of the installation.")
QUOTAS = sorted((*quotas.BY_PLAN, quotas.ATTACHMENT_BYTES))
_WORDS = {True: "true", False: "false", None: "as the installation"}
PLANS: tuple[PlanName, ...] = ("starter", "team", "unlimited")

OrganizationId = Annotated[str, typer.Argument(help="Id of the organization: org_...")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

org = typer.Typer(help="Organizations.", no_args_is_help=True)


class Admin(NamedTuple):
    """The sign-in of an organization's first admin."""

    organization_id: str
    email: str
    password: str


@org.callback()
def _organizations() -> None:  # pyright: ignore[reportUnusedFunction]
    """Create, list, change and delete organizations."""


@org.command("create")
def create(
    name: Annotated[str, typer.Option(help="Name of the organization.")],
    email: Annotated[str, typer.Option(help="E-mail address of the first admin.")],
    plan: Annotated[str, typer.Option(help="starter, team or unlimited.")] = "unlimited",
    addon: Annotated[bool, typer.Option("--addon", help="With the API add-on.")] = False,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Create an organization; prints its id and the admin's password, which is shown only here."""
    plan_name = _plan(plan)
    if not 1 <= len(name) <= 200:
        raise typer.BadParameter("must have 1 to 200 characters", param_hint="--name")
    if "@" not in email or not 3 <= len(email) <= 254 or not email.isprintable() or " " in email:
        raise typer.BadParameter("must be an e-mail address", param_hint="--email")
    admin = asyncio.run(create_with_admin(database_url(data), name, email, plan_name, addon))
    _show(admin._asdict(), as_json)


@org.command("set-plan")
def set_plan(
    organization: OrganizationId,
    plan: Annotated[str | None, typer.Option(help="starter, team or unlimited.")] = None,
    addon: Annotated[
        bool | None, typer.Option("--addon/--no-addon", help="The API add-on.")
    ] = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Change what is given; prints the plan as it is then."""
    org_id = read_org_id(organization)
    plan_name = None if plan is None else _plan(plan)
    changed = asyncio.run(_change_plan(database_url(data), org_id, plan_name, addon))
    about = {"plan": changed.name, "api_addon": changed.api_addon, "api_access": changed.api_access}
    _show({"organization_id": organization} | about, as_json)


@org.command("set-quota")
def set_quota(
    organization: OrganizationId,
    quota: Annotated[str, typer.Argument(help="Its name, as in docs/api.md.")],
    most: Annotated[str, typer.Argument(help="A number; plan: what the plan says.")],
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Set how much of something an organization may have, whatever its plan. What it has stays."""
    if quota not in QUOTAS:
        raise typer.BadParameter(f"must be one of {', '.join(QUOTAS)}", param_hint="QUOTA")
    if most != "plan" and not (most.isdecimal() and int(most) < 2**53):
        raise typer.BadParameter("must be a number, or plan", param_hint="MOST")
    number = None if most == "plan" else int(most)
    asyncio.run(_set_quota(database_url(data), read_org_id(organization), quota, number))
    _show({"organization_id": organization, "quota": quota, "most": most}, as_json)


@org.command("set-retention")
def set_retention(
    organization: OrganizationId,
    positions: Annotated[int | None, DAYS] = None,
    events: Annotated[int | None, DAYS] = None,
    audit: Annotated[int | None, DAYS] = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Change for how many days positions, events and audit events are kept; prints all three.

    Only what is given is changed. Shorter than the installation keeps them counts, longer does not.
    """
    given = {"positions": positions, "events": events, "audit": audit}
    days = {name: number or None for name, number in given.items() if number is not None}
    changed = asyncio.run(_change_retention(database_url(data), read_org_id(organization), days))
    _show({"organization_id": organization} | changed._asdict(), as_json)


@org.command("list")
def show_list(data: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List all organizations, the oldest first."""
    rows = asyncio.run(_listing(database_url(data)))
    if as_json:
        print(json.dumps([_described(row) for row in rows]))
        return
    for row in rows:
        addon = " with add-on" if row.api_addon else ""
        created = row.created_at.isoformat(timespec="seconds")
        print(f"{format_id('org', row.id)}  {created}  {row.plan}{addon}  {row.name}")
    if not rows:
        print("no organizations yet; create one with `opsc org create`")


@org.command("delete")
def delete_one(
    organization: OrganizationId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the name again.")] = False,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Delete an organization for ever, with its users, trackers, fixes and all else of its own.

    Works while the system runs; ingest begins anew for a moment. Where it was cut short, call it
    again.
    """
    org_id, url = read_org_id(organization), database_url(data)
    name = asyncio.run(name_of(url, org_id))
    if not yes and typer.prompt(f"To delete it, type its name ({name})", err=True) != name:
        raise StackError("this is not the organization's name; nothing is deleted")
    asyncio.run(delete(url, org_id, say))
    _show({"organization_id": organization, "name": name, "deleted": True}, as_json)


def read_org_id(organization: str) -> UUID:
    """Return the argument as an id; wrong usage where it is none."""
    try:
        return parse_id("org", organization)
    except IdError as error:
        raise typer.BadParameter(str(error), param_hint="ORGANIZATION") from None


def _described(row: Organization) -> dict[str, object]:
    return {
        "organization_id": format_id("org", row.id),
        "name": row.name,
        "plan": row.plan,
        "api_addon": row.api_addon,
        "api_access": row.api_access,
        "created_at": row.created_at.isoformat(),
    }


def _plan(name: str) -> PlanName:
    for plan in PLANS:
        if plan == name:
            return plan
    raise typer.BadParameter(f"must be one of {', '.join(PLANS)}", param_hint="--plan")


def _show(about: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(about))
        return
    for key, value in about.items():
        print(f"{key}: {_WORDS.get(value, value) if isinstance(value, bool | None) else value}")


async def _change_plan(url: str, org_id: UUID, plan: PlanName | None, addon: bool | None) -> Plan:
    try:
        connection = await connect(url, "opsc org set-plan")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            await act_for(connection, org_id)
            changed = await plans.change(connection, plan, addon)
    except DatabaseError as error:
        raise StackError(f"the plan cannot be changed: {error}") from error
    if changed is None:
        raise StackError("there is no such organization")
    return changed


async def _set_quota(url: str, org_id: UUID, quota: str, most: int | None) -> None:
    try:
        connection = await connect(url, "opsc org set-quota")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            await act_for(connection, org_id)
            await quotas.set_own(connection, quota, most)
    except ForeignKeyViolation:
        raise StackError("there is no such organization") from None
    except DatabaseError as error:
        raise StackError(f"the quota cannot be set: {error}") from error


async def _change_retention(url: str, org_id: UUID, days: dict[str, int | None]) -> Days:
    try:
        connection = await connect(url, "opsc org set-retention")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            await act_for(connection, org_id)
            await bump(connection)  # ingest hears of it, and refuses what is too old
            changed = await retention.change(connection, days)
    except DatabaseError as error:
        raise StackError(f"the retention cannot be changed: {error}") from error
    if changed is None:
        raise StackError("there is no such organization")
    return changed


async def _listing(url: str) -> list[Organization]:
    try:
        connection = await connect(url, "opsc org list")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            return await listing(connection)
    except DatabaseError as error:
        raise StackError(f"the organizations cannot be read: {error}") from error


def database_url(data_dir: Path) -> str:
    """Return OPSC_DATABASE_URL (a login as opsc_owner or a superuser), else the address of the
    running `up`.
    """
    return given_database() or read_stack(data_dir).database["opsc_owner"]


async def create_with_admin(
    url: str, name: str, email: str, plan: PlanName, addon: bool = False
) -> Admin:
    """Make both in one transaction; the password is random and kept as an argon2id hash only."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    password_hash = hash_password(password)
    try:
        connection = await connect(url, "opsc org create")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            org_id: UUID = await create_organization(
                connection,
                name=name,
                email=email,
                password_hash=password_hash,
                plan=plan,
                api_addon=addon,
            )
    except DatabaseError as error:
        raise StackError(f"the organization cannot be created: {error}") from error
    return Admin(format_id("org", org_id), email.lower(), password)
