"""Verdicts of punches that are judged again: what of it is due, and what replaces them.

What is to be judged again is noted in the transaction that causes it (`note_new_fixes`, a trigger
of job sites), so a process that is killed loses nothing of it. `use_cases.punches.amend` judges.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import columns
from db.history.failing_work import WorkKind, not_waiting
from db.punches.rows import WORK_ORDER, NewPunch
from geofence.punches.claim import AmendmentCause, ClaimedPunch, position
from telemetry.punch import PunchKind
from telemetry.times import to_us

PunchKey: TypeAlias = tuple[UUID, UUID]
"""The organization and the id of a punch."""

# What is noted ------------------------------------------------------------------------------------


class NewFixes(NamedTuple):
    """The times of fixes of a tracker that were just stored, the first and the last."""

    org_id: UUID
    tracker_id: UUID
    first: datetime
    last: datetime


_NOTE = """
UPDATE punch_evidence AS known SET is_outdated = true
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[])
       AS fix (org_id, tracker_id, first, last)
  JOIN tracker_assignments AS assigned
    ON assigned.org_id = fix.org_id AND assigned.tracker_id = fix.tracker_id
   AND assigned.employee_id IS NOT NULL AND assigned.assigned_from <= fix.last
   AND (assigned.assigned_to IS NULL OR assigned.assigned_to > fix.first)
 WHERE known.org_id = fix.org_id AND known.employee_id = assigned.employee_id
   AND known.fix_time BETWEEN fix.first - interval '1 day' AND fix.last + interval '1 day'
   AND known.fix_time - make_interval(secs => known.nearest_s) < fix.last
   AND known.fix_time + make_interval(secs => known.nearest_s) > fix.first
   AND NOT known.is_outdated
"""


async def note_new_fixes(conn: Connection, fixes: Sequence[NewFixes]) -> None:
    """Note the punches beside which these fixes are new evidence. fixes: of any trackers that are
    on no asset.

    The caller has not locked any employee yet in its transaction: `amend_some` locks the punches
    first.
    """
    if fixes:
        await conn.execute(_NOTE, [list(column) for column in zip(*fixes, strict=True)])


# What is due --------------------------------------------------------------------------------------

KIND: WorkKind = "punch"
"""The rows of this work are punches."""
CORRECTION_KIND: WorkKind = "jobsite_correction"
"""The rows of this work are organizations."""

_OUTDATED = f"""
SELECT org_id, punch_id FROM punch_evidence
 WHERE is_outdated AND {not_waiting(KIND, "punch_evidence.punch_id::text")}
 ORDER BY org_id, punch_id LIMIT %s
"""  # noqa: S608  # constants
_LOCK = """
SELECT known.org_id, known.punch_id
  FROM unnest(%s::uuid[], %s::uuid[]) AS wanted (org_id, punch_id)
  JOIN punch_evidence AS known USING (org_id, punch_id)
 WHERE known.is_outdated
 ORDER BY known.org_id, known.punch_id FOR NO KEY UPDATE OF known SKIP LOCKED
"""
_NEXT = f"""
SELECT org_id FROM jobsite_corrections AS known
 WHERE {not_waiting(CORRECTION_KIND, "known.org_id::text")}
 ORDER BY worked_at LIMIT 1
"""  # noqa: S608  # constants
_CORRECTION = """
SELECT org_id, next_at, next_id FROM jobsite_corrections
 WHERE org_id = %s FOR NO KEY UPDATE SKIP LOCKED
"""
_BEHIND = """
SELECT org_id, id, coalesce(fix_time, claimed_at) FROM punches
 WHERE org_id = %s AND lat IS NOT NULL AND (coalesce(fix_time, claimed_at), id) > (%s, %s)
 ORDER BY coalesce(fix_time, claimed_at), id LIMIT %s
"""
_GO_ON = """
UPDATE jobsite_corrections SET next_at = %s, next_id = %s, worked_at = clock_timestamp()
 WHERE org_id = %s
