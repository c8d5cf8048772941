"""Work orders: jobs of employees at sites, with their comments and the ways that they took.

Who makes an order takes its number in the same transaction (`db.core.numbers`). Who gives an
order a parent locks the tree first, so that two of them never make a circle together.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString, NamedTuple, TypeAlias
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions
from db.core.table import Table
from db.resources.search import add_words
from operations.work_orders.site_windows import SiteStep, SiteWindow, site_windows
from operations.work_orders.states import ENDED, IN_HANDS, OPEN, State

Window: TypeAlias = tuple[datetime | None, datetime | None]
"""From a time on, and before another; None: open at that end."""


class WorkOrder(NamedTuple):
    """One row, with its assignees and assets in the order of their ids.

    checklist: objects with text, done, by (a user's id), at. started_at: of the first start.
    ended_at: when it was completed, cancelled or given up. due_key, planned_key: due_at and
    planned_start, or the year 9999.
    priority_key: 1 to 4, the most urgent last. quote_id: the quote that it was made of.
    inspection_form_id, question_id: the defect that it is to mend. worked_s: by the shifts that
    ended. user_ids: of the assignees who sign in.
    """

    id: UUID
    number: int
    title: str
    description: str | None
    priority: str
    state: State
    client_id: UUID | None
    site_id: UUID | None
    parent_id: UUID | None
    planned_start: datetime | None
    planned_end: datetime | None
    due_at: datetime | None
    checklist: Sequence[Mapping[str, Any]]
    labour_cost_cents: int | None
    currency: str | None
    started_at: datetime | None
    ended_at: datetime | None
    quote_id: UUID | None
    inspection_form_id: UUID | None
    question_id: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    due_key: datetime | None
    planned_key: datetime | None
    priority_key: int | None
    assignee_ids: list[UUID]
    asset_ids: list[UUID]
    user_ids: list[UUID]
    worked_s: int


class Comment(NamedTuple):
    """A remark of a user about a work order."""

    id: UUID
    work_order_id: UUID
    user_id: UUID
    text: str
    created_at: datetime


class WorkOrderTransition(NamedTuple):
    """A way from a state to another that a user took. from_state None: the order was made.

    lat, lon: where the user was. signer_name to open_tasks: of a completion. zone_id: the
    geofence of the site, of a start or a resumption.
    """

    id: UUID
    work_order_id: UUID
    verb: str
    from_state: str | None
    state: str
    user_id: UUID
    created_at: datetime
    lat: float | None = None
    lon: float | None = None
    reason: str | None = None
    signer_name: str | None = None
    signed_at: datetime | None = None
    signature: bytes | None = None
    signature_attachment_id: UUID | None = None
    open_tasks: int | None = None
    zone_id: UUID | None = None


def _status(conditions: Conditions, states: str) -> None:
    """Add states, with commas between them."""
    conditions.add("work_orders.state = ANY (%(states)s)", states=states.split(","))


def _assignee(conditions: Conditions, employee_id: UUID) -> None:
    conditions.add(
        "work_orders.id IN (SELECT a.work_order_id FROM work_order_assignees a"
        " WHERE a.employee_id = %(assignee_id)s)",
        assignee_id=employee_id,
    )


def _asset(conditions: Conditions, asset_id: UUID) -> None:
    conditions.add(
        "work_orders.id IN (SELECT a.work_order_id FROM work_order_assets a"
        " WHERE a.asset_id = %(asset_id)s)",
        asset_id=asset_id,
    )


def _planned(conditions: Conditions, window: Window) -> None:
    """Add those whose planned time shares an instant with a window that may be open at an end. An
    order that is planned to end when it begins is in that instant.

    They are found first, by an index of their own, and sorted then: PostgreSQL would look for them
    among all orders in the order of the list, which takes long where few are in the window.
    """
    since, until = window
    if since is not None and since == until:
        conditions.add("false")
        return
    conditions.add(
        """
        work_orders.id = ANY (ARRAY(
            SELECT id FROM work_orders WHERE planned_start IS NOT NULL
               AND planned_end >= coalesce(%(since)s::timestamptz, '-infinity')
               AND (planned_end > coalesce(%(since)s::timestamptz, '-infinity')
                    OR planned_start = planned_end)
               AND planned_start < coalesce(%(until)s::timestamptz, 'infinity')))
        """,
        since=since,
        until=until,
    )


_WAITING = [state for state in OPEN if state not in IN_HANDS]


def _unassigned(conditions: Conditions, unassigned: bool) -> None:
    """Add those that wait for somebody to do them, or the others. Only a draft and what is created
    can: an order in somebody's hands has assignees.
    """
    waiting: LiteralString = (
        "(work_orders.state = ANY (%(waiting)s) AND NOT EXISTS ("
        "SELECT FROM work_order_assignees a WHERE a.work_order_id = work_orders.id))"
    )
    conditions.add(waiting if unassigned else f"NOT {waiting}", waiting=_WAITING)


def _words(conditions: Conditions, text: str) -> None:
    """Add those whose title or number has words that begin as these do."""
    add_words(conditions, "work_order", sql.Identifier("work_orders", "id"), text)


def _created(conditions: Conditions, window: Window) -> None:
    since, until = window
    if since is not None:
        conditions.add("work_orders.created_at >= %(created_from)s", created_from=since)
    if until is not None:
        conditions.add("work_orders.created_at < %(created_to)s", created_to=until)


# What is due at no time is due in none: before the year 9999.
_DUE_IN: LiteralString = """
SELECT id FROM work_orders
 WHERE due_key >= coalesce(%({0}_from)s::timestamptz, '-infinity')
   AND due_key < coalesce(%({0}_to)s::timestamptz, '9999-12-31 00:00:00+00')
"""
_PLANNED_IN: LiteralString = """
SELECT id FROM work_orders
 WHERE planned_start IS NOT NULL
   AND planned_start >= coalesce(%(scheduled_from)s::timestamptz, '-infinity')
   AND planned_start < coalesce(%(scheduled_to)s::timestamptz, 'infinity')
"""


def _due(conditions: Conditions, window: Window) -> None:
    """Add those that are due in a window. They are found first, as those of `_planned`."""
    found = _DUE_IN.format("due")
    conditions.add(f"work_orders.id = ANY (ARRAY({found}))", due_from=window[0], due_to=window[1])


def _scheduled(conditions: Conditions, window: Window) -> None:
    """Add those that are planned to begin in a window, or due in it."""
    found = f"{_PLANNED_IN} UNION {_DUE_IN.format('scheduled')}"
    conditions.add(
        f"work_orders.id = ANY (ARRAY({found}))",
        scheduled_from=window[0],
        scheduled_to=window[1],
    )


# The states that have ended are written out: the index `work_orders_open_due` has them.
_IS_LATE = sql.SQL(
    "(work_orders.due_key < now() AND work_orders.state <> ALL ({}::text[]))"
).format(sql.Literal(list(ENDED)))


def _overdue(conditions: Conditions, overdue: bool) -> None:
    conditions.add(_IS_LATE if overdue else sql.SQL("NOT {}").format(_IS_LATE))


# As in the index `work_orders_prioritized`.
_PRIORITY_KEY: LiteralString = (
    "CASE work_orders.priority WHEN 'urgent' THEN 4 WHEN 'high' THEN 3 WHEN 'normal' THEN 2"
    " ELSE 1 END"
)
work_orders = Table(
    "work_orders",
    WorkOrder,
    jsonb=["checklist"],
    computed={
        "due_key": "work_orders.due_key",
        # As in the index `work_orders_by_plan`.
        "planned_key": "coalesce(work_orders.planned_start, '9999-12-31 00:00:00+00')",
        "priority_key": _PRIORITY_KEY,
        "assignee_ids": """ARRAY(
            SELECT of.employee_id FROM work_order_assignees of
             WHERE of.org_id = work_orders.org_id AND of.work_order_id = work_orders.id
             ORDER BY 1)""",
        "asset_ids": """ARRAY(
            SELECT of.asset_id FROM work_order_assets of
             WHERE of.org_id = work_orders.org_id AND of.work_order_id = work_orders.id
             ORDER BY 1)""",
        "user_ids": """ARRAY(
            SELECT e.user_id FROM work_order_assignees of
              JOIN employees e ON e.org_id = of.org_id AND e.id = of.employee_id
             WHERE of.org_id = work_orders.org_id AND of.work_order_id = work_orders.id
               AND e.user_id IS NOT NULL AND e.deleted_at IS NULL)""",
        "worked_s": """(
            SELECT coalesce(sum(CASE WHEN of.lapses_at < now()
                   THEN (of.lapsed ->> 'worked_s')::integer ELSE of.worked_s END), 0)::bigint
              FROM shifts of
             WHERE of.org_id = work_orders.org_id AND of.work_order_id = work_orders.id)""",
    },
    fixed=["number", "quote_id", "inspection_form_id", "question_id"],
    filters={
        "status": _status,
        "assignee_id": _assignee,
        "asset_id": _asset,
        "unassigned": _unassigned,
        "q": _words,
        "created": _created,
        "due": _due,
        "planned": _planned,
        "scheduled": _scheduled,
        "overdue": _overdue,
    },
    has_row_count=True,
)
comments = Table("work_order_comments", Comment)
transitions = Table("work_order_transitions", WorkOrderTransition)


async def _replace(
    conn: Connection, table: LiteralString, column: LiteralString, order_id: UUID, ids: list[UUID]
) -> None:
    """Write the things of an order in the place of those that it had."""
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    removal = sql.SQL(
        "DELETE FROM {table} WHERE work_order_id = %s AND {column} <> ALL (%s)"
    ).format(**names)
    insertion = sql.SQL(
        "INSERT INTO {table} (org_id, work_order_id, {column})"
        " SELECT current_org_id(), %s, unnest(%s::uuid[]) ON CONFLICT DO NOTHING"
    ).format(**names)
    await conn.execute(removal, (order_id, ids))
    await conn.execute(insertion, (order_id, ids))


_INSERT_ASSIGNEES = """
INSERT INTO work_order_assignees (org_id, work_order_id, employee_id)
SELECT current_org_id(), %s, unnest(%s::uuid[])
"""
_INSERT_ASSETS = """
INSERT INTO work_order_assets (org_id, work_order_id, asset_id)
SELECT current_org_id(), %s, unnest(%s::uuid[])
"""
_LOCK_TREE = """
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', current_org_id(), 'orders'), 10))
"""


async def insert(conn: Connection, row: WorkOrder) -> None:
    """Insert a new order with its assignees and assets."""
    await work_orders.insert(conn, row)
    if row.assignee_ids:
        await conn.execute(_INSERT_ASSIGNEES, (row.id, row.assignee_ids))
    if row.asset_ids:
        await conn.execute(_INSERT_ASSETS, (row.id, row.asset_ids))


async def lock_tree(conn: Connection) -> None:
    """Keep others from giving orders of the tenant a parent, or deleting or restoring one, until
    the transaction ends. To be called before any other lock is taken.
    """
    await conn.execute(_LOCK_TREE)


async def write_lists(conn: Connection, row: WorkOrder, names: Collection[str]) -> None:
    """Give an order its assignees and assets and no others, as far as `names` has their columns."""
    if "assignee_ids" in names:
        ids = row.assignee_ids
        await _replace(conn, "work_order_assignees", "employee_id", row.id, ids)
    if "asset_ids" in names:
        await _replace(conn, "work_order_assets", "asset_id", row.id, row.asset_ids)


_PATH = """
WITH RECURSIVE above (id, parent_id, depth) AS (
    SELECT id, parent_id, 1 FROM work_orders WHERE id = %(id)s
     UNION ALL
    SELECT parent.id, parent.parent_id, above.depth + 1
      FROM above JOIN work_orders parent ON parent.id = above.parent_id
     WHERE above.depth < %(most)s)
SELECT array_agg(id ORDER BY depth DESC) FROM above
"""
_LEVELS = """
WITH RECURSIVE below (id, depth) AS (
    SELECT %(id)s::uuid, 0
     UNION ALL
    SELECT child.id, below.depth + 1
      FROM below JOIN work_orders child ON child.parent_id = below.id
     WHERE below.depth < %(most)s)
SELECT max(depth) FROM below
"""


async def client_of_site(conn: Connection, site_id: UUID) -> UUID | None:
    """Return whose site it is; None: the organization's own."""
    return await value_of(conn, "SELECT client_id FROM sites WHERE id = %s", (site_id,))


async def path_to(conn: Connection, order_id: UUID, most: int) -> list[UUID]:
    """Return the ids from the root of a tree down to an order, at most `most`."""
    return await value_of(conn, _PATH, {"id": order_id, "most": most})


async def levels_below(conn: Connection, order_id: UUID, most: int) -> int:
    """Return how many levels of children an order has, at most `most`."""
    return await value_of(conn, _LEVELS, {"id": order_id, "most": most})


_OF_THING: LiteralString = """
SELECT ARRAY(
    SELECT work_orders.number FROM work_order_{0}s of JOIN work_orders
        ON work_orders.org_id = of.org_id AND work_orders.id = of.work_order_id
     WHERE of.{1}_id = %s AND work_orders.deleted_at IS NULL AND work_orders.state = ANY (%s)
     ORDER BY work_orders.number LIMIT %s)
"""
_OPEN_NUMBERS: Mapping[str, LiteralString] = {
    "assignees": _OF_THING.format("assignee", "employee"),
    "assets": _OF_THING.format("asset", "asset"),
}


async def order_of_defect(conn: Connection, form_id: UUID, question_id: str) -> UUID | None:
    """Return the order that was made of a defect, deleted or not."""
    return await value_of(
        conn,
        "SELECT (SELECT id FROM work_orders WHERE inspection_form_id = %s AND question_id = %s)",
        (form_id, question_id),
    )


async def has_children(conn: Connection, order_id: UUID) -> bool:
    """Return whether an order that is not deleted has this parent."""
    return await value_of(
        conn,
        "SELECT EXISTS (SELECT FROM work_orders WHERE parent_id = %s AND deleted_at IS NULL)",
        (order_id,),
    )


async def open_numbers(
    conn: Connection, things: Literal["assignees", "assets"], thing_id: UUID, most: int
) -> list[int]:
    """Return the numbers of work orders that have not ended and name an employee or an asset, the
    first `most`.
    """
    return await value_of(conn, _OPEN_NUMBERS[things], (thing_id, list(OPEN), most))


async def last_transition(
    conn: Connection, order_id: UUID, state: State
) -> WorkOrderTransition | None:
    """Return the newest way of an order to a state."""
    found = await transitions.listing(
        conn, {"work_order_id": order_id, "state": state}, after=None, limit=1, offset=0
    )
    return found[0] if found else None


async def is_signature(conn: Connection, attachment_id: UUID) -> bool:
    """Return whether somebody signed with the attachment."""
    return await value_of(
        conn,
        "SELECT EXISTS (SELECT FROM work_order_transitions WHERE signature_attachment_id = %s)",
        (attachment_id,),
    )


async def zone_of_site(conn: Connection, site_id: UUID) -> UUID | None:
    """Return the geofence of a site that there is."""
    return await value_of(conn, "SELECT zone_id FROM sites WHERE id = %s", (site_id,))


async def windows_at_site(conn: Connection, order_id: UUID) -> list[SiteWindow]:
    """Return the times in which work on an order went on at its site."""
    cursor = await conn.execute(
        "SELECT verb, state, zone_id, created_at FROM work_order_transitions"
        " WHERE work_order_id = %s ORDER BY created_at, id",
        (order_id,),
    )
    return site_windows([SiteStep(*row) for row in await cursor.fetchall()])
