"""Work orders: made, changed, moved, deleted and restored.

Whoever calls these holds the order's row, and all that it is to refer to. A change of the state,
its transition, its event and the audit are written in one transaction. All raise RuleError for a
field that cannot be, ConflictError where something else stands in the way, and IllegalMoveError.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.numbers import next_number
from db.core.table import db_now
from db.history import events
from db.history.events import Event
from db.resources import work_orders as stored
from db.resources.attachments import attachments
from db.resources.employees import have_all_stayed
from db.resources.kinds import KINDS
from db.resources.quotas import check_room
from db.resources.work_orders import WorkOrder, WorkOrderTransition, transitions, work_orders
from db.stock.work_order_costs import forget_rates, keep_rates
from db.stock.work_order_parts import deleted_in_plan
from geofence.event_data.work_orders import (
    WORK_ORDER_ASSIGNED,
    WORK_ORDER_CANCELLED,
    WORK_ORDER_COMPLETED,
    WORK_ORDER_CREATED,
    WORK_ORDER_STARTED,
    WORK_ORDER_UPDATED,
    ChangedWorkOrder,
)
from operations.errors import ConflictError, RuleError, check_together
from operations.stock import StockError
from operations.work_orders.checklists import checked_off
from operations.work_orders.states import (
    ENDED,
    ENDING,
    FIXED,
    IN_HANDS,
    MAX_DEPTH,
    NEEDING_A_REASON,
    OPEN,
    RELEASING,
    RESERVING,
    SIGNED,
    WORK_ORDERS,
    Verb,
)
from telemetry.ids import format_id
from telemetry.times import format_time, to_us
from use_cases.stock.order_parts import OrderStock, release_reserved, reserve_planned

MAX_TRANSITIONS = 500
_A_MOMENT = timedelta(microseconds=1)  # between two moves at once: they are listed in their order
_CLOCK_AHEAD = timedelta(minutes=5)  # of whoever signs
_OLDEST_SIGNATURE = timedelta(days=3653)  # of an order that is entered later
_COSTS = {"labour_cost_cents", "currency"}  # nobody signs for them
_DEFAULTS: Mapping[str, Any] = {
    "priority": "normal",
    "state": "created",
    "checklist": [],
    "assignee_ids": [],
    "asset_ids": [],
    "user_ids": [],
    "worked_s": 0,
}
_EVENTS: Mapping[str, str] = {
    "issue": WORK_ORDER_CREATED,
    "assign": WORK_ORDER_ASSIGNED,
    "start": WORK_ORDER_STARTED,
    "complete": WORK_ORDER_COMPLETED,
    "cancel": WORK_ORDER_CANCELLED,
}


class OrderUser(Protocol):
    """The user who does something to a work order: the caller of the API."""

    @property
    def org_id(self) -> UUID: ...
    @property
    def user_id(self) -> UUID: ...


class MoveDetails(NamedTuple):
    """The place of whoever says a verb, and what they give with it.

    signer_name to signed_at: the sign-off of a completion. assignee_ids: the employees that
    `assign` names; None: those that the order has.
    """

    lat: float | None = None
    lon: float | None = None
    reason: str | None = None
    signer_name: str | None = None
    signature: bytes | None = None
    signature_attachment_id: UUID | None = None
    signed_at: datetime | None = None
    assignee_ids: Sequence[UUID] | None = None


async def create(conn: Connection, by: OrderUser, given: Mapping[str, Any]) -> WorkOrder:
    """Insert an order with its first transitions, and its events unless it is a draft. One that
    somebody has was `created` and then `assigned`. given: by column; of the checklist `text` and
    `done`. Whoever gives a parent has locked the tree. Raises QuotaExceeded.

    The number is taken last, when all that the order names is locked: others who make orders wait
    for the rest of the transaction (`db.core.numbers`).
    """
    at = await check_room(conn, "work_orders")
    fixed = {"id": new_id(), "number": 0, "created_at": at, "updated_at": at}
    columns = {**_DEFAULTS, **_columns([], given, by, at), **fixed}
    row = WorkOrder(**{**dict.fromkeys(WorkOrder._fields), **columns})
    _check_fields(row)
    await _check_site(conn, row)
    await _check_new_assignees(conn, None, row)
    await _check_parent(conn, row)
    row = row._replace(number=await next_number(conn, "work_order"))
    made = [_transition(by, None, row, "create", MoveDetails(), at)]
    emitted = [] if row.state == "draft" else [_event(by, WORK_ORDER_CREATED, row, at)]
    if needs_assignment(row):
        before, at = row, at + _A_MOMENT
        row = row._replace(state="assigned", updated_at=at)
        made.append(_transition(by, before, row, "assign", MoveDetails(), at))
        emitted.append(_event(by, WORK_ORDER_ASSIGNED, row, at, verb="assign"))
    await stored.insert(conn, row)
    for each in made:
        await transitions.insert(conn, each)
    await events.insert(conn, emitted)
    return row


async def change(
    conn: Connection, by: OrderUser, row: WorkOrder, given: Mapping[str, Any]
) -> WorkOrder:
    """Write the fields that differ, and emit it. given: as for `create`. Returns the order as it is
    then.
    """
    at = await db_now(conn)
    columns = _columns(row.checklist, given, by, at)
    names = {name for name, value in columns.items() if getattr(row, name) != value}
    if not names:
        return row
    if row.state in FIXED and not (row.state == "completed" and names <= _COSTS):
        raise WORK_ORDERS.illegal(row.state, "to change")
    changed = row._replace(**columns, updated_at=at)
    _check_fields(changed)
    if names & {"client_id", "site_id"}:
        await _check_site(conn, changed)
    await _check_new_assignees(conn, row, changed)
    if "parent_id" in names:
        await _check_parent(conn, changed)
    await work_orders.update(conn, changed)
    if names & {"assignee_ids", "asset_ids"}:
        await stored.write_lists(conn, changed, names)
    await _emit_change(conn, by, row, changed, [name for name in columns if name in names])
    return changed


async def move(
    conn: Connection,
    by: OrderUser,
    row: WorkOrder,
    verb: Verb,
    details: MoveDetails,
    at: datetime | None = None,
) -> WorkOrder:
    """Bring an order to the state that a verb leads to, and on to `assigned` where it has become
    `created` and has assignees. at: of the move; None: now. Returns the order as it is then.
    """
    then, at = WORK_ORDERS.move(row.state, verb), at or await db_now(conn)
    _check_details(verb, details, at)
    await _check_signature(conn, row, details.signature_attachment_id)
    changed = row._replace(state=then, updated_at=at)
    if details.assignee_ids is not None:
        changed = changed._replace(assignee_ids=sorted(set(details.assignee_ids)))
    _check_assignees(changed)
    await _check_new_assignees(conn, row, changed)
    if row.state in ENDED and then in OPEN:
        await _check_references_live(conn, changed)
    if verb == "start" and row.started_at is None:
        changed = changed._replace(started_at=at)
    if verb != "close":
        changed = changed._replace(ended_at=at if then in ENDED else None)
    await work_orders.update(conn, changed)
    if details.assignee_ids is not None:
        await stored.write_lists(conn, changed, {"assignee_ids"})
    await _move_parts(conn, by, row, changed)
    if then == "closed":
        await keep_rates(conn, row.id)
    elif row.state == "closed":
        await forget_rates(conn, row.id)
    made = _transition(by, row, changed, verb, details, at)
    if then == "started" and row.site_id is not None:
        made = made._replace(zone_id=await stored.zone_of_site(conn, row.site_id))
    await _check_room(conn, row, verb)
    await transitions.insert(conn, made)
    event_type = _EVENTS.get(verb, WORK_ORDER_UPDATED)
    if row.state == "assigned" and verb == "assign" and not _is_given(row, changed):
        event_type = WORK_ORDER_UPDATED
    if (row.state, row.assignee_ids) != (then, changed.assignee_ids):  # else it is as it was
        await events.insert(conn, [_event(by, event_type, changed, at, verb=verb, details=details)])
    if needs_assignment(changed):
        place = MoveDetails(details.lat, details.lon)
        return await move(conn, by, changed, "assign", place, at + _A_MOMENT)
    return changed


def needs_assignment(row: WorkOrder) -> bool:
    """Return whether an order is to be `assigned`: it is to be done, and somebody has it."""
    return row.state == "created" and bool(row.assignee_ids)


async def delete(conn: Connection, by: OrderUser, row: WorkOrder) -> None:
    """Soft-delete an order, and release its parts. The tree is locked: nobody gives it a child
    meanwhile.
    """
    if await stored.has_children(conn, row.id):
        raise ConflictError("in_use", "Other work orders are parts of it.")
    if row.state in SIGNED:
        raise WORK_ORDERS.illegal(row.state, "to delete")
    await release_reserved(conn, order_stock(by, row))
    at = await db_now(conn)
    deleted = row._replace(deleted_at=at, updated_at=at)
    await work_orders.update(conn, deleted)
    await _emit_change(conn, by, row, deleted, ["deleted_at"])


async def restore(conn: Connection, by: OrderUser, row: WorkOrder) -> WorkOrder:
    """Restore a soft-deleted order; one that is not deleted stays as it is. The tree is locked."""
    if row.deleted_at is None:
        return row
    await _check_references_live(conn, row)
    parent_id = row.parent_id
    if parent_id is not None and not await KINDS["work_order"].lock_existing(conn, [parent_id]):
        raise ConflictError("parent_deleted", "Its parent is deleted: restore it first.")
    await _check_parent(conn, row)
    restored = row._replace(deleted_at=None, updated_at=await db_now(conn))
    await work_orders.update(conn, restored)
    await _emit_change(conn, by, row, restored, ["deleted_at"])
    return restored


def order_stock(by: OrderUser, row: WorkOrder) -> OrderStock:
    """Return the order for which the user moves stock."""
    return OrderStock(by.org_id, row.id, by.user_id)


# What an order may be -----------------------------------------------------------------------------


def _columns(
    checklist: Sequence[Mapping[str, Any]], given: Mapping[str, Any], by: OrderUser, at: datetime
) -> dict[str, Any]:
    """Return what is given as it is stored. checklist: the order's so far."""
    columns = dict(given)
    for name in {"assignee_ids", "asset_ids"} & columns.keys():
        columns[name] = sorted(set(given[name]))
    if "checklist" in columns:
        done = {"done": True, "by": str(by.user_id), "at": _time(at)}
        columns["checklist"] = checked_off(checklist, list(map(dict, given["checklist"])), done)
    return columns