"""


class Correction(NamedTuple):
    """The corrected job sites of an organization, and the punch up to which others are judged."""

    org_id: UUID
    next_at: datetime
    next_id: UUID


async def outdated(conn: Connection, limit: int) -> list[PunchKey]:
    """Return the first punches that a late fix bears on and that do not wait after a failure."""
    return await (await conn.execute(_OUTDATED, (limit,))).fetchall()


async def lock_outdated(conn: Connection, keys: Sequence[PunchKey]) -> list[PunchKey]:
    """Lock those of the punches that a late fix still bears on."""
    return await (await conn.execute(_LOCK, columns(keys))).fetchall()


async def next_correction(conn: Connection) -> UUID | None:
    """Return the organization with corrected job sites whose turn it is."""
    row = await (await conn.execute(_NEXT)).fetchone()
    return None if row is None else row[0]


async def lock_correction(conn: Connection, org_id: UUID) -> Correction | None:
    """Lock the correction of an organization; None where it is done, or somebody is at it."""
    async with conn.cursor(row_factory=args_row(Correction)) as cursor:
        return await (await cursor.execute(_CORRECTION, (org_id,))).fetchone()


async def corrected(
    conn: Connection, correction: Correction, limit: int
) -> list[tuple[UUID, UUID, datetime]]:
    """Return the next punches of a correction: organization, id and time of the position."""
    return await (await conn.execute(_BEHIND, (*correction, limit))).fetchall()


async def go_on_behind(conn: Connection, org_id: UUID, at: datetime, punch_id: UUID) -> None:
    """Go on with a correction behind this punch, when others have had their turn."""
    await conn.execute(_GO_ON, (at, punch_id, org_id))


async def end_correction(conn: Connection, org_id: UUID) -> None:
    """Remove a correction of which all punches are judged."""
    await conn.execute("DELETE FROM jobsite_corrections WHERE org_id = %s", (org_id,))


# Punches as they are judged -----------------------------------------------------------------------


class JudgedPunch(NamedTuple):
    """A punch as it was judged. reasons: a JSON text."""

    org_id: UUID
    id: UUID
    employee_id: UUID
    kind: PunchKind
    claimed_at: datetime
    received_at: datetime
    tracker_id: UUID | None
    entered_by: UUID | None
    fix_time: datetime | None
    lat: float | None
    lon: float | None
    accuracy_m: float | None
    mock: bool
    pay_time: datetime
    revision: int
    review: str | None
    verdict: str
    reasons: str
    zone_id: UUID | None
    zone_version: int | None
    site_id: UUID | None
    distance_m: float | None
    margin_m: float | None

    @property
    def employee(self) -> tuple[UUID, UUID]:
        """Its organization and its employee."""
        return self.org_id, self.employee_id

    @property
    def as_new(self) -> NewPunch:
        """The punch as it came."""
        return NewPunch(
            org_id=self.org_id,
            employee_id=self.employee_id,
            kind=self.kind,
            claimed_us=to_us(self.claimed_at),
            received_us=to_us(self.received_at),
            tracker_id=self.tracker_id,
            fix_time_us=None if self.fix_time is None else to_us(self.fix_time),
            lat=self.lat,
            lon=self.lon,
            accuracy_m=self.accuracy_m,
            mock=self.mock,
        )

    @property
    def claim(self) -> ClaimedPunch:
        """The punch as it is judged."""
        new = self.as_new
        fix = position(new.fix_time_us, new.lon, new.lat, new.accuracy_m)
        return ClaimedPunch(new.kind, new.claimed_us, fix, new.mock)


_READ = sql.SQL(
    "SELECT {} FROM punches JOIN unnest(%s::uuid[], %s::uuid[]) AS wanted (org_id, id)"
    " USING (org_id, id) ORDER BY org_id, id"
).format(
    sql.SQL(", ").join(
        sql.SQL("reasons::text") if name == "reasons" else sql.Identifier(name)
        for name in JudgedPunch._fields
    )
)
_EMPLOYEES = """
SELECT org_id, employee_id, min(claimed_at) FROM punches
  JOIN unnest(%s::uuid[], %s::uuid[]) AS wanted (org_id, id) USING (org_id, id)
 GROUP BY org_id, employee_id
