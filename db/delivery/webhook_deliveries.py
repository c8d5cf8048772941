"""Deliveries as the delivering processes work on them: claim, post (elsewhere), mark.

A claim is a lease on one row, `claimed_until`: several processes share the work, and what a killed
one had claimed comes back by itself: when its claimer is known to be dead, at the latest when the
lease ends. No transaction is open while a delivery is posted. So an attempt may be repeated after a
crash, under the same event id, and never gets lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.errors import UniqueViolation
from db.history.failing_work import WorkKind

KIND: WorkKind = "delivery"
"""The rows of this work are deliveries that failed by a fault of ours."""

State = Literal["pending", "delivered", "failed"]


class ClaimedEndpoint(NamedTuple):
    """The endpoint of claimed deliveries, with the settings that it had at `updated_at`.

    previous_secret_encrypted: signs, too, until previous_secret_until. headers_encrypted: of the
    endpoint's owner, as JSON. thin: `data` goes without anything but ids.
    """

    org_id: UUID
    id: UUID
    url: str
    secret_encrypted: bytes
    updated_at: datetime = datetime.min.replace(tzinfo=UTC)
    previous_secret_encrypted: bytes | None = None
    previous_secret_until: datetime | None = None
    headers_encrypted: bytes | None = None
    thin: bool = False


class ClaimedDelivery(NamedTuple):
    """One delivery to attempt.

    `attempts` counts those before this one. `data` is JSON text. Times are Unix microseconds.
    is_ordered: comes when those before it have been accepted.
    """

    endpoint: ClaimedEndpoint
    id: UUID
    event_id: UUID
    attempts: int
    type: str
    seq: int
    occurred_us: int
    created_us: int
    data: str
    is_test: bool = False
    is_ordered: bool = False


class Mark(NamedTuple):
    """The outcome of an attempt. `retry_s`: from now to the next one, where it is pending.

    The log has a row of it. began_us: Unix microseconds; None: there was no attempt, and is no row.
    duration_ms, headers (as JSON) and body are None where there was no answer. is_our_fault: the
    endpoint has no part in the failure. counts: as an attempt.
    """

    claim: ClaimedDelivery
    state: State
    status: int | None
    error: str | None
    retry_s: float = 0.0
    began_us: int | None = None
    duration_ms: int | None = None
    headers: str | None = None
    body: str | None = None
    is_our_fault: bool = False
    counts: bool = True


# `after` turns the order of endpoints, so that a limit does not always favour the same ones. What
# waits for an organization without the API, or for a disabled endpoint, stays where it is.
#
# Ordered deliveries of an endpoint are claimed in a row, beginning with the smallest seq that
# waits, be it due or not. They are found first, and locked then: SKIP LOCKED would take those
# behind one that is locked. So a claim ends before the first that is not free.
#
# An endpoint's settings come with the first of its deliveries.
#
# Rows that are locked stay where they are, so they are found again by their place. One that was
# changed just before it was locked has another place than this statement sees: the next claim takes
# it.
#
# Events are found by their seq: the next one stands beside it, while ids are in no order. The event
# of a test has no seq, and its delivery has 0.
_CLAIM = """
WITH endpoint AS (
    SELECT p.org_id, p.id, p.updated_at, p.url, p.secret_encrypted, p.headers_encrypted,
           p.previous_secret_encrypted, p.previous_secret_until, p.payload = 'thin' AS thin,
           least(coalesce(known.capacity, %(capacity)s), %(capacity_max)s) AS capacity
      FROM webhook_endpoints AS p
      JOIN organizations AS o USING (org_id)
      LEFT JOIN unnest(%(endpoint_ids)s::uuid[], %(capacities)s::int[])
           AS known (id, capacity) USING (id)
     WHERE p.deleted_at IS NULL AND p.state = 'active' AND o.api_access
     ORDER BY p.id <= %(after)s, p.id
), due AS (
    SELECT d.ctid, endpoint.url, endpoint.secret_encrypted, endpoint.previous_secret_encrypted,
           endpoint.previous_secret_until, endpoint.headers_encrypted, endpoint.thin,
           endpoint.updated_at
      FROM endpoint
     CROSS JOIN LATERAL (
        SELECT * FROM (
         SELECT ctid FROM webhook_deliveries
          WHERE org_id = endpoint.org_id AND endpoint_id = endpoint.id AND state = 'pending'
            AND NOT is_ordered AND next_attempt_at <= now()
            AND (claimed_until IS NULL OR claimed_until <= now()
                 OR claimer <> ALL (%(living)s::int[])
                    AND claimed_until <= now() + make_interval(secs => %(dead_lease_s)s))
          ORDER BY next_attempt_at, seq LIMIT endpoint.capacity
            FOR UPDATE SKIP LOCKED) AS unordered
        UNION ALL
        SELECT * FROM (
         SELECT ctid FROM (
          SELECT ctid, place, place = row_number() OVER (ORDER BY place) AS follows FROM (
           SELECT known.ctid, first.place
             FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS place
                     FROM (SELECT seq FROM webhook_deliveries
                            WHERE endpoint_id = endpoint.id AND state = 'pending' AND is_ordered
                            ORDER BY seq LIMIT endpoint.capacity) AS smallest) AS first
             JOIN webhook_deliveries AS known USING (seq)
            WHERE known.org_id = endpoint.org_id AND known.endpoint_id = endpoint.id
              AND known.state = 'pending' AND known.is_ordered AND known.next_attempt_at <= now()
              AND (known.claimed_until IS NULL OR known.claimed_until <= now()
                   OR known.claimer <> ALL (%(living)s::int[])
                      AND known.claimed_until <= now() + make_interval(secs => %(dead_lease_s)s))
              FOR UPDATE OF known SKIP LOCKED) AS locked) AS in_a_row
          WHERE follows ORDER BY place) AS ordered) AS d
     LIMIT %(limit)s
), claimed AS (
    UPDATE webhook_deliveries AS d
       SET claimed_until = now() + make_interval(secs => %(lease_s)s), claimer = %(claimer)s
      FROM due WHERE d.ctid = due.ctid
    RETURNING d.org_id, d.endpoint_id, d.event_id, d.id, d.seq, d.attempts, d.is_ordered,
              CASE WHEN d.is_ordered THEN '-infinity' ELSE d.next_attempt_at END AS place,
              due.url, due.secret_encrypted, due.previous_secret_encrypted,
              due.previous_secret_until, due.headers_encrypted, due.thin, due.updated_at
)
SELECT c.id, c.event_id, c.attempts, e.type, c.seq,
       (extract(epoch FROM e.occurred_at) * 1000000)::bigint,
       (extract(epoch FROM e.created_at) * 1000000)::bigint, e.data::text, e.is_test, c.is_ordered,
       CASE WHEN c.is_first THEN c.org_id END, CASE WHEN c.is_first THEN c.endpoint_id END,
       CASE WHEN c.is_first THEN c.url END, CASE WHEN c.is_first THEN c.secret_encrypted END,
       CASE WHEN c.is_first THEN c.updated_at END,
       CASE WHEN c.is_first THEN c.previous_secret_encrypted END,
       CASE WHEN c.is_first THEN c.previous_secret_until END,
       CASE WHEN c.is_first THEN c.headers_encrypted END, CASE WHEN c.is_first THEN c.thin END
  FROM (SELECT *, row_number() OVER of_endpoint = 1 AS is_first FROM claimed
        WINDOW of_endpoint AS (PARTITION BY endpoint_id ORDER BY place, seq)) AS c
 CROSS JOIN LATERAL (
    SELECT type, occurred_at, created_at, data, is_test FROM events
     WHERE org_id = c.org_id AND seq = c.seq AND id = c.event_id
     UNION ALL
    SELECT type, occurred_at, created_at, data, is_test FROM events
     WHERE c.seq = 0 AND org_id = c.org_id AND id = c.event_id) AS e
 ORDER BY c.endpoint_id, c.place, c.seq
