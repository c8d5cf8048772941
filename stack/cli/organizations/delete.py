"""The deletion of an organization, step by step (`db.resources.organization_removal`), while the
system runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from db.core import leases
from db.core.connect import Connection, Limits, connect
from db.core.errors import DatabaseError
from db.core.tenant import act_for
from db.resources import organization_removal as removal
from stack.errors import StackError
from stack.servers.supervisor import Say
from telemetry.ids import format_id

# For the last step, which may have many rows to write off; ingest waits meanwhile.
LIMITS = Limits(statement_s=600, lock_s=60, transaction_s=1800)
# The listener hears of revoked trackers within a second, the API of users within two.
SETTLE_S = 3.0
SAID_EVERY_ROWS = 1_000_000


async def name_of(url: str, org_id: UUID) -> str:
    """Return the organization's name. Raises StackError where there is none."""
    try:
        async with await connect(url, "opsc org delete", LIMITS) as conn, _acting(conn, org_id):
            name = await removal.name_of(conn)
    except DatabaseError as error:
        raise StackError(f"the organization cannot be read: {error}") from error
    if name is None:
        raise StackError("there is no such organization")
    return name


async def delete(url: str, org_id: UUID, say: Say) -> int:
    """Remove all that belongs to it; returns how many rows went in pieces. May be repeated."""
    name = format_id("org", org_id)
    try:
        async with await connect(url, "opsc org delete", LIMITS) as conn:
            async with _acting(conn, org_id):
                await removal.retire(conn)
                tracker_ids = await removal.trackers(conn)
            say(f"users can no longer sign in, {len(tracker_ids):,} trackers are revoked")
            await asyncio.sleep(SETTLE_S)
            rows = await _remove_in_pieces(conn, org_id, tracker_ids, say)
            async with _acting(conn, org_id):
                objects = await removal.remove(conn, leases.INGEST)
                # The organization's own audit events are gone with it.
                await removal.log(
                    conn, f"opsc org delete: {name} is deleted, {rows} rows in pieces"
                )
            if objects:
                say(
                    f"{objects:,} objects of the archive go with the next pass of `opsc deliver`,"
                    " within an hour"
                )
    except DatabaseError as error:
        raise StackError(
            f"only a part of the organization is deleted: {error}; run the command again"
        ) from error
    return rows


async def _remove_in_pieces(
    conn: Connection, org_id: UUID, tracker_ids: list[UUID], say: Say
) -> int:
    removed, said = 0, 0
    for tracker_id in [*tracker_ids, None]:  # None: all but fixes
        while True:
            async with _acting(conn, org_id):
                if tracker_id is None:
                    rows = await removal.remove_piece(conn)
                else:
                    rows = await removal.remove_fixes(conn, tracker_id)
            removed += rows
            if removed - said >= SAID_EVERY_ROWS:
                say(f"{removed:,} rows are removed")
                said = removed
            if rows == 0:
                break
    return removed


@asynccontextmanager
async def _acting(conn: Connection, org_id: UUID) -> AsyncIterator[None]:
    """Provide a transaction for the organization, as the owner of all tables."""
    async with conn.transaction():
        await conn.execute("SET LOCAL ROLE opsc_owner")
        await act_for(conn, org_id)
        yield
