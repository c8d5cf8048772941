"""Evidence beside punches: who may punch how, where the employee was, where their machine was.

Every question is asked for many punches at once. In each statement the organization stands beside
the id: ingest sees the rows of all organizations.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import columns, rows_of
from db.punches.rows import NewPunch
from db.punches.sites import PunchSites
from geofence.punches.claim import PunchRules, TimedPosition, position
from operations.work_orders.states import UNASSIGNED
from telemetry.fix import NO_EVIDENCE
from telemetry.times import to_datetime, to_us

_PREVIOUS_WITHIN = timedelta(days=1)  # a leap of longer than this may have been a flight
_MACHINE_WITHIN = timedelta(minutes=5)
_ORDER_SLACK_US = 3_600_000_000
# Nobody knows where the employee was at a time like this: it is the clock that is wrong.
_KNOWN_BEFORE, _KNOWN_AFTER = timedelta(days=60), timedelta(days=1)


class OrderedSite(NamedTuple):
    """A site of a work order that an employee has or had. All times are microseconds since 1970.

    from_us, to_us: the planned time and an hour around it, of work that has begun without an end;
    None: not bounded. assigned_us: when the order was assigned first. ended_us: None: it goes on.
    """

    site_id: UUID
    from_us: int | None
    to_us: int | None
    assigned_us: int | None
    ended_us: int | None

    def counts_at(self, time_us: int, slack_us: int = 0) -> bool:
        """Return whether the order was in somebody's hands, and was planned for about then."""
        return (
            (self.from_us is None or self.from_us <= time_us)
            and (self.to_us is None or time_us <= self.to_us)
            and (self.assigned_us is None or self.assigned_us - slack_us <= time_us)
            and (self.ended_us is None or time_us <= self.ended_us + slack_us)
        )


class PunchTerms(NamedTuple):
    """The rights of an employee to punch, and the rules of their organization.

    by: with what. site_ids: where; None where that is not limited. ordered: sites of work orders.
    """

    name: str
    by: frozenset[str]
    site_ids: frozenset[UUID] | None
    ordered: Sequence[OrderedSite]
    rules: PunchRules

    def sites_at(self, time_us: int) -> PunchSites:
        """Return where a punch of a claimed time counts.

        An order counts for an hour more at either end, for clocks and for the way out. That hour
        takes nobody the right to punch elsewhere.
        """
        ordered = {one.site_id for one in self.ordered if one.counts_at(time_us, _ORDER_SLACK_US)}
        site_ids = (self.site_ids or frozenset()) | ordered
        is_limited = self.site_ids or any(one.counts_at(time_us) for one in self.ordered)
        return PunchSites(site_ids or None, or_jobsites=bool(site_ids) and not is_limited)


class PunchSender(NamedTuple):
    """Facts of the tracker that sent a punch.

    is_of_employee: it is assigned to the employee, at the claimed time or at receipt. asset_id: the
    asset that it is on at the claimed time.
    """

    is_terminal: bool
    is_of_employee: bool
    asset_id: UUID | None


class KnownPlace(NamedTuple):
    """A place of an employee or a machine, by the number of the punch that was asked about."""

    number: int
    position: TimedPosition


# The times of an order depend on its end, not on whether it has ended when a punch arrives: a punch
# that waited in a phone counts as it would have at once. `since`: of the first punch.
_LOCK = (
    sql.SQL(
        """
SELECT employee.org_id, employee.id, employee.name, employee.punch_by, employee.punch_site_ids,
       organization.punch_rules,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(
                   job.site_id,
                   floor(extract(epoch FROM CASE WHEN job.planned_start IS NOT NULL THEN
                       least(job.planned_start - interval '1 hour', job.started_at) END) * 1000000),
                   ceil(extract(epoch FROM CASE WHEN job.started_at IS NULL THEN
                       job.planned_end + interval '1 hour' END) * 1000000),
                   floor(extract(epoch FROM assigned.at) * 1000000),
                   ceil(extract(epoch FROM job.ended_at) * 1000000))), '[]')
          FROM (SELECT org_id, work_order_id FROM work_order_assignees
                 WHERE org_id = employee.org_id AND employee_id = employee.id
                 ORDER BY work_order_id DESC LIMIT 500) AS assignee
          JOIN work_orders AS job
            ON job.org_id = assignee.org_id AND job.id = assignee.work_order_id
          JOIN sites AS site ON site.org_id = job.org_id AND site.id = job.site_id
          LEFT JOIN LATERAL (
               SELECT made.created_at AS at FROM work_order_transitions AS made
                WHERE made.org_id = job.org_id AND made.work_order_id = job.id
                  AND made.state = 'assigned'
                ORDER BY made.created_at, made.id LIMIT 1) AS assigned ON true
         WHERE job.deleted_at IS NULL AND site.zone_id IS NOT NULL AND site.deleted_at IS NULL
           AND (job.state <> ALL ({unassigned}) OR assigned.at IS NOT NULL)
           AND (job.ended_at IS NULL OR job.ended_at >= wanted.since - interval '1 hour'))
  FROM unnest(%b::uuid[], %b::uuid[], %b::timestamptz[]) AS wanted (org_id, id, since)
  JOIN employees AS employee USING (org_id, id)
  JOIN organizations AS organization USING (org_id)
 ORDER BY employee.id
   FOR NO KEY UPDATE OF employee
"""
    )
    .format(unassigned=sql.Literal(list(UNASSIGNED)))
    .as_bytes()
)