"""

_SETTINGS = len(ClaimedDelivery._fields) - 1  # the place of the first column of an endpoint

# Of the endpoints that `_CLAIM` would claim for.
_LAST_CHANGES = """
SELECT p.id, p.updated_at
  FROM unnest(%s::uuid[]) AS wanted (id)
  JOIN webhook_endpoints AS p USING (id)
  JOIN organizations AS o USING (org_id)
 WHERE p.deleted_at IS NULL AND p.state = 'active' AND o.api_access
"""

# A mark that comes late, when the claim has lapsed and another process has marked the row, changes
# nothing, unless it tells that the event was accepted. "Not yet decided" is written so that the
# rows are found by their ids: state = 'pending' lets the planner read all that is pending instead.
# So would the lengths of the arrays, if each SELECT did not hide them: it would read the table.
# In the same statement go the rows of the log, and what is known of failing endpoints: well_ids are
# those that accepted any of these attempts, failing_ids those that accepted none. An endpoint with
# no failure for 36 hours, longer than the longest delay, begins anew: nothing was tried meanwhile.
# What is known of them is locked in one order first, as other processes do. Neither is kept of an
# organization that has been deleted meanwhile.
_MARK = """
WITH m AS MATERIALIZED (
    SELECT * FROM unnest(
        (SELECT %(org_ids)s::uuid[]), (SELECT %(ids)s::uuid[]), (SELECT %(attempts)s::int[]),
        (SELECT %(states)s::text[]), (SELECT %(statuses)s::int[]), (SELECT %(errors)s::text[]),
        (SELECT %(retries_s)s::float8[]), (SELECT %(began_us)s::bigint[]),
        (SELECT %(durations_ms)s::int[]), (SELECT %(headers)s::text[]),
        (SELECT %(bodies)s::text[]), (SELECT %(counted)s::int[]))
        AS m (org_id, id, attempts, state, status, error, retry_s, began_us,
              duration_ms, headers, body, counted)
), locked AS (
    SELECT known.org_id, known.endpoint_id, m.is_well
      FROM webhook_failures AS known
      JOIN (SELECT org_id, endpoint_id, true AS is_well
              FROM unnest(%(well_org_ids)s::uuid[], %(well_ids)s::uuid[]) AS w (org_id, endpoint_id)
             UNION ALL
            SELECT org_id, endpoint_id, false
              FROM unnest(%(failing_org_ids)s::uuid[], %(failing_ids)s::uuid[])
                   AS f (org_id, endpoint_id)) AS m USING (org_id, endpoint_id)
     ORDER BY known.org_id, known.endpoint_id
       FOR UPDATE OF known
), failing AS (
    INSERT INTO webhook_failures AS known (org_id, endpoint_id)
    SELECT org_id, endpoint_id
      FROM unnest(%(failing_org_ids)s::uuid[], %(failing_ids)s::uuid[]) AS f (org_id, endpoint_id)
      JOIN organizations USING (org_id)
     WHERE (SELECT count(*) FROM locked) >= 0
     ORDER BY org_id, endpoint_id
        ON CONFLICT (org_id, endpoint_id) DO UPDATE
       SET failed_at = excluded.failed_at,
           failing_since = CASE WHEN known.failed_at < now() - interval '36 hours'
                                THEN excluded.failing_since ELSE known.failing_since END
), well AS (
    DELETE FROM webhook_failures AS known USING locked
     WHERE known.org_id = locked.org_id AND known.endpoint_id = locked.endpoint_id
       AND locked.is_well
), logged AS (
    INSERT INTO webhook_attempts (org_id, delivery_id, attempted_at, status, duration_ms, error,
                                  response_headers, response_body, next_attempt_at)
    SELECT m.org_id, m.id, 'epoch'::timestamptz + m.began_us * interval '1 microsecond', m.status,
           m.duration_ms, left(m.error, 500), m.headers, m.body,
           CASE WHEN m.state = 'pending' THEN now() + make_interval(secs => m.retry_s) END
      FROM m JOIN organizations USING (org_id) WHERE m.began_us IS NOT NULL
        {on_conflict}
)
UPDATE webhook_deliveries AS d
   SET state = m.state, claimed_until = NULL,
       attempts = d.attempts + m.counted,
       next_attempt_at = now() + make_interval(secs => m.retry_s),
       last_status = m.status, last_error = left(m.error, 500),
       delivered_at = CASE WHEN m.state = 'delivered' THEN now() END
  FROM m
 WHERE d.org_id = m.org_id AND d.id = m.id
   AND d.state NOT IN ('delivered', 'failed') AND (d.attempts = m.attempts OR m.state = 'delivered')
