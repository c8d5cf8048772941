"""Assets and trackers from the lines of a file, a piece of them in one transaction.

`judge_assets` and `judge_trackers` change nothing: they say which lines can be made, which are
known already by their `external_id`, and what is wrong with the others. `import_assets` and
`import_trackers` write those that can be made. What the line alone says was checked before.

Nobody knows the secret of a tracker that is made here: only its hash is kept, and it has to be
rotated before the tracker can sign in.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from db.core.connect import Connection
from db.core.registry_revision import bump
from db.core.table import db_now
from db.listener import imei_claims
from db.resources import batches, trackers
from db.resources.assets import Asset
from db.resources.kinds import KINDS, Kind, lock_all_existing
from db.resources.quotas import read_room
from db.resources.trackers import EVER, Tracker
from operations.jobs import Fault

_SECRET_BYTES = 32
_OWNERS_OF_ASSETS = {"client_id": KINDS["client"], "site_id": KINDS["site"]}
_OWNERS_OF_TRACKERS = {"asset_id": KINDS["asset"], "employee_id": KINDS["employee"]}

_ROW = TypeVar("_ROW", Asset, Tracker)
AssetLine: TypeAlias = tuple[int, Asset]
TrackerLine: TypeAlias = tuple[int, Tracker]


@dataclass(slots=True)
class Judged(Generic[_ROW]):
    """Lines that can be made, how many are known, and what is wrong with the others."""

    sound: list[tuple[int, _ROW]]
    known: int
    faults: list[Fault] = field(default_factory=list[Fault])

    def refuse(self, faults: Sequence[Fault]) -> None:
        """Take out lines."""
        refused = {fault.line for fault in faults}
        self.sound = [(line, row) for line, row in self.sound if line not in refused]
        self.faults += faults


async def judge_assets(conn: Connection, lines: Sequence[AssetLine]) -> Judged[Asset]:
    """Compare lines with what is stored. What they name stays until the transaction ends."""
    taken = await batches.taken(conn, "assets", (asset.external_id for _, asset in lines))
    sound = [line for line in lines if line[1].external_id not in taken]
    judged = Judged(sound, len(lines) - len(sound))
    judged.refuse(await _missing(conn, judged.sound, _OWNERS_OF_ASSETS))
    judged.refuse(await _beyond_room(conn, "assets", [line for line, _ in judged.sound]))
    return judged


async def import_assets(conn: Connection, lines: Sequence[AssetLine]) -> Judged[Asset]:
    """Write the assets that can be made. Raises as `batches.insert_assets` does."""
    judged = await judge_assets(conn, lines)
    at = await db_now(conn)
    made = [asset._replace(created_at=at, updated_at=at) for _, asset in judged.sound]
    await batches.insert_assets(conn, made)
    return judged


async def judge_trackers(
    conn: Connection, lines: Sequence[TrackerLine], at: datetime
) -> Judged[Tracker]:
    """Compare lines with what is stored, as `judge_assets` does. The trackers that can be made say
    since when they are on their assets, or their employees'.
    """
    taken = await batches.taken(conn, "trackers", (tracker.external_id for _, tracker in lines))
    sound = [line for line in lines if line[1].external_id not in taken]
    judged = Judged(sound, len(lines) - len(sound))
    judged.refuse(await _missing(conn, judged.sound, _OWNERS_OF_TRACKERS))
    on_assets = [tracker.asset_id for _, tracker in judged.sound if tracker.asset_id is not None]
    free = await trackers.assets_free_since(conn, on_assets)
    judged.sound = [(line, _assigned(tracker, free)) for line, tracker in judged.sound]
    judged.refuse(
        [
            Fault("assigned_from must not lie in the future.", line, "assigned_from")
            for line, tracker in judged.sound
            if tracker.assigned_from is not None and tracker.assigned_from > at
        ]
    )
    judged.refuse(await _carried(conn, judged.sound))
    judged.refuse(await _claimed(conn, judged.sound))
    judged.refuse(await _beyond_room(conn, "trackers", [line for line, _ in judged.sound]))
    return judged


async def import_trackers(conn: Connection, lines: Sequence[TrackerLine]) -> Judged[Tracker]:
    """Write the trackers that can be made. Raises as `batches.insert_trackers` does."""
    revision, at = await bump(conn)
    judged = await judge_trackers(conn, lines, at)
    made = [
        (tracker._replace(created_at=at, updated_at=at), secrets.token_urlsafe(_SECRET_BYTES))
        for _, tracker in judged.sound
    ]
    await batches.insert_trackers(conn, made, revision)
    imeis = {tracker.id: tracker.imei for tracker, _ in made if tracker.imei is not None}
    await imei_claims.claim(conn, imeis, at)
    return judged


def _assigned(tracker: Tracker, free: Mapping[UUID, datetime]) -> Tracker:
    if tracker.asset_id is not None:
        first = free.get(tracker.asset_id, EVER)
    else:
        first = None if tracker.employee_id is None else EVER
    return tracker._replace(assigned_from=tracker.assigned_from or first)


async def _missing(
    conn: Connection, lines: Sequence[tuple[int, _ROW]], owners: Mapping[str, Kind]
) -> list[Fault]:
    """Return the faults of ids that name nothing. owners: kinds, by the column of their ids."""
    named = [
        (line, column, kind, row_id)
        for line, row in lines
        for column, kind in owners.items()
        if (row_id := getattr(row, column)) is not None
    ]
    if not named:
        return []
    wanted = {
        kind: {row_id for _, _, of, row_id in named if of is kind} for kind in owners.values()
    }
    there = await lock_all_existing(conn, wanted)
    return [
        Fault(f"There is no such {kind.noun}.", line, column)
        for line, column, kind, row_id in named
        if row_id not in there[kind]
    ]


async def _carried(conn: Connection, lines: Sequence[TrackerLine]) -> list[Fault]:
    """Return the faults of assets that have another tracker, stored or in the lines before."""
    wanted = [
        (line, tracker.asset_id, tracker.assigned_from)
        for line, tracker in lines
        if tracker.asset_id is not None and tracker.assigned_from is not None
    ]
    carrying = await batches.carrying(conn, [(asset_id, since) for _, asset_id, since in wanted])
    faults: list[Fault] = []
    for line, asset_id, _ in wanted:
        if asset_id in carrying:
            message = "The asset has another tracker in that time."
            faults.append(Fault(message, line, "asset_id"))
        carrying.add(asset_id)
    return faults


async def _claimed(conn: Connection, lines: Sequence[TrackerLine]) -> list[Fault]:
    """Return the faults of IMEIs that another tracker has, stored or in the lines before."""
    wanted = [(line, tracker.imei) for line, tracker in lines if tracker.imei is not None]
    claimed = await imei_claims.refused(conn, [imei for _, imei in wanted]) if wanted else set()
    faults: list[Fault] = []
    for line, imei in wanted:
        if imei in claimed:
            faults.append(Fault("Another tracker has claimed this IMEI.", line, "imei"))
        claimed.add(imei)
    return faults


async def _beyond_room(conn: Connection, table: str, lines: Sequence[int]) -> list[Fault]:
    """Return the faults of the lines for which the organization's quota has no room."""
    room = await read_room(conn, table)
    limit = room.limit(table)
    left = max(0, limit - room.used)
    return [Fault(f"There is room for {limit} {table}.", line) for line in lines[left:]]