def _check_fields(row: WorkOrder) -> None:
    """Raise RuleError for fields that do not go together."""
    check_together(row, "planned_start", "planned_end")
    if row.planned_start and row.planned_end and row.planned_end < row.planned_start:
        raise RuleError("planned_end", "must not be before planned_start")
    if row.labour_cost_cents is not None and row.currency is None:
        raise RuleError("currency", "is needed beside labour_cost_cents")
    _check_assignees(row)


def _check_assignees(row: WorkOrder) -> None:
    if row.state in IN_HANDS and not row.assignee_ids:
        raise RuleError("assignee_ids", f"a work order that is {row.state} has at least one")


async def _check_new_assignees(conn: Connection, before: WorkOrder | None, row: WorkOrder) -> None:
    """Raise ConflictError where an employee who has left is given an order. before: the order as it
    was; None: it is new.
    """
    added = set(row.assignee_ids) - set(before.assignee_ids if before else ())
    if added and not await have_all_stayed(conn, added):
        detail = "One of the employees has left: assign somebody who is active."
        raise ConflictError("employee_left", detail, "assignee_ids")


async def _check_site(conn: Connection, row: WorkOrder) -> None:
    """Raise ConflictError where an order is given a site of another client than its own."""
    if row.site_id is None or row.client_id is None:
        return
    if await stored.client_of_site(conn, row.site_id) not in (None, row.client_id):
        detail = "The site is another client's: a work order has a site of its client, or one of"
        raise ConflictError("site_of_another_client", f"{detail} your own.", "site_id")


