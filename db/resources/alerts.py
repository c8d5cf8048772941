"""Alerts: what somebody has to look at.

Ingest makes one of the events of each visit that alerts, in their transaction. From then on people
acknowledge, assign and resolve it, and it follows its visit. What was told before is not told
again, so events that are stored already change nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.fetch import columns
from db.core.listing import Conditions
from db.core.table import Table
from db.history.events import Event
from db.history.visits import Departure, VisitRow
from geofence.model.policy import BREACH, DWELL, OVERSPEED
from telemetry.ids import parse_id

State: TypeAlias = Literal["new", "acknowledged", "assigned", "resolved"]
Told: TypeAlias = Literal["enter", "exit", "dwell", "overspeed", "schedule_started"]
MAX_LOG = 100
"""Entries that a log has at most: a new one puts out the oldest."""

_ALERTING = frozenset({BREACH, DWELL, OVERSPEED})


class AlertRow(NamedTuple):
    """A row as the API lists it. left_at: of the visit; None while it lasts, and without one."""

    id: UUID
    visit_id: UUID | None
    asset_id: UUID
    asset_name: str
    zone_id: UUID
    zone_name: str
    zone_kind: str
    occurred_at: datetime
    left_at: datetime | None
    lat: float
    lon: float
    told: list[Told]
    state: State
    assigned_to: UUID | None
    assignee_name: str | None
    retracted: bool
    created_at: datetime
    updated_at: datetime


class LogEntry(NamedTuple):
    """A thing that somebody did with an alert. user_id None: ingest did it."""

    at: datetime
    user_id: UUID | None
    user_name: str | None
    state: State
    assigned_to: UUID | None
    text: str | None


def _open(conditions: Conditions, is_open: bool) -> None:
    conditions.add("alerts.state <> 'resolved'" if is_open else "alerts.state = 'resolved'")


def _asset(conditions: Conditions, asset_id: UUID) -> None:
    conditions.add("alerts.asset_id = %(asset_id)s", asset_id=asset_id)


def _zone(conditions: Conditions, zone_id: UUID) -> None:
    conditions.add("alerts.zone_id = %(zone_id)s", zone_id=zone_id)


table = Table(
    "alerts",
    AlertRow,
    computed={
        "left_at": "stay.left_at",
        "assignee_name": "coalesce(assignee.name, assignee.email)",
    },
    joins="""
      LEFT JOIN visits AS stay ON stay.org_id = alerts.org_id AND stay.id = alerts.visit_id
      LEFT JOIN users AS assignee
        ON assignee.org_id = alerts.org_id AND assignee.id = alerts.assigned_to
    """,
    filters={"open": _open, "asset_id": _asset, "zone_id": _zone},
)


class _Data(msgspec.Struct):
    """The fields that an alert takes from the `data` of an event."""

    asset_id: str
    asset_name: str
    zone_id: str
    zone_name: str
    zone_kind: str
    visit_id: str | None
    lat: float
    lon: float
    transition: Told = "overspeed"
    cause: str = ""


class NewAlert(NamedTuple):
    """The facts that events tell of one visit, or of hours that begin."""

    org_id: UUID
    id: UUID
    visit_id: UUID | None
    asset_id: UUID
    asset_name: str
    zone_id: UUID
    zone_name: str
    zone_kind: str
    occurred_at: datetime
    lat: float
    lon: float
    told: str  # words with blanks between them


def alerts_of(events: Iterable[Event]) -> list[NewAlert]:
    """Return the alerts that events tell of, each once."""
    found: dict[tuple[UUID, UUID], NewAlert] = {}
    for event in events:
        if event.type in _ALERTING:
            alert = _alert_of(event)
            key = alert.org_id, alert.id
            before = found.get(key)
            if before is not None:
                alert = before._replace(told=f"{before.told} {alert.told}")
            found[key] = alert
    return list(found.values())


def _alert_of(event: Event) -> NewAlert:
    data = msgspec.json.decode(event.data, type=_Data)
    visit_id = None if data.visit_id is None else parse_id("vis", data.visit_id)
    starts = data.cause == "schedule_started"  # once for each time that the hours begin
    # Who leaves an allowed zone is to be looked at, however long ago the visit began.
    is_own = starts or visit_id is None or (data.zone_kind, data.transition) == ("allowed", "exit")
    return NewAlert(
        org_id=event.org_id,
        id=event.id if is_own or visit_id is None else visit_id,
        visit_id=visit_id,
        asset_id=parse_id("ast", data.asset_id),
        asset_name=data.asset_name,
        zone_id=parse_id("zon", data.zone_id),
        zone_name=data.zone_name,
        zone_kind=data.zone_kind,
        occurred_at=event.occurred_at,
        lat=data.lat,
        lon=data.lon,
        told="schedule_started" if starts else data.transition,
    )


# A dwell or an overspeed is something else to look at: what was resolved is new again.
_TELL = """
INSERT INTO alerts AS known (org_id, id, visit_id, asset_id, asset_name, zone_id, zone_name,
                             zone_kind, occurred_at, lat, lon, told)
