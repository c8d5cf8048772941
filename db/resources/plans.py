"""The plan that an organization has paid for."""

from collections.abc import Collection
from typing import Literal, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.core.tenant import act_for

PlanName = Literal["starter", "team", "unlimited"]


class Plan(NamedTuple):
    """`api_access`: by the plan or the add-on, the API and webhooks may be used."""

    name: PlanName
    api_addon: bool
    api_access: bool


async def find(conn: Connection, org_id: UUID) -> Plan:
    """Return the plan of `org_id`; `conn` is in no transaction."""
    async with conn.transaction():
        await act_for(conn, org_id)
        cursor = await conn.execute("SELECT plan, api_addon, api_access FROM organizations")
    return Plan(*await fetch_one(cursor))


async def api_access(conn: Connection, org_ids: Collection[UUID]) -> dict[UUID, bool]:
    """Return whether each organization may use the API. `conn` needs no tenant."""
    cursor = await conn.execute("SELECT * FROM api_access_of(%s)", (list(org_ids),))
    return dict(await cursor.fetchall())


async def change(conn: Connection, name: PlanName | None, api_addon: bool | None) -> Plan | None:
    """Change what is given, as opsc_owner, and return the plan then. None: no such organization."""
    async with conn.cursor(row_factory=args_row(Plan)) as cursor:
        await cursor.execute(
            """
            UPDATE organizations
               SET plan = coalesce(%(plan)s, plan), api_addon = coalesce(%(addon)s, api_addon),
                   updated_at = now()
             WHERE org_id = current_org_id()
            RETURNING plan, api_addon, api_access
            """,
            {"plan": name, "addon": api_addon},
        )
        return await cursor.fetchone()