async def _check_parent(conn: Connection, row: WorkOrder) -> None:
    """Raise RuleError for a parent that makes a circle, or too many levels."""
    if row.parent_id is None:
        return
    path = await stored.path_to(conn, row.parent_id, MAX_DEPTH)
    if row.id in path:
        raise RuleError("parent_id", "must not be the work order itself or one below it")
    levels = len(path) + 1 + await stored.levels_below(conn, row.id, MAX_DEPTH)
    if levels > MAX_DEPTH:
        raise RuleError("parent_id", f"makes more than {MAX_DEPTH} levels of work orders")


async def _check_references_live(conn: Connection, row: WorkOrder) -> None:
    """Raise ConflictError where the client, the site or, unless it has ended, an assignee or an
    asset of an order is deleted. They stay until the transaction ends.
    """
    named = {"client": [row.client_id], "site": [row.site_id]}
    if row.state in OPEN:
        named |= {"employee": row.assignee_ids, "asset": row.asset_ids}
    for name, ids in named.items():
        wanted, kind = [each for each in ids if each is not None], KINDS[name]
        if wanted and len(await kind.lock_existing(conn, wanted)) < len(wanted):
            thing = f"The work order's {kind.noun}"
            if name in ("employee", "asset"):  # one of several
                thing = f"{kind.one.capitalize()} of the work order"
            raise ConflictError(f"{name}_deleted", f"{thing} is deleted: restore it first.")


