"""Giving a tracker to an asset or an employee and taking it away, without changing what was already
judged.

An assignment to an asset may reach back to stored fixes that belong to no asset: ingest then judges
them as late ones (`db.ingest.asset_backlogs`). The first assignment of a tracker reaches back as
far as it can. The fixes of an employee's tracker belong to no asset; an employee may have several
trackers.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.http.problems import bad_field, conflict
from api.request.references import check_reference
from db.core.connect import Connection
from db.ingest import asset_backlogs
from db.resources import trackers
from db.resources.kinds import KINDS
from db.resources.trackers import EVER, Tracker


@dataclass(frozen=True, slots=True)
class Assignment:
    """The wanted assignment, to an asset or to an employee.

    since: None: as far back as a first one can, else from now on.
    """

    asset_id: UUID | None
    since: datetime | None
    employee_id: UUID | None = None


async def assign(
    conn: Connection, tracker: Tracker, wanted: Assignment, *, revision: int, at: datetime
) -> datetime | None:
    """Give `tracker` to an asset or an employee, away from where it is.

    Returns the time of the first stored fix that belonged to no asset and does now, if there is
    any. Raises Problem: 404 for what is not there, 422 for a time to come, 409 for a past in which
    fixes of the tracker belong to an asset or another assignment stands.
    """
    for name, owner_id in (("asset", wanted.asset_id), ("employee", wanted.employee_id)):
        if owner_id is not None:
            await check_reference(conn, KINDS[name], owner_id)
    owner = (wanted.asset_id, wanted.employee_id)
    is_there = owner == (tracker.asset_id, tracker.employee_id)
    if is_there and wanted.since in (None, tracker.assigned_from):
        return None
    since = wanted.since or await _beginning(conn, tracker, wanted, at)
    if since > at:
        raise bad_field("/assigned_from", "assigned_from must not lie in the future.")
    until = at
    if is_there and tracker.assigned_from is not None and since < tracker.assigned_from:
        until = tracker.assigned_from
        await trackers.extend_assignment(
            conn, tracker_id=tracker.id, assigned_from=since, revision=revision
        )
    else:
        if since < at:
            await _check_free(conn, tracker, since)
        await _end(conn, tracker, since, revision)
        await trackers.begin_assignment(
            conn,
            tracker_id=tracker.id,
            asset_id=wanted.asset_id,
            employee_id=wanted.employee_id,
            assigned_from=since,
            revision=revision,
        )
    if wanted.asset_id is None:
        return None
    return await _reach_back(conn, tracker.id, wanted.asset_id, (since, until), revision)


async def unassign(conn: Connection, tracker: Tracker, *, revision: int, at: datetime) -> None:
    """Take `tracker` away from where it is, now."""
    await _end(conn, tracker, at, revision)


async def _beginning(
    conn: Connection, tracker: Tracker, wanted: Assignment, at: datetime
) -> datetime:
    """Return since when a first assignment holds: ever, or since the asset lost its
    last tracker.
    """
    if await trackers.was_ever_assigned(conn, tracker.id):
        return at
    if wanted.asset_id is None:
        return EVER
    return (await trackers.assets_free_since(conn, [wanted.asset_id])).get(wanted.asset_id, EVER)


async def _check_free(conn: Connection, tracker: Tracker, since: datetime) -> None:
    if await trackers.has_fix_of_asset(conn, tracker.id, since):
        raise conflict(
            "fixes_stored",
            "Fixes of the tracker since then are already stored for an asset.",
            pointer="/assigned_from",
        )


async def _reach_back(
    conn: Connection,
    tracker_id: UUID,
    asset_id: UUID,
    gained: tuple[datetime, datetime],
    revision: int,
) -> datetime | None:
    """Queue the asset to be judged again by the time [since, until) that it has gained of the
    tracker.

    Also where no fix lies in it: the tracker was somewhere already.
    """
    since, until = gained
    first = await trackers.first_fix(conn, tracker_id, since)
    is_known = first is not None or (
        since < until and await trackers.first_fix(conn, tracker_id, EVER) is not None
    )
    if is_known:
        await asset_backlogs.put(conn, asset_id, since, revision)
    return first if first is not None and first < until else None


async def _end(conn: Connection, tracker: Tracker, until: datetime, revision: int) -> None:
    if tracker.assigned_from is None:
        return
    if tracker.assigned_from >= until:
        raise conflict(
            "assignment_overlaps",
            "The tracker was assigned at a later time.",
            pointer="/assigned_from",
        )
    await trackers.end_assignment(conn, tracker_id=tracker.id, assigned_to=until, revision=revision)