SELECT org_id, id, visit_id, asset_id, asset_name, zone_id, zone_name, zone_kind, occurred_at,
       lat, lon, string_to_array(told, ' ')
  FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[], %b::text[], %b::uuid[], %b::text[],
              %b::text[], %b::timestamptz[], %b::float8[], %b::float8[], %b::text[])
       AS alert (org_id, id, visit_id, asset_id, asset_name, zone_id, zone_name, zone_kind,
                 occurred_at, lat, lon, told)
    ON CONFLICT (org_id, id) DO UPDATE
   SET (told, state, assigned_to, log) = (
           SELECT known.told || more,
                  CASE WHEN is_new THEN 'new' ELSE known.state END,
                  CASE WHEN is_new THEN NULL ELSE known.assigned_to END,
                  CASE WHEN is_new THEN alert_log(known.log, 'new') ELSE known.log END
             FROM (SELECT more, known.state = 'resolved' AND NOT known.retracted
                                AND more && '{dwell,overspeed}' AS is_new
                     FROM (SELECT ARRAY(SELECT word FROM unnest(excluded.told) AS word
                                         WHERE word <> ALL (known.told)) AS more) AS told) AS seen),
       updated_at = now()
 WHERE NOT known.told @> excluded.told
"""


async def tell(conn: Connection, events: Sequence[Event]) -> None:
    """Make the alerts of events, or add to alerts what is new in the events."""
    if alerts := alerts_of(events):
        await conn.execute(_TELL, columns(alerts))


# A visit that has become part of another was open to somebody: then the other's alert is.
_PASS_ON = """
UPDATE alerts AS known
   SET state = 'new', assigned_to = NULL, updated_at = now(), log = alert_log(known.log, 'new')
  FROM unnest(%b::uuid[], %b::uuid[]) AS gone (org_id, visit_id)
  JOIN alerts AS lost ON lost.org_id = gone.org_id AND lost.visit_id = gone.visit_id
   AND lost.state <> 'resolved'
  JOIN visits AS kept ON kept.org_id = lost.org_id AND kept.zone_id = lost.zone_id
   AND kept.asset_id = lost.asset_id AND NOT kept.retracted
   AND kept.entered_at <= lost.occurred_at
   AND (kept.left_at IS NULL OR kept.left_at >= lost.occurred_at)
 WHERE known.org_id = kept.org_id AND known.id = kept.id AND known.state = 'resolved'
   AND NOT known.retracted
"""
_RETRACT = """
UPDATE alerts
   SET retracted = true, updated_at = now(), state = 'resolved',
       log = CASE WHEN state = 'resolved' THEN log ELSE alert_log(alerts.log, 'resolved') END
  FROM unnest(%b::uuid[], %b::uuid[]) AS gone (org_id, visit_id)
 WHERE alerts.org_id = gone.org_id AND alerts.visit_id = gone.visit_id AND NOT retracted
