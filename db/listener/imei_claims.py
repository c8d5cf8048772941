"""Claims of IMEIs: which tracker a device without a secret is, by nothing but its IMEI.

A claim holds over all organizations. It is provisional until fixes have come by it over 24 hours,
or the operator confirms it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.registry_revision import bump
from db.core.tenant import act_for


class ImeiClaim(NamedTuple):
    """A claim, or one that was refused at `refused_at` and has no tracker."""

    imei: str
    org_id: UUID
    tracker_id: UUID | None
    claimed_at: datetime | None
    first_fix_at: datetime | None
    confirmed_at: datetime | None
    refused_at: datetime | None


async def refused(conn: Connection, imeis: Sequence[str]) -> set[str]:
    """Return those of the IMEIs that a tracker has claimed: who is refused them is remembered."""
    cursor = await conn.execute(
        "SELECT wanted FROM unnest(%s::text[]) AS wanted WHERE refuses_imei(wanted)", (list(imeis),)
    )
    return {imei for (imei,) in await cursor.fetchall()}


async def claim(conn: Connection, imeis: Mapping[UUID, str], claimed_at: datetime) -> None:
    """Let trackers that have claimed none claim IMEIs.

    Raises psycopg.errors.UniqueViolation for one that is claimed.
    """
    await conn.execute(
        """
        INSERT INTO imei_claims (org_id, tracker_id, imei, claimed_at)
        SELECT current_org_id(), tracker_id, imei, %s
          FROM unnest(%s::uuid[], %s::text[]) AS claimed (tracker_id, imei)
        """,
        (claimed_at, list(imeis.keys()), list(imeis.values())),
    )


async def give_up(conn: Connection, tracker_id: UUID) -> None:
    """End the claim of a tracker, if it has one."""
    await conn.execute("DELETE FROM imei_claims WHERE tracker_id = %s", (tracker_id,))


async def note_fixes(conn: Connection, tracker_ids: Sequence[UUID]) -> None:
    """Note that fixes of trackers came by their IMEIs just now. Most of it changes nothing."""
    await conn.execute(
        """
        UPDATE imei_claims
           SET confirmed_at = CASE WHEN first_fix_at IS NOT NULL THEN now() END,
               first_fix_at = coalesce(first_fix_at, now())
         WHERE tracker_id = ANY (%s) AND confirmed_at IS NULL
           AND (first_fix_at IS NULL OR first_fix_at <= now() - interval '24 hours')
        """,
        (list(tracker_ids),),
    )


_UNUSED = """
SELECT org_id, tracker_id FROM imei_claims
 WHERE first_fix_at IS NULL AND confirmed_at IS NULL AND claimed_at < now() - interval '30 days'
 LIMIT %s
"""


async def end_unused(conn: Connection, limit: int) -> int:
    """End up to `limit` claims of all organizations that nothing was sent by in 30 days; how many
    it were. For a role that is not under row-level security.
    """
    async with conn.transaction():
        unused = await (await conn.execute(_UNUSED, (limit,))).fetchall()
        if unused:
            revision, _ = await bump(conn)
            for org_id, tracker_id in unused:
                await _end(conn, org_id, tracker_id, revision)
    return len(unused)


async def _end(conn: Connection, org_id: UUID, tracker_id: UUID, revision: int) -> None:
    """End a claim, and let listeners know by the tracker's revision."""
    values = {"org_id": org_id, "tracker_id": tracker_id, "revision": revision}
    await conn.execute(
        "DELETE FROM imei_claims WHERE org_id = %(org_id)s AND tracker_id = %(tracker_id)s", values
    )
    await conn.execute(
        "UPDATE trackers SET revision = %(revision)s"
        " WHERE org_id = %(org_id)s AND id = %(tracker_id)s",
        values,
    )


# For the operator, as opsc_owner ---------------------------------------------------------------


async def all_claims(conn: Connection) -> list[ImeiClaim]:
    """Return the claims and the refused ones of all organizations, by IMEI."""
    async with conn.cursor(row_factory=args_row(ImeiClaim)) as cursor:
        await cursor.execute(
            """
            SELECT imei, org_id, tracker_id, claimed_at, first_fix_at, confirmed_at, NULL
              FROM imei_claims
             UNION ALL
            SELECT imei, org_id, NULL, NULL, NULL, NULL, refused_at FROM refused_imei_claims
             ORDER BY 1, 4, 7
            """
        )
        return await cursor.fetchall()


async def confirm(conn: Connection, imei: str) -> bool:
    """Confirm a claim. Returns False where nobody has claimed the IMEI."""
    cursor = await conn.execute(
        "UPDATE imei_claims SET confirmed_at = coalesce(confirmed_at, now()) WHERE imei = %s",
        (imei,),
    )
    return cursor.rowcount == 1


async def release(conn: Connection, imei: str) -> bool:
    """End a claim, whoever has it. Returns False where nobody has claimed the IMEI."""
    cursor = await conn.execute(
        "SELECT org_id, tracker_id FROM imei_claims WHERE imei = %s", (imei,)
    )
    claim = await cursor.fetchone()
    if claim is None:
        return False
    org_id, tracker_id = claim
    revision, _ = await bump(conn)
    await act_for(conn, org_id)
    await _end(conn, org_id, tracker_id, revision)
    return True
