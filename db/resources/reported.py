"""The things that reports are about, and the stays of assets in zones, by name and client.

A tag and a client are those that a thing has now. A zone is a client's where it is the geofence of
one of the client's sites.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import rows_of
from db.core.listing import Conditions

_TAGS: LiteralString = """
coalesce((SELECT t.tags FROM asset_tags t
           WHERE t.org_id = a.org_id AND t.asset_id = a.id AND t.valid_to IS NULL), '{}')
"""
_ASSETS = sql.SQL(
    """
    SELECT a.id, a.name, a.client_id, c.name, {tags} FROM assets a
      LEFT JOIN clients c ON c.org_id = a.org_id AND c.id = a.client_id
    {where} ORDER BY a.name_key, a.id LIMIT %(at_most)s
    """
)
_EMPLOYEES = sql.SQL(
    """
    SELECT e.id, e.name, NULL, NULL, '{{}}'::text[] FROM employees e
    {where} ORDER BY e.name_key, e.id LIMIT %(at_most)s
    """
)
_CARRIED: LiteralString = """
EXISTS (SELECT FROM tracker_assignments held
         WHERE held.org_id = a.org_id AND held.asset_id = a.id AND held.assigned_from < %(until)s
           AND (held.assigned_to IS NULL OR held.assigned_to > %(since)s))
"""
_HELD: LiteralString = """
EXISTS (SELECT FROM tracker_assignments held
         WHERE held.org_id = e.org_id AND held.employee_id = e.id
           AND held.assigned_from < %(until)s
           AND (held.assigned_to IS NULL OR held.assigned_to > %(since)s))
"""
_BEEN_IN: LiteralString = """
EXISTS (SELECT FROM visits v
         WHERE v.org_id = a.org_id AND v.asset_id = a.id AND v.zone_id = ANY (%(zone_ids)s)
           AND NOT v.retracted AND v.entered_at < %(until)s
           AND (v.left_at IS NULL OR v.left_at > %(since)s))
"""
_OF_CLIENTS: LiteralString = """
v.zone_id IN (SELECT s.zone_id FROM sites s
               WHERE s.client_id = ANY (%(client_ids)s) AND s.deleted_at IS NULL)
"""
_OF_TAGGED: LiteralString = """
EXISTS (SELECT FROM asset_tags t
         WHERE t.org_id = v.org_id AND t.asset_id = v.asset_id AND t.valid_to IS NULL
           AND t.tags && %(tags)s)