"""
# An exit was told that was none: whoever resolved the alert then did so too early. Where nothing
# else was told, there is nothing to look at, until the asset leaves after all.
_STAY = """
UPDATE alerts
   SET told = array_remove(told, 'exit'), updated_at = now(),
       state = CASE state WHEN 'resolved' THEN 'new' ELSE state END,
       assigned_to = CASE state WHEN 'resolved' THEN NULL ELSE assigned_to END,
       log = CASE state WHEN 'resolved' THEN alert_log(alerts.log, 'new') ELSE log END
  FROM unnest(%b::uuid[], %b::uuid[]) AS stay (org_id, visit_id)
 WHERE alerts.org_id = stay.org_id AND alerts.visit_id = stay.visit_id
   AND told @> '{exit}' AND told <> '{exit}' AND NOT retracted
"""
_NO_EXIT = """
UPDATE alerts
   SET retracted = true, updated_at = now(), state = 'resolved',
       log = CASE WHEN state = 'resolved' THEN log ELSE alert_log(alerts.log, 'resolved') END
  FROM unnest(%b::uuid[], %b::uuid[]) AS stay (org_id, visit_id)
 WHERE alerts.org_id = stay.org_id AND alerts.visit_id = stay.visit_id
   AND told = '{exit}' AND NOT retracted
"""
_EXIT_AFTER_ALL = """
UPDATE alerts
   SET retracted = false, updated_at = now(), state = 'new', assigned_to = NULL,
       log = alert_log(alerts.log, 'new')
  FROM unnest(%b::uuid[], %b::uuid[]) AS ended (org_id, visit_id)
 WHERE alerts.org_id = ended.org_id AND alerts.visit_id = ended.visit_id
   AND told = '{exit}' AND retracted
"""


async def follow(
    conn: Connection, amended: Iterable[VisitRow], departures: Iterable[Departure] = ()
) -> None:
    """Let the alerts of amended visits, as they are stored now, follow them. departures: ends of
    other visits, of which some were told to have ended before.
    """
    visits = list(amended)
    gone = [(visit.org_id, visit.id) for visit in visits if visit.retracted]
    announced_exits = [visit for visit in visits if visit.exit_announced and not visit.retracted]
    stays = [(visit.org_id, visit.id) for visit in announced_exits if visit.left_at is None]
    ended = [(visit.org_id, visit.id) for visit in announced_exits if visit.left_at is not None]
    ended += [(end.org_id, end.visit_id) for end in departures if end.amends and end.exit_announced]
    if gone:
        await conn.execute(_PASS_ON, columns(gone))
        await conn.execute(_RETRACT, columns(gone))
    if stays:
        await conn.execute(_STAY, columns(stays))
        await conn.execute(_NO_EXIT, columns(stays))
    if ended:
        await conn.execute(_EXIT_AFTER_ALL, columns(ended))


async def change(
    conn: Connection, alert: AlertRow, user_id: UUID, at: datetime, text: str | None
) -> None:
    """Write the state and the assignee of an alert, with who changed it and what they say."""
    entry: Mapping[str, Any] = {
        "at": at.isoformat(),
        "user_id": user_id,
        "assigned_to": alert.assigned_to,
        "text": text,
    }
    await conn.execute(
        """
        UPDATE alerts SET state = %(state)s, assigned_to = %(assigned_to)s, updated_at = %(at)s,
               log = alert_log(log, %(state)s, %(entry)s)
         WHERE id = %(id)s
        """,
        {**alert._asdict(), "at": at, "entry": Jsonb(entry, dumps=_dumps)},
    )


def _dumps(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def log_of(conn: Connection, alert_id: UUID) -> list[LogEntry]:
    """Return what was done with an alert, the oldest first."""
    cursor = await conn.execute(
        """
        SELECT (entry ->> 'at')::timestamptz, entry_by.id, coalesce(entry_by.name, entry_by.email),
               entry ->> 'state', (entry ->> 'assigned_to')::uuid, entry ->> 'text'
          FROM alerts
         CROSS JOIN LATERAL jsonb_array_elements(log) WITH ORDINALITY AS logged (entry, place)
          LEFT JOIN users AS entry_by
            ON entry_by.org_id = alerts.org_id AND entry_by.id = (entry ->> 'user_id')::uuid
         WHERE alerts.id = %s ORDER BY place
        """,
        (alert_id,),
    )
    return [LogEntry(*row) for row in await cursor.fetchall()]