def _check_details(verb: Verb, details: MoveDetails, at: datetime) -> None:
    """Raise RuleError for what the verb needs and has not, or has and does not need."""
    for field, given, is_needed, noun in (
        ("reason", details.reason, verb in NEEDING_A_REASON, "reason"),
        ("sign_off", details.signer_name, verb == "complete", "sign-off"),
    ):
        if is_needed != (given is not None):
            needs = f"needs a {noun}" if is_needed else f"takes no {noun}"
            raise RuleError(field, f"to {verb} a work order {needs}")
    check_together(details, "lat", "lon")
    if details.signed_at is not None and details.signed_at > at + _CLOCK_AHEAD:
        raise RuleError("signed_at", "must not be in the future")
    if details.signed_at is not None and details.signed_at < at - _OLDEST_SIGNATURE:
        raise RuleError("signed_at", "must not be more than ten years ago")


async def _check_signature(conn: Connection, row: WorkOrder, attachment_id: UUID | None) -> None:
    """Raise RuleError for a signature that is no image of the order."""
    if attachment_id is None:
        return
    file = await attachments.find(conn, attachment_id)
    is_image = file is not None and file.media_type.startswith("image/")
    if file is None or not is_image or file.work_order_id != row.id:
        raise RuleError("signature_attachment_id", "must be an image of this work order")


async def _check_room(conn: Connection, row: WorkOrder, verb: Verb) -> None:
    """Raise ConflictError where an order has taken too many ways. It can always be ended."""
    if verb in ENDING:
        return
    if await transitions.count(conn, {"work_order_id": row.id}) >= MAX_TRANSITIONS:
        detail = f"A work order has at most {MAX_TRANSITIONS} transitions, and those that end it."
        raise ConflictError("too_many_transitions", f"{detail} Make another one.")


# What is written beside it ------------------------------------------------------------------------


