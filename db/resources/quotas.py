"""Quotas: the most rows of an organization by its plan, soft-deleted ones included."""

from collections.abc import Mapping

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.resources.plans import PlanName

ROWS: Mapping[str, Mapping[PlanName, int]] = {
    "parts": {"starter": 2_000, "team": 20_000, "unlimited": 100_000},
    "warehouses": {"starter": 50, "team": 500, "unlimited": 5_000},
    "inventory": {"starter": 10_000, "team": 50_000, "unlimited": 200_000},
    "webhook_endpoints": {"starter": 100, "team": 200, "unlimited": 1_000},
}
# Of one part in one warehouse, in a day in UTC.
MOVEMENTS_A_DAY: Mapping[PlanName, int] = {"starter": 1_000, "team": 5_000, "unlimited": 20_000}


# Test events that are kept: for a day.
WEBHOOK_TESTS = 1_000


class QuotaExceeded(Exception):
    """More than the plan has room for. quota: its name."""

    def __init__(self, quota: str, limit: int, used: int) -> None:
        super().__init__(f"{quota}: {used} of {limit}")
        self.quota, self.limit, self.used = quota, limit, used


async def plan_of(conn: Connection) -> PlanName:
    """Return the plan of the tenant."""
    (name,) = await fetch_one(await conn.execute("SELECT plan FROM organizations"))
    return name


async def check_room(conn: Connection, table: str, *, more: int = 1) -> None:
    """Raise QuotaExceeded where the tenant's plan has no room for `more` rows of the table.

    Tables without a quota have room. Transactions of the same moment do not see each other's rows.
    """
    if table not in ROWS:
        return
    limit = ROWS[table][await plan_of(conn)]
    counted = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT %s) AS counted")
    statement = counted.format(sql.Identifier(table))
    (used,) = await fetch_one(await conn.execute(statement, (limit + 1,)))
    if used + more > limit:
        raise QuotaExceeded(table, limit, used)