async def lock_employees(
    conn: Connection, since: Mapping[tuple[UUID, UUID], datetime]
) -> dict[tuple[UUID, UUID], PunchTerms]:
    """Lock the employees that exist until the transaction ends, in the order of their ids.

    since: the earliest claimed time that is asked about, by organization and employee. Of the work
    orders of an employee the newest 500 count. Their punches are recorded by one transaction after
    the other: what is asked behind this sees the punches of those before. A soft-deleted employee
    exists: what their phone still has is kept.
    """
    wanted = sorted(((*employee, at) for employee, at in since.items()), key=lambda one: one[1])
    return {
        (org_id, employee_id): PunchTerms(
            name,
            frozenset(by),
            None if site_ids is None else frozenset(site_ids),
            [OrderedSite(UUID(site_id), *times) for site_id, *times in ordered],
            PunchRules(**rules),
        )
        for org_id, employee_id, name, by, site_ids, rules, ordered in await rows_of(
            conn, _LOCK, columns(wanted)
        )
    }


_SENDERS = """
SELECT wanted.number, tracker.is_punch_terminal,
       EXISTS (
           SELECT FROM tracker_assignments AS known
            WHERE known.org_id = wanted.org_id AND known.tracker_id = wanted.tracker_id
              AND known.employee_id = wanted.employee_id
              AND (known.assigned_from <= wanted.claimed_at
                   AND (known.assigned_to IS NULL OR known.assigned_to > wanted.claimed_at)
                   OR known.assigned_from <= wanted.received_at
                   AND (known.assigned_to IS NULL OR known.assigned_to > wanted.received_at))),
       (SELECT known.asset_id FROM tracker_assignments AS known
         WHERE known.org_id = wanted.org_id AND known.tracker_id = wanted.tracker_id
           AND known.assigned_from <= wanted.claimed_at
           AND (known.assigned_to IS NULL OR known.assigned_to > wanted.claimed_at))
  FROM unnest(%b::int4[], %b::uuid[], %b::uuid[], %b::uuid[], %b::timestamptz[], %b::timestamptz[])
       AS wanted (number, org_id, tracker_id, employee_id, claimed_at, received_at)
  JOIN trackers AS tracker ON tracker.org_id = wanted.org_id AND tracker.id = wanted.tracker_id
"""


async def senders(conn: Connection, punches: Sequence[NewPunch]) -> dict[int, PunchSender]:
    """Return the facts of the trackers that sent punches, by the number of the punch."""
    wanted = [
        (
            number,
            one.org_id,
            one.tracker_id,
            one.employee_id,
            to_datetime(one.claimed_us),
            to_datetime(one.received_us),
        )
        for number, one in enumerate(punches)
        if one.tracker_id is not None
    ]
    if not wanted:
        return {}
    rows = await rows_of(conn, _SENDERS, columns(wanted))
    return {number: PunchSender(*facts) for number, *facts in rows}