"""

# Rows of the log are written at once where none of them is there yet: each costs less.
_MARK_ONCE = _MARK.replace("{on_conflict}", "")
_MARK_AGAIN = _MARK.replace("{on_conflict}", "ON CONFLICT DO NOTHING")

_RELEASE = """
UPDATE webhook_deliveries AS d SET claimed_until = NULL
  FROM unnest(%(org_ids)s::uuid[], %(ids)s::uuid[], %(attempts)s::int[])
       AS m (org_id, id, attempts)
 WHERE d.org_id = m.org_id AND d.id = m.id
   AND d.state NOT IN ('delivered', 'failed') AND d.attempts = m.attempts
   AND d.claimer = %(claimer)s
"""

_GO_ON = f"""
WITH released AS (
    DELETE FROM failing_work WHERE kind = '{KIND}' AND tries = 0 RETURNING org_id, key
)
UPDATE webhook_deliveries AS d SET next_attempt_at = now()
  FROM released
 WHERE d.org_id = released.org_id AND d.id = released.key::uuid AND d.state = 'pending'
"""  # noqa: S608  # a constant

# Only dead endpoints are looked at, each by the index.
_FAIL_UNDELIVERABLE = """
WITH endpoint AS (
    SELECT p.org_id, p.id,
           CASE WHEN p.deleted_at IS NOT NULL THEN 'the endpoint was deleted'
                WHEN NOT o.api_access THEN 'the plan has no webhooks'
                ELSE 'the endpoint is disabled' END AS reason,
           CASE WHEN p.deleted_at IS NOT NULL THEN 'infinity'
                ELSE now() - interval '3 days' END AS due_before
      FROM webhook_endpoints AS p
      JOIN organizations AS o USING (org_id)
     WHERE p.deleted_at IS NOT NULL OR NOT o.api_access
        OR p.state = 'disabled' AND p.disabled_at < now() - interval '3 days'
), orphan AS (
    SELECT d.org_id, d.endpoint_id, d.event_id, endpoint.reason
      FROM endpoint
     CROSS JOIN LATERAL (
        SELECT org_id, endpoint_id, event_id FROM webhook_deliveries
         WHERE org_id = endpoint.org_id AND endpoint_id = endpoint.id AND state = 'pending'
           AND is_ordered = ANY ('{false,true}') AND next_attempt_at < endpoint.due_before
           AND (claimed_until IS NULL OR claimed_until <= now())
         LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS d
     LIMIT %(limit)s
)
UPDATE webhook_deliveries AS d
   SET state = 'failed', claimed_until = NULL, last_error = orphan.reason
  FROM orphan
 WHERE d.org_id = orphan.org_id AND d.endpoint_id = orphan.endpoint_id
   AND d.event_id = orphan.event_id
"""


@dataclass(frozen=True, slots=True)
class WantedDeliveries:
    """The deliveries that one claim may take: `capacities` per endpoint, `capacity` from any other,
    `limit` in all.

    Endpoints are asked in the order of their ids, beginning behind `after`. claimer: who claims.
    living: claimers whose claims hold until their lease ends; None: the claims of all do.
    dead_after_s: how long the claims of others hold, too.
    """

    limit: int
    capacity: int
    capacities: Mapping[UUID, int]
    after: UUID
    lease_s: float
    claimer: int
    living: Sequence[int] | None = None
    dead_after_s: float = 0.0


async def claim(conn: Connection, wanted: WantedDeliveries) -> list[ClaimedDelivery]:
    """Take due deliveries for `lease_s`: endpoint after endpoint, of each the oldest first."""
    async with conn.cursor() as cursor:
        await cursor.execute(
            _CLAIM,
            {
                "limit": wanted.limit,
                "capacity": wanted.capacity,
                "capacity_max": wanted.limit,
                "endpoint_ids": _array([endpoint_id.hex for endpoint_id in wanted.capacities]),
                "capacities": _array([*wanted.capacities.values()]),
                "after": wanted.after,
                "lease_s": wanted.lease_s,
                "claimer": wanted.claimer,
                "living": wanted.living if wanted.living is None else list(wanted.living),
                "dead_lease_s": wanted.lease_s - wanted.dead_after_s,
            },
            prepare=False,  # a plan kept from when the tables were small would read them all later
        )
        claims: list[ClaimedDelivery] = []
        endpoint = None
        for row in await cursor.fetchall():
            if row[_SETTINGS] is not None:
                endpoint = ClaimedEndpoint(*row[_SETTINGS:])
            assert endpoint is not None
            claims.append(ClaimedDelivery(endpoint, *row[:_SETTINGS]))
        return claims


async def last_changes(conn: Connection, endpoint_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return the last change of those of the endpoints that deliveries may go to."""
    if not endpoint_ids:
        return {}
    cursor = await conn.execute(_LAST_CHANGES, (list(endpoint_ids),))
    return dict(await cursor.fetchall())


async def mark(conn: Connection, marks: Sequence[Mark]) -> None:
    """Write what became of attempts, in one statement."""
    values = _identities([mark.claim for mark in marks]) | _outcomes(marks) | _health(marks)
    try:
        await conn.execute(_MARK_ONCE, values, prepare=False)  # as in `claim`
    except UniqueViolation:  # the connection broke before we heard that they were written
        await conn.execute(_MARK_AGAIN, values, prepare=False)


async def go_on_with_released(conn: Connection) -> None:
    """Make those deliveries due that an operator has let go (`db.history.failing_work.release`)."""
    await conn.execute(_GO_ON)


async def release(conn: Connection, claims: Sequence[ClaimedDelivery], claimer: int) -> None:
    """Give back what the claimer has claimed and not attempted."""
    await conn.execute(_RELEASE, _identities(claims) | {"claimer": claimer})


async def fail_undeliverable(conn: Connection, *, limit: int) -> int:
    """Fail the deliveries of deleted endpoints, and those that have been due for three days without
    the plan or for an endpoint that has been disabled for three days; return their number.
    """
    # Planned each time, as in `claim`.
    cursor = await conn.execute(_FAIL_UNDELIVERABLE, {"limit": limit}, prepare=False)
    return cursor.rowcount


def _health(marks: Sequence[Mark]) -> dict[str, str]:
    """Return the endpoints that accepted any attempt, and those that only failed. Tests do not
    count.
    """
    counted = [mark for mark in marks if not (mark.is_our_fault or mark.claim.is_test)]
    # By the number of the id: a UUID takes ten times as long to hash.
    seen = {mark.claim.endpoint.id.int: mark.claim.endpoint for mark in counted}
    well = {mark.claim.endpoint.id.int for mark in counted if mark.state == "delivered"}
    accepting = [seen[number] for number in well]
    failing = [seen[number] for number in seen.keys() - well]
    return {
        "well_org_ids": _array([endpoint.org_id.hex for endpoint in accepting]),
        "well_ids": _array([endpoint.id.hex for endpoint in accepting]),
        "failing_org_ids": _array([endpoint.org_id.hex for endpoint in failing]),
        "failing_ids": _array([endpoint.id.hex for endpoint in failing]),
    }


def _outcomes(marks: Sequence[Mark]) -> dict[str, str]:
    """Return the columns of the outcomes, and of the rows of the log."""
    return {
        "states": _array([mark.state for mark in marks]),
        "statuses": _array([mark.status for mark in marks]),
        "errors": _text_array([mark.error for mark in marks]),
        "retries_s": _array([mark.retry_s for mark in marks]),
        "began_us": _array([mark.began_us for mark in marks]),
        "durations_ms": _array([mark.duration_ms for mark in marks]),
        "headers": _text_array([mark.headers for mark in marks]),
        "bodies": _text_array([mark.body for mark in marks]),
        "counted": _array([int(mark.counts) for mark in marks]),
    }


def _identities(claims: Sequence[ClaimedDelivery]) -> dict[str, str]:
    return {
        "org_ids": _array([claim.endpoint.org_id.hex for claim in claims]),
        "ids": _array([claim.id.hex for claim in claims]),
        "attempts": _array([claim.attempts for claim in claims]),
    }


def _array(values: Sequence[object]) -> str:
    """Return an array of numbers, ids, times or words as PostgreSQL reads it. For these long ones
    psycopg's own way takes several times as long.
    """
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _text_array(values: Sequence[str | None]) -> str:
    """Return an array of any texts. Most are the same."""
    quoted = {value: None if value is None else _quoted(value) for value in set(values)}
    return _array([quoted[value] for value in values])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
