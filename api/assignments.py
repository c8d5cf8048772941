"""Putting a tracker on an asset and taking it off, without changing what was already judged."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.problems import Fault, bad_field, conflict, not_found
from db import assets, tracker_assignments
from db.connect import Connection
from db.trackers import Tracker


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is wanted; `since` None: from now on."""

    asset_id: UUID
    since: datetime | None


async def assign(
    conn: Connection, tracker: Tracker, wanted: Assignment, *, revision: int, at: datetime
) -> None:
    """Puts `tracker` on an asset, off the one it is on.

    Raises Problem: 404 for an asset that is not there, 422 for a time to come, 409 for a past in
    which fixes of the tracker are stored or another assignment stands.
    """
    if not await assets.exists(conn, wanted.asset_id):
        fault = Fault("There is no such asset.", pointer="/asset_id")
        raise not_found("asset", fault=fault)
    if wanted.asset_id == tracker.asset_id and wanted.since in (None, tracker.assigned_from):
        return
    since = wanted.since or at
    await _check_start(conn, tracker, since, at)
    await _end(conn, tracker, since, revision)
    await tracker_assignments.begin(
        conn,
        tracker_id=tracker.id,
        asset_id=wanted.asset_id,
        assigned_from=since,
        revision=revision,
    )


async def unassign(conn: Connection, tracker: Tracker, *, revision: int, at: datetime) -> None:
    """Takes `tracker` off the asset that it is on, now."""
    await _end(conn, tracker, at, revision)


async def _check_start(conn: Connection, tracker: Tracker, since: datetime, at: datetime) -> None:
    if since > at:
        raise bad_field("/assigned_from", "assigned_from must not lie in the future.")
    if since < at and await tracker_assignments.has_fix_since(conn, tracker.id, since):
        raise conflict(
            "fixes_stored",
            "Fixes of the tracker since then are stored already.",
            pointer="/assigned_from",
        )


async def _end(conn: Connection, tracker: Tracker, until: datetime, revision: int) -> None:
    if tracker.assigned_from is None:
        return
    if tracker.assigned_from >= until:
        raise conflict(
            "assignment_overlaps",
            "The tracker is on an asset since a later time.",
            pointer="/assigned_from",
        )
    await tracker_assignments.end(conn, tracker_id=tracker.id, assigned_to=until, revision=revision)