async def _move_parts(conn: Connection, by: OrderUser, row: WorkOrder, changed: WorkOrder) -> None:
    """Reserve what an order plans when it is issued, and release the rest when it is over."""
    try:
        if row.state == "draft" and changed.state in RESERVING:
            await _check_plan(conn, row)
            await reserve_planned(conn, order_stock(by, row))
        elif changed.state in RELEASING:
            await release_reserved(conn, order_stock(by, row))
    except StockError as error:
        raise ConflictError(error.code, str(error)) from None


async def _check_plan(conn: Connection, row: WorkOrder) -> None:
    """Raise ConflictError for a draft that plans a deleted part, or one in a deleted warehouse."""
    deleted = await deleted_in_plan(conn, row.id)
    if deleted is not None:
        name, warehouse = deleted
        if warehouse is None:
            detail = f"{name} is deleted: restore the part, or plan 0 of it."
            raise ConflictError("part_deleted", detail)
        detail = f"{name} is planned in {warehouse}, which is deleted: plan it elsewhere."
        raise ConflictError("warehouse_deleted", detail)


def _transition(
    by: OrderUser,
    row: WorkOrder | None,
    changed: WorkOrder,
    verb: Verb | Literal["create"],
    details: MoveDetails,
    at: datetime,
) -> WorkOrderTransition:
    """Return the way to a state. row: the order before; None: there was none."""
    is_signed = details.signer_name is not None
    before = None if row is None else row.state
    return WorkOrderTransition(
        new_id(),
        changed.id,
        verb,
        before,
        changed.state,
        by.user_id,
        at,
        details.lat,
        details.lon,
        details.reason,
        details.signer_name,
        (details.signed_at or at) if is_signed else None,
        details.signature,
        details.signature_attachment_id,
        sum(not task["done"] for task in changed.checklist) if is_signed else None,
    )


def _is_given(before: WorkOrder, row: WorkOrder) -> bool:
    """Return whether somebody has an order who had not."""
    return not set(row.assignee_ids) <= set(before.assignee_ids)


async def _emit_change(
    conn: Connection, by: OrderUser, before: WorkOrder, row: WorkOrder, changed: Sequence[str]
) -> None:
    """Emit the event of changed fields, and that of new assignees where the order is in somebody's
    hands. A draft has none.
    """
    types = [] if row.state == "draft" else [WORK_ORDER_UPDATED]
    if row.state in IN_HANDS and _is_given(before, row):
        types.append(WORK_ORDER_ASSIGNED)
    emitted = [_event(by, each, row, row.updated_at, changed=changed) for each in types]
    await events.insert(conn, emitted)


def _event(
    by: OrderUser,
    event_type: str,
    row: WorkOrder,
    at: datetime,
    *,
    verb: Verb | None = None,
    changed: Sequence[str] = (),
    details: MoveDetails | None = None,
) -> Event:
    """Return the event of a change, with the order as it is then."""
    details = details or MoveDetails()
    data = ChangedWorkOrder(
        work_order_id=format_id("wo", row.id),
        number=row.number,
        title=row.title,
        status=row.state,
        verb=verb,
        changed=list(changed),
        priority=row.priority,
        client_id=_id("cli", row.client_id),
        site_id=_id("sit", row.site_id),
        parent_id=_id("wo", row.parent_id),
        assignee_ids=[format_id("emp", each) for each in row.assignee_ids],
        asset_ids=[format_id("ast", each) for each in row.asset_ids],
        planned_start=_time(row.planned_start),
        planned_end=_time(row.planned_end),
        due_at=_time(row.due_at),
        deleted_at=_time(row.deleted_at),
        user_id=format_id("usr", by.user_id),
        lat=details.lat,
        lon=details.lon,
        reason=details.reason,
        signer_name=details.signer_name,
    )
    text = msgspec.json.encode(data).decode()
    return Event(by.org_id, new_id(), event_type, at, text)


def _id(prefix: str, of: UUID | None) -> str | None:
    return None if of is None else format_id(prefix, of)


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(to_us(at))
