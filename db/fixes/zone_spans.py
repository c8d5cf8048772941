"""Fixes within visits of a zone: the spans (tracker, since, until) of the visits, and the times
from which, or up to which, a page looks at them.

A zone may have a million visits, and a page of fixes is about a few of them. So a page looks at the
few visits first that began last (or first, where the oldest fixes come first), and at four times as
many until it is full. Visits that began in a stretch of time stand together in an index. Those that
began before it and reach into it are the last one of each asset, since an asset has one visit of a
zone at a time: the index `visits_by_asset` leads from asset to asset, and to that visit.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.listing import Conditions

_FIRST_VISITS = 16
_MORE = 4

_BEEN_IN_ZONE: LiteralString = """
WITH RECURSIVE been (asset_id) AS (
    (SELECT v.asset_id FROM visits v WHERE v.zone_id = %(zone)s AND NOT v.retracted
      ORDER BY v.asset_id LIMIT 1)
    UNION ALL
    SELECT (SELECT v.asset_id FROM visits v WHERE v.zone_id = %(zone)s AND NOT v.retracted
               AND v.asset_id > been.asset_id ORDER BY v.asset_id LIMIT 1)
      FROM been WHERE been.asset_id IS NOT NULL)
SELECT asset_id FROM been WHERE asset_id IS NOT NULL
"""
_OF_ASSETS: LiteralString = "SELECT unnest(%(assets)s::uuid[]) AS asset_id"
_OF_TRACKERS: LiteralString = """
SELECT DISTINCT asset_id FROM tracker_assignments
 WHERE tracker_id = ANY (%(trackers)s) AND asset_id IS NOT NULL
"""
_BEGUN_BEFORE: LiteralString = """
UNION ALL
SELECT v.asset_id, v.entered_at, v.left_at FROM ({assets}) AS been
 CROSS JOIN LATERAL (
    SELECT * FROM visits v
     WHERE v.zone_id = %(zone)s AND v.asset_id = been.asset_id AND NOT v.retracted
       AND v.entered_at < %(since)s
     ORDER BY v.entered_at DESC, v.left_at DESC LIMIT 1) AS v
 WHERE v.left_at IS NULL OR v.left_at > %(since)s
"""
_SPANS: LiteralString = """
SELECT a.tracker_id, greatest(v.entered_at, a.assigned_from) AS since,
       least(v.left_at, a.assigned_to, 'infinity') AS until
  FROM (SELECT v.asset_id, v.entered_at, v.left_at FROM visits v {begun_within}
        {begun_before}) AS v
  JOIN tracker_assignments a
    ON a.asset_id = v.asset_id
   AND (v.left_at IS NULL OR a.assigned_from < v.left_at)
   AND (a.assigned_to IS NULL OR a.assigned_to > v.entered_at)
   {of_trackers}
"""
_BEGINNING: LiteralString = """
SELECT v.entered_at FROM visits v {conditions}
 ORDER BY v.entered_at {way}, v.id {way} OFFSET %(visits)s LIMIT 1
"""


class ZoneVisits(NamedTuple):
    """The visits of a zone that share an instant with [since, until), of assets, or of assets that
    trackers were on; without any of these, of all.
    """

    zone_id: UUID
    asset_ids: Sequence[UUID]
    tracker_ids: Sequence[UUID]
    since: datetime | None
    until: datetime | None

    def spans(self) -> tuple[sql.Composable, dict[str, object]]:
        """Return a SELECT of (tracker_id, since, until) with its values."""
        begun_within = self._begun_within()
        begun_before = of_trackers = sql.SQL("")
        if self.since is not None:
            begun_before = sql.SQL(_BEGUN_BEFORE).format(assets=sql.SQL(self._assets()))
        if self.tracker_ids:
            of_trackers = sql.SQL("AND a.tracker_id = ANY (%(trackers)s)")
        statement = sql.SQL(_SPANS).format(
            begun_within=begun_within.where(), begun_before=begun_before, of_trackers=of_trackers
        )
        return statement, begun_within.values

    async def beginnings(self, conn: Connection, *, descending: bool) -> AsyncIterator[datetime]:
        """Yield when a visit began that has some, and then ever more, visits between itself and the
        end of the time from which the page begins. Ends where there are no more.
        """
        conditions = self._begun_within()
        way = sql.SQL("DESC" if descending else "ASC")
        statement = sql.SQL(_BEGINNING).format(conditions=conditions.where(), way=way)
        visits = _FIRST_VISITS
        while True:
            cursor = await conn.execute(statement, conditions.values | {"visits": visits})
            row = await cursor.fetchone()
            if row is None:
                return
            yield row[0]
            visits *= _MORE

    def _begun_within(self) -> Conditions:
        conditions = Conditions()
        conditions.add("v.zone_id = %(zone)s AND NOT v.retracted", zone=self.zone_id)
        if self.asset_ids:
            conditions.add("v.asset_id = ANY (%(assets)s)", assets=list(self.asset_ids))
        if self.tracker_ids:
            trackers = list(self.tracker_ids)
            conditions.add(f"v.asset_id = ANY (ARRAY ({_OF_TRACKERS}))", trackers=trackers)
        if self.since is not None:
            conditions.add("v.entered_at >= %(since)s", since=self.since)
        if self.until is not None:
            conditions.add("v.entered_at < %(until)s", until=self.until)
        return conditions

    def _assets(self) -> LiteralString:
        if self.asset_ids:
            return _OF_ASSETS
        return _OF_TRACKERS if self.tracker_ids else _BEEN_IN_ZONE
