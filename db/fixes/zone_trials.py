"""The machines by which a zone is tried that is not there: those that were near it, or chosen ones.

A fleet may have a billion fixes of a day, so it is looked at now and then: MOST_LOOKS fixes at most
are read, each by the index on tracker and time, spread evenly over the span.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions
from db.fixes.areas import Box

MOST_LOOKS = 100_000
_MOST_LOOKS_AT_ONE = 288  # of a day: each five minutes

_ASSIGNED = sql.SQL(
    """
  FROM tracker_assignments AS assigned
  JOIN assets AS asset ON asset.org_id = assigned.org_id AND asset.id = assigned.asset_id
 WHERE assigned.assigned_from < %(until)s
   AND (assigned.assigned_to IS NULL OR assigned.assigned_to > %(since)s)
   AND asset.deleted_at IS NULL {}
"""
)
_NEAR = sql.SQL(
    """
SELECT wanted.asset_id
  FROM (SELECT assigned.tracker_id, assigned.asset_id, assigned.assigned_from,
               assigned.assigned_to {assigned} LIMIT %(most_looks)s) AS wanted
 CROSS JOIN generate_series(%(since)s, %(until)s - interval '1 microsecond', %(step)s) AS look (at)
 CROSS JOIN LATERAL (
       SELECT fix.lat, fix.lon FROM gps_events AS fix
        WHERE fix.tracker_id = wanted.tracker_id
          AND fix.time >= greatest(look.at, wanted.assigned_from)
          AND fix.time < least(look.at + %(step)s, wanted.assigned_to, %(until)s)
          AND fix.time BETWEEN %(since)s AND %(until)s  -- spares looking into chunks of other times
        ORDER BY fix.time, fix.seq LIMIT 1) AS fix
 WHERE fix.lat BETWEEN %(south)s AND %(north)s
   AND CASE WHEN %(west)s <= %(east)s THEN fix.lon BETWEEN %(west)s AND %(east)s
            ELSE fix.lon >= %(west)s OR fix.lon <= %(east)s END
 GROUP BY wanted.asset_id ORDER BY count(*) DESC, wanted.asset_id LIMIT %(most)s
"""
)
_OF_ASSETS = sql.SQL("SELECT asset.id, asset.asset_class FROM assets AS asset {}")


class TrialSpan(NamedTuple):
    """The times in [since, until)."""

    since: datetime
    until: datetime


class TriedAsset(NamedTuple):
    id: UUID
    asset_class: str


async def near(
    conn: Connection,
    around: Box,
    span: TrialSpan,
    chosen: Mapping[str, Sequence[str]] | None,
    most: int,
) -> list[UUID]:
    """Return the assets that were seen most often within the box, these first; at most `most`.

    chosen: the assets that the zone bears on, as zones have them.
    """
    conditions = _borne_on(chosen)
    assigned = _ASSIGNED.format(conditions.and_also())
    values = conditions.values | {"since": span.since, "until": span.until}
    count = await value_of(conn, sql.SQL("SELECT count(*) ") + assigned, values)
    looks = max(1, min(_MOST_LOOKS_AT_ONE, MOST_LOOKS // max(count, 1)))
    step = max((span.until - span.since) / looks, timedelta(microseconds=1))
    values |= around._asdict() | {"step": step, "most": most, "most_looks": MOST_LOOKS}
    cursor = await conn.execute(_NEAR.format(assigned=assigned), values)
    return [asset_id for (asset_id,) in await cursor.fetchall()]


async def tried(
    conn: Connection, asset_ids: Sequence[UUID], chosen: Mapping[str, Sequence[str]] | None
) -> list[TriedAsset]:
    """Return those of the assets that the zone bears on, in their order."""
    conditions = _borne_on(chosen)
    conditions.add("asset.id = ANY (%(asset_ids)s)", asset_ids=list(asset_ids))
    cursor = await conn.execute(_OF_ASSETS.format(conditions.where()), conditions.values)
    assets = {row[0]: TriedAsset(*row) for row in await cursor.fetchall()}
    return [assets[asset_id] for asset_id in dict.fromkeys(asset_ids) if asset_id in assets]


def _borne_on(chosen: Mapping[str, Sequence[str]] | None) -> Conditions:
    """Return the condition on `asset` by its id and its present tags."""
    conditions = Conditions()
    if chosen is not None:
        conditions.add(
            "(asset.id = ANY (%(chosen_ids)s::uuid[]) OR EXISTS (SELECT FROM asset_tags AS tagged"
            " WHERE tagged.org_id = asset.org_id AND tagged.asset_id = asset.id"
            " AND tagged.valid_to IS NULL AND tagged.tags && %(chosen_tags)s::text[]))",
            chosen_ids=list(chosen["ids"]),
            chosen_tags=list(chosen["tags"]),
        )
    return conditions