"""


async def first_claims(
    conn: Connection, punches: Sequence[PunchKey]
) -> dict[tuple[UUID, UUID], datetime]:
    """Return the first claimed time of each employee of these punches."""
    cursor = await conn.execute(_EMPLOYEES, _columns(punches))
    return {(org_id, employee_id): at for org_id, employee_id, at in await cursor.fetchall()}


async def judged_punches(conn: Connection, punches: Sequence[PunchKey]) -> list[JudgedPunch]:
    """Return punches by their organizations and ids."""
    async with conn.cursor(row_factory=args_row(JudgedPunch)) as cursor:
        return await (await cursor.execute(_READ, _columns(punches))).fetchall()


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


# What is written ----------------------------------------------------------------------------------

_KNOWN = """
UPDATE punch_evidence AS known SET nearest_s = fresh.nearest_s, is_outdated = false
  FROM unnest(%s::uuid[], %s::uuid[], %s::float8[]) AS fresh (org_id, punch_id, nearest_s)
 WHERE known.org_id = fresh.org_id AND known.punch_id = fresh.punch_id
"""
_KEEP = """
INSERT INTO punch_verdicts (org_id, punch_id, revision, cause, verdict, reasons, zone_id,
                            zone_version, site_id, distance_m, margin_m)
SELECT org_id, id, revision, %s, verdict, reasons, zone_id, zone_version, site_id, distance_m,
       margin_m
  FROM punches JOIN unnest(%s::uuid[], %s::uuid[]) AS amended (org_id, id) USING (org_id, id)
"""
_VERDICT = (
    "verdict", "reasons", "zone_id", "zone_version", "site_id", "distance_m", "margin_m",
    "revision",
)  # fmt: skip
# The work order follows the site, as when the punch was recorded.
_REPLACE = sql.SQL(
    """
    UPDATE punches AS stored
       SET ({columns}) = ROW ({fresh}),
           work_order_id = CASE
               WHEN (stored.site_id, stored.verdict = 'failed')
                    IS DISTINCT FROM (punch.site_id, punch.verdict = 'failed') THEN {work_order}
               ELSE stored.work_order_id END
      FROM jsonb_populate_recordset(NULL::punches, %s::jsonb) AS punch
     WHERE stored.org_id = punch.org_id AND stored.id = punch.id
    """
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _VERDICT)),
    fresh=sql.SQL(", ").join(sql.Identifier("punch", name) for name in _VERDICT),
    work_order=WORK_ORDER,
)


async def note_evidence(conn: Connection, known: Sequence[tuple[UUID, UUID, float]]) -> None:
    """Note how far in time the nearest evidence of punches is, seconds: organization, punch, how
    far. They are not outdated any more.
    """
    await conn.execute(_KNOWN, _columns(known))


async def replace_verdicts(
    conn: Connection, changed: Sequence[tuple[JudgedPunch, JudgedPunch]], cause: AmendmentCause
) -> None:
    """Keep the verdicts that are replaced, and write the new ones."""
    keys = [[old.org_id for old, _ in changed], [old.id for old, _ in changed]]
    await conn.execute(_KEEP, (cause, *keys))
    rows: list[dict[str, Any]] = [
        {
            "org_id": new.org_id,
            "id": new.id,
            "employee_id": new.employee_id,
            "kind": new.kind,
            "claimed_at": new.claimed_at,
            **{name: getattr(new, name) for name in _VERDICT},
            "reasons": json.loads(new.reasons),
        }
        for _, new in changed
    ]
    await conn.execute(_REPLACE, (msgspec.json.encode(rows).decode(),))


# What replaced verdicts were ----------------------------------------------------------------------


class EarlierVerdict(NamedTuple):
    """A verdict that was replaced. cause: of the replacement."""

    revision: int
    cause: AmendmentCause
    replaced_at: datetime
    verdict: str
    reasons: Sequence[Mapping[str, Any]]
    site_id: UUID | None
    zone_id: UUID | None
    zone_version: int | None
    distance_m: float | None
    margin_m: float | None


MOST_EARLIER = 100
"""The earlier verdicts of a punch that are shown, the first ones."""


async def earlier_verdicts(conn: Connection, punch_id: UUID) -> list[EarlierVerdict]:
    """Return the verdicts of a punch that were replaced, the first one first."""
    statement = sql.SQL(
        "SELECT {} FROM punch_verdicts WHERE punch_id = %s ORDER BY revision LIMIT %s"
    )
    columns = sql.SQL(", ").join(map(sql.Identifier, EarlierVerdict._fields))
    async with conn.cursor(row_factory=args_row(EarlierVerdict)) as cursor:
        await cursor.execute(statement.format(columns), (punch_id, MOST_EARLIER))
        return await cursor.fetchall()