# The nearest fix on either side, of the trackers of an employee or of an asset. The last condition
# says nothing new, but spares looking into chunks of other times.
_FIXES = sql.SQL(
    """
    SELECT wanted.number, fix.time, fix.lon, fix.lat, fix.accuracy_m
      FROM unnest(%(number)b::int4[], %(org_id)b::uuid[], %(owner)b::uuid[], %(at)b::timestamptz[])
           AS wanted (number, org_id, owner, at)
      JOIN tracker_assignments AS known
        ON known.org_id = wanted.org_id AND known.{owner} = wanted.owner
       AND known.assigned_from <= wanted.at + %(within)s
       AND (known.assigned_to IS NULL OR known.assigned_to > wanted.at - %(within)s)
     CROSS JOIN LATERAL (
           (SELECT * FROM gps_events AS stored
             WHERE stored.tracker_id = known.tracker_id
               AND stored.time <= wanted.at AND stored.time >= wanted.at - %(within)s
               AND stored.time >= known.assigned_from
               AND stored.time < coalesce(known.assigned_to, 'infinity')
               AND stored.time BETWEEN %(first)s AND %(last)s AND stored.flags & %(unfit)s = 0
             ORDER BY stored.time DESC, stored.seq DESC LIMIT 1)
            UNION ALL
           (SELECT * FROM gps_events AS stored
             WHERE stored.tracker_id = known.tracker_id
               AND stored.time > wanted.at AND stored.time <= wanted.at + %(within)s
               AND stored.time >= known.assigned_from
               AND stored.time < coalesce(known.assigned_to, 'infinity')
               AND stored.time BETWEEN %(first)s AND %(last)s AND stored.flags & %(unfit)s = 0
             ORDER BY stored.time, stored.seq LIMIT 1)) AS fix
    """
)
_PUNCHES = """
SELECT wanted.number, place.fix_time, place.lon, place.lat, place.accuracy_m
  FROM unnest(%(number)b::int4[], %(org_id)b::uuid[], %(owner)b::uuid[], %(at)b::timestamptz[],
              %(id)b::uuid[], %(received_at)b::timestamptz[])
       AS wanted (number, org_id, owner, at, id, received_at)
 CROSS JOIN LATERAL (
       (SELECT * FROM punches AS stored
         WHERE stored.org_id = wanted.org_id AND stored.employee_id = wanted.owner
           AND stored.id <> wanted.id AND stored.received_at <= wanted.received_at
           AND stored.fix_time <= wanted.at AND stored.fix_time >= wanted.at - %(within)s
           AND stored.lat IS NOT NULL AND stored.verdict <> 'failed'
         ORDER BY stored.fix_time DESC LIMIT 1)
        UNION ALL
       (SELECT * FROM punches AS stored
         WHERE stored.org_id = wanted.org_id AND stored.employee_id = wanted.owner
           AND stored.id <> wanted.id AND stored.received_at <= wanted.received_at
           AND stored.fix_time > wanted.at AND stored.fix_time <= wanted.at + %(within)s
           AND stored.lat IS NOT NULL AND stored.verdict <> 'failed'
         ORDER BY stored.fix_time LIMIT 1)) AS place
"""


_OF_EMPLOYEES = (
    sql.SQL("{} UNION ALL {}")
    .format(_FIXES.format(owner=sql.Identifier("employee_id")), sql.SQL(_PUNCHES))
    .as_bytes()
)
_OF_MACHINES = _FIXES.format(owner=sql.Identifier("asset_id")).as_bytes()


async def places_of_employees(conn: Connection, punches: Sequence[NewPunch]) -> list[KnownPlace]:
    """Return where employees were about the times of their fixes, by honest punches and phones.

    For each punch the nearest of either kind on either side, within a day. Punches that were
    received later than the punch are no evidence beside it.
    """
    asked = _questions(punches, {n: one.employee_id for n, one in enumerate(punches)})
    if not asked:
        return []
    return _places(await rows_of(conn, _OF_EMPLOYEES, _values(asked, _PREVIOUS_WITHIN)))


async def places_of_machines(
    conn: Connection, punches: Sequence[NewPunch], machines: Mapping[int, UUID]
) -> list[KnownPlace]:
    """Return where assets were within five minutes of the fixes. machines: by number of punch."""
    asked = _questions(punches, machines)
    if not asked:
        return []
    return _places(await rows_of(conn, _OF_MACHINES, _values(asked, _MACHINE_WITHIN)))


class _Question(NamedTuple):
    number: int
    punch: NewPunch
    owner: UUID
    at_us: int


def _questions(punches: Sequence[NewPunch], owners: Mapping[int, UUID]) -> list[_Question]:
    """Return what to ask about the fixes of the punches that have a credible time."""
    before_us, after_us = (
        span // timedelta(microseconds=1) for span in (_KNOWN_BEFORE, _KNOWN_AFTER)
    )
    found: list[_Question] = []
    for number, owner in owners.items():
        one = punches[number]
        if one.fix_time_us is None or one.lat is None:
            continue
        if -before_us <= one.fix_time_us - one.received_us <= after_us:
            found.append(_Question(number, one, owner, one.fix_time_us))
    return found


def _values(asked: Sequence[_Question], within: timedelta) -> dict[str, object]:
    at = [to_datetime(one.at_us) for one in asked]
    return {
        "number": [one.number for one in asked],
        "org_id": [one.punch.org_id for one in asked],
        "owner": [one.owner for one in asked],
        "at": at,
        "id": [one.punch.id for one in asked],
        "received_at": [to_datetime(one.punch.received_us) for one in asked],
        "within": within,
        "first": min(at) - within,
        "last": max(at) + within,
        "unfit": int(NO_EVIDENCE),
    }


def _places(rows: Iterable[tuple]) -> list[KnownPlace]:
    found: list[KnownPlace] = []
    for number, at, lon, lat, accuracy_m in rows:
        known = position(to_us(at), lon, lat, accuracy_m)
        if known is not None:
            found.append(KnownPlace(number, known))
    return found
