"""Webhook endpoints that are disabled by the system: what failed for long, what is gone, and for
what too much waits.

As opsc_deliver. The state, the event for the other endpoints and the letters to the admins are
written in one transaction. Since when an endpoint fails is written with the marks of attempts
(`db.delivery.webhook_deliveries`).
"""

from collections.abc import Collection
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.ids import new_id
from db.delivery import mail_outbox
from db.history import events
from db.history.events import Event
from geofence.event_data.webhook_endpoints import ENDPOINT_DISABLED, DisabledEndpoint
from telemetry.ids import format_id
from telemetry.times import format_time, to_us

Reason: TypeAlias = Literal["failures", "gone", "backlog"]

# An endpoint whose failures began long before the last of them, and none was accepted between.
_FAILING = """
SELECT f.org_id, f.endpoint_id, p.updated_at
  FROM webhook_failures AS f
  JOIN webhook_endpoints AS p ON p.org_id = f.org_id AND p.id = f.endpoint_id
 WHERE f.failed_at - f.failing_since >= make_interval(secs => %s)
   AND p.state = 'active' AND p.deleted_at IS NULL
 LIMIT %s
"""
# Deliveries that wait for each endpoint of an organization, those of disabled ones too. No more are
# counted than say that there are too many.
_WAITING = """
SELECT p.org_id, p.id, p.updated_at, p.state = 'active',
       (SELECT count(*) FROM (
            SELECT FROM webhook_deliveries AS d
             WHERE d.endpoint_id = p.id AND d.org_id = p.org_id AND d.state = 'pending'
             LIMIT %(most)s) AS counted) AS waiting
  FROM webhook_endpoints AS p
 WHERE p.org_id = %(org_id)s AND p.deleted_at IS NULL
 ORDER BY waiting DESC
"""
# A row that its owner's transaction has locked is skipped: nobody's deliveries wait for it.
_DISABLE = """
WITH free AS (
    SELECT p.org_id, p.id
      FROM unnest(%(org_ids)s::uuid[], %(ids)s::uuid[], %(updated_at)s::timestamptz[])
           AS one (org_id, id, updated_at)
      JOIN webhook_endpoints AS p USING (org_id, id, updated_at)
     WHERE p.state = 'active' AND p.deleted_at IS NULL
       FOR NO KEY UPDATE OF p SKIP LOCKED
), disabled AS (
    UPDATE webhook_endpoints AS p
       SET state = 'disabled', disabled_reason = %(reason)s, disabled_at = now(),
           updated_at = clock_timestamp()
      FROM free WHERE p.org_id = free.org_id AND p.id = free.id
    RETURNING p.org_id, p.id, p.description, p.disabled_at
)
SELECT disabled.org_id, disabled.id, disabled.description, disabled.disabled_at, f.failing_since
  FROM disabled
  LEFT JOIN webhook_failures AS f
    ON f.org_id = disabled.org_id AND f.endpoint_id = disabled.id
"""
_STILL_ACTIVE = """
SELECT p.org_id, p.id, p.updated_at
  FROM unnest(%(org_ids)s::uuid[], %(ids)s::uuid[], %(updated_at)s::timestamptz[])
       AS one (org_id, id, updated_at)
  JOIN webhook_endpoints AS p USING (org_id, id, updated_at)
 WHERE p.state = 'active' AND p.deleted_at IS NULL
"""


class KnownEndpoint(NamedTuple):
    """An endpoint as it was at its last change: what failed was attempted with these settings."""

    org_id: UUID
    id: UUID
    updated_at: datetime


class _Disabled(NamedTuple):
    org_id: UUID
    id: UUID
    description: str | None
    at: datetime
    failing_since: datetime | None


async def disable_failing(conn: Connection, *, after_s: float, limit: int) -> None:
    """Disable up to `limit` active endpoints that have accepted nothing for `after_s`, of which the
    last attempt failed too.
    """
    async with conn.cursor(row_factory=args_row(KnownEndpoint)) as cursor:
        await cursor.execute(_FAILING, (after_s, limit))
        failing = await cursor.fetchall()
    await disable(conn, failing, "failures")


async def disable_overfull(
    conn: Connection, org_id: UUID, *, of_endpoint: int, of_organization: int
) -> None:
    """Disable the active endpoints of an organization for which more than `of_endpoint` deliveries
    wait, and, as long as more than `of_organization` wait for all that are left, the one that has
    most.
    """
    cursor = await conn.execute(_WAITING, {"org_id": org_id, "most": of_endpoint + 1})
    rows = await cursor.fetchall()
    left = sum(waiting for *_, waiting in rows)
    overfull: list[KnownEndpoint] = []
    for *endpoint, is_active, waiting in rows:  # those with most come first
        if is_active and (waiting > of_endpoint or left > of_organization):
            overfull.append(KnownEndpoint(*endpoint))
            left -= waiting
    await disable(conn, overfull, "backlog")


async def disable(
    conn: Connection, endpoints: Collection[KnownEndpoint], reason: Reason
) -> set[KnownEndpoint]:
    """Disable those of the endpoints that are active and have not been changed since. Return those
    that could not be, because somebody else had locked them: try them again later.
    """
    if not endpoints:
        return set()
    org_ids, ids, updated_at = zip(*endpoints, strict=True)
    values = {"org_ids": list(org_ids), "ids": list(ids), "updated_at": list(updated_at)}
    async with conn.transaction():
        async with conn.cursor(row_factory=args_row(_Disabled)) as cursor:
            await cursor.execute(_DISABLE, {"reason": reason, **values})
            disabled = await cursor.fetchall()
        await events.insert(conn, [_event(endpoint, reason) for endpoint in disabled])
        for endpoint in disabled:
            await mail_outbox.add_endpoint_disabled(conn, endpoint.org_id, endpoint.id)
        if len(disabled) == len(endpoints):
            return set()
        async with conn.cursor(row_factory=args_row(KnownEndpoint)) as cursor:
            await cursor.execute(_STILL_ACTIVE, values)
            return set(await cursor.fetchall())


def _event(row: _Disabled, reason: Reason) -> Event:
    data = DisabledEndpoint(
        endpoint_id=format_id("whe", row.id),
        description=row.description,
        reason=reason,
        disabled_at=format_time(to_us(row.at)),
        failing_since=None if row.failing_since is None else format_time(to_us(row.failing_since)),
    )
    text = msgspec.json.encode(data).decode()
    return Event(row.org_id, new_id(), ENDPOINT_DISABLED, row.at, text)