"""


class ReportedThing(NamedTuple):
    """An asset, or an employee, who has no client and no tags."""

    id: UUID
    name: str
    client_id: UUID | None
    client_name: str | None
    tags: Sequence[str]


class ReportedVisit(NamedTuple):
    id: UUID
    asset_id: UUID
    zone_id: UUID
    entered_at: datetime
    left_at: datetime | None
    dwelled_at: datetime | None


class ZoneClient(NamedTuple):
    zone_id: UUID
    client_id: UUID
    client_name: str


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """A filter of things and visits: within [since, until), of any of the ids and tags that are
    given. reader: the user who reads nothing of other people; None: all are read.
    """

    since: datetime
    until: datetime
    asset_ids: Sequence[UUID] | None = None
    employee_ids: Sequence[UUID] | None = None
    client_ids: Sequence[UUID] | None = None
    zone_ids: Sequence[UUID] | None = None
    tags: Sequence[str] | None = None
    reader: UUID | None = None

    def assets(self) -> Conditions:
        conditions = Conditions()
        conditions.add(_CARRIED, since=self.since, until=self.until)
        if self.asset_ids is not None:
            conditions.add("a.id = ANY (%(asset_ids)s)", asset_ids=list(self.asset_ids))
        if self.client_ids is not None:
            conditions.add("a.client_id = ANY (%(client_ids)s)", client_ids=list(self.client_ids))
        if self.zone_ids is not None:
            conditions.add(_BEEN_IN, zone_ids=list(self.zone_ids))
        if self.tags is not None:
            conditions.add(sql.SQL("{} && %(tags)s").format(sql.SQL(_TAGS)), tags=self.tags)
        return conditions

    def employees(self) -> Conditions:
        conditions = Conditions()
        conditions.add(_HELD, since=self.since, until=self.until)
        if self.employee_ids is not None:
            conditions.add("e.id = ANY (%(employee_ids)s)", employee_ids=list(self.employee_ids))
        if self.reader is not None:
            conditions.add("e.user_id = %(reader)s", reader=self.reader)
        return conditions

    def visits(self) -> Conditions:
        conditions = Conditions()
        conditions.add(
            "NOT v.retracted AND v.entered_at < %(until)s"
            " AND (v.left_at IS NULL OR v.left_at > %(since)s)",
            since=self.since,
            until=self.until,
        )
        if self.asset_ids is not None:
            conditions.add("v.asset_id = ANY (%(asset_ids)s)", asset_ids=list(self.asset_ids))
        if self.zone_ids is not None:
            conditions.add("v.zone_id = ANY (%(zone_ids)s)", zone_ids=list(self.zone_ids))
        if self.client_ids is not None:
            conditions.add(_OF_CLIENTS, client_ids=list(self.client_ids))
        if self.tags is not None:
            conditions.add(_OF_TAGGED, tags=self.tags)
        return conditions


async def assets(conn: Connection, wanted: ReportFilter, at_most: int) -> list[ReportedThing]:
    """Return assets that had a tracker, deleted ones too, in order of name; the first `at_most`."""
    conditions = wanted.assets()
    statement = _ASSETS.format(tags=sql.SQL(_TAGS), where=conditions.where())
    rows = await rows_of(conn, statement, conditions.values | {"at_most": at_most})
    return [ReportedThing(*row) for row in rows]


async def employees(conn: Connection, wanted: ReportFilter, at_most: int) -> list[ReportedThing]:
    """Return employees who had a tracker, deleted ones too, in order of name; the first
    `at_most`.
    """
    conditions = wanted.employees()
    statement = _EMPLOYEES.format(where=conditions.where())
    rows = await rows_of(conn, statement, conditions.values | {"at_most": at_most})
    return [ReportedThing(*row) for row in rows]


async def assets_of(conn: Connection, ids: Iterable[UUID]) -> Mapping[UUID, ReportedThing]:
    conditions = Conditions()
    conditions.add("a.id = ANY (%(ids)s)", ids=list(ids))
    statement = _ASSETS.format(tags=sql.SQL(_TAGS), where=conditions.where())
    rows = await rows_of(conn, statement, conditions.values | {"at_most": None})
    return {row[0]: ReportedThing(*row) for row in rows}


async def visits(conn: Connection, wanted: ReportFilter, at_most: int) -> list[ReportedVisit]:
    """Return visits that lie within the time at least in part, in order of time; the first
    `at_most`.
    """
    conditions = wanted.visits()
    statement = sql.SQL(
        """
        SELECT v.id, v.asset_id, v.zone_id, v.entered_at, v.left_at, v.dwelled_at FROM visits v
        {} ORDER BY v.entered_at, v.id LIMIT %(at_most)s
        """
    ).format(conditions.where())
    rows = await rows_of(conn, statement, conditions.values | {"at_most": at_most})
    return [ReportedVisit(*row) for row in rows]


async def zone_names(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the names of zones as they are now, of deleted ones as they were last."""
    statement = """
        SELECT z.id, version.name FROM zones z
          JOIN zone_versions version
            ON version.org_id = z.org_id AND version.zone_id = z.id AND version.version = z.version
         WHERE z.id = ANY (%s)
    """
    return dict(await rows_of(conn, statement, (list(ids),)))


async def clients_of_zones(conn: Connection, ids: Iterable[UUID]) -> list[ZoneClient]:
    """Return the clients whose sites have one of the zones as their geofence."""
    statement = """
        SELECT DISTINCT s.zone_id, c.id, c.name FROM sites s
          JOIN clients c ON c.org_id = s.org_id AND c.id = s.client_id
         WHERE s.zone_id = ANY (%s) AND s.deleted_at IS NULL
         ORDER BY c.name, c.id
    """
    return [ZoneClient(*row) for row in await rows_of(conn, statement, (list(ids),))]
