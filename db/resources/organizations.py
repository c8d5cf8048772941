"""Organizations: the tenants."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from db.core.ids import new_id
from db.core.tenant import act_for
from db.resources.plans import PlanName
from languages.language import Language

_COLUMNS: LiteralString = (
    "SELECT org_id, name, plan, api_addon, api_access, timezone, created_at, updated_at,"
    " rules, max_accuracy_m, max_speed_mps, punch_tolerance_m, punch_policy, punch_rules,"
    " timesheet_rules, address, logo_sha256, email, positions_days, events_days, audit_days,"
    " language, shows_employees, trip_events_since"
    " FROM organizations"
)


class Organization(NamedTuple):
    """One row.

    rules: the fields of geofence.model.rules.Rules that were given. max_speed_mps: by class of
    asset, as far as it was given. punch_rules: the fields of geofence.punches.claim.PunchRules that
    were given. timesheet_rules: see db.hours.rules. logo_sha256: of the logo, if there is one.
    email: of the office. trip_events_since: when events of trips were switched on;
    None: they are off. ..._days: how long its data is kept, where that is fewer days than the
    installation keeps it; None: as long as that. language: None was not chosen, and documents are
    in English. shows_employees: on the live map.
    """

    id: UUID
    name: str
    plan: PlanName
    api_addon: bool
    api_access: bool
    timezone: str
    created_at: datetime
    updated_at: datetime
    rules: dict[str, Any]
    max_accuracy_m: float | None
    max_speed_mps: dict[str, float]
    punch_tolerance_m: float | None
    punch_policy: str | None
    punch_rules: dict[str, float]
    timesheet_rules: dict[str, Any]
    address: str | None
    logo_sha256: bytes | None
    email: str | None
    positions_days: int | None
    events_days: int | None
    audit_days: int | None
    language: Language | None
    shows_employees: bool
    trip_events_since: datetime | None


async def find(conn: Connection, *, lock: bool = False) -> Organization:
    """Return the tenant itself. `lock`: against other writers."""
    async with conn.cursor(row_factory=args_row(Organization)) as cursor:
        await cursor.execute(_COLUMNS + (" FOR NO KEY UPDATE" if lock else ""))
        return await fetch_one(cursor)


async def update(conn: Connection, organization: Organization, revision: int | None) -> None:
    """Update name, address, email, timezone, language and settings. revision: None where settings
    stay as they are.
    """
    await conn.execute(
        """
        UPDATE organizations
           SET name = %(name)s, timezone = %(timezone)s, updated_at = %(updated_at)s,
               rules = %(rules)s, max_accuracy_m = %(max_accuracy_m)s,
               max_speed_mps = %(max_speed_mps)s, punch_tolerance_m = %(punch_tolerance_m)s,
               punch_policy = %(punch_policy)s, punch_rules = %(punch_rules)s,
               timesheet_rules = %(timesheet_rules)s, address = %(address)s, email = %(email)s,
               language = %(language)s, shows_employees = %(shows_employees)s,
               trip_events_since = %(trip_events_since)s,
               revision = coalesce(%(revision)s, revision)
        """,
        organization._asdict()
        | {
            "rules": Jsonb(organization.rules),
            "max_speed_mps": Jsonb(organization.max_speed_mps),
            "punch_rules": Jsonb(organization.punch_rules),
            "timesheet_rules": Jsonb(organization.timesheet_rules),
            "revision": revision,
        },
    )


async def shows_employees(conn: Connection) -> bool:
    """Return whether the tenant shows its employees on the live map."""
    return await value_of(conn, "SELECT shows_employees FROM organizations")


async def showing_employees(conn: Connection, org_ids: Collection[UUID]) -> set[UUID]:
    """Return which of the organizations show their employees. `conn` needs no tenant."""
    cursor = await conn.execute("SELECT * FROM showing_employees(%s)", (list(org_ids),))
    return {org_id for (org_id,) in await cursor.fetchall()}


async def create_organization(
    conn: Connection,
    *,
    name: str,
    email: str,
    password_hash: str,
    plan: PlanName,
    api_addon: bool = False,
) -> UUID:
    """Create an organization with its first admin, inside the caller's transaction, as

    Raises psycopg.errors.CheckViolation for a name or an address that the schema refuses.
    """
    org_id = new_id()
    await act_for(conn, org_id)
    await conn.execute(
        "INSERT INTO organizations (org_id, name, plan, api_addon) VALUES (%s, %s, %s, %s)",
        (org_id, name, plan, api_addon),
    )
    await conn.execute(
        """
        INSERT INTO users (org_id, id, email, password_hash, role)
        VALUES (%s, %s, lower(%s), %s, 'admin')
        """,
        (org_id, new_id(), email, password_hash),
    )
    return org_id


async def listing(conn: Connection) -> list[Organization]:
    """Return all organizations, the oldest first, as opsc_owner."""
    async with conn.cursor(row_factory=args_row(Organization)) as cursor:
        await cursor.execute(_COLUMNS + " ORDER BY created_at, org_id")
        return await cursor.fetchall()
