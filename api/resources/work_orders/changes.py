"""Changes of work orders: who may make them, what they need, and what is written beside them.

A change of the state, its transition, its event and the audit are written in one transaction.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from api.http.encoding import id_text, optional_id_text, optional_time_text
from api.http.problems import bad_field, check_together, conflict, forbidden
from api.request.access import Access
from api.request.references import check_owners
from api.request.signatures import decoded_signature
from api.resources.sites import sites
from api.resources.work_orders.bodies import (
    Completion,
    ReasonedMove,
    SignOff,
    Task,
    WorkOrderAssignment,
    WorkOrderMove,
)
from db.core.connect import Connection
from db.core.ids import new_id
from db.history import events
from db.history.events import Event
from db.resources import work_orders as stored
from db.resources.attachments import attachments
from db.resources.employees import have_all_stayed
from db.resources.kinds import KINDS
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
from operations.signatures import SignatureError
from operations.stock import StockError
from operations.work_orders.checklists import former_places
from operations.work_orders.states import (
    ENDED,
    ENDING,
    IN_HANDS,
    MAX_DEPTH,
    NEEDING_A_REASON,
    OPEN,
    RELEASING,
    RESERVING,
    WORK_ORDERS,
    Verb,
)
from use_cases.stock.order_parts import OrderStock, release_reserved, reserve_planned

MAX_TRANSITIONS = 500
A_MOMENT = timedelta(microseconds=1)
"""The time between two moves of one transaction, so that they are listed in their order."""
_CLOCK_AHEAD = timedelta(minutes=5)  # of whoever signs
_OLDEST_SIGNATURE = timedelta(days=3653)  # of an order that is entered later
_EVENTS: Mapping[str, str] = {
    "issue": WORK_ORDER_CREATED,
    "assign": WORK_ORDER_ASSIGNED,
    "start": WORK_ORDER_STARTED,
    "complete": WORK_ORDER_COMPLETED,
    "cancel": WORK_ORDER_CANCELLED,
}


class MoveDetails(NamedTuple):
    """The place of whoever says a verb, and the reason and the sign-off that they give.

    assignee_ids: the employees that `assign` names, sorted; None: those that the order has.
    """

    lat: float | None = None
    lon: float | None = None
    reason: str | None = None
    sign_off: SignOff | None = None
    assignee_ids: list[UUID] | None = None


def details_in(body: WorkOrderMove) -> MoveDetails:
    """Return what is given in the body of a verb."""
    return MoveDetails(
        body.lat,
        body.lon,
        body.reason if isinstance(body, ReasonedMove) else None,
        body if isinstance(body, Completion) else None,
        _named_in(body),
    )


def _named_in(body: WorkOrderMove) -> list[UUID] | None:
    if not isinstance(body, WorkOrderAssignment) or body.assignee_ids is None:
        return None
    return sorted(set(body.assignee_ids))


def is_own(access: Access, row: WorkOrder) -> bool:
    """Return whether the caller is an assignee."""
    return any(map(access.is_own, row.user_ids))


def check_own(access: Access, row: WorkOrder) -> None:
    """Raise Problem (403) for a technician who is no assignee."""
    access.check_own(access.caller.user_id if is_own(access, row) else None, "work orders")


async def check_own_order(conn: Connection, access: Access, order_id: UUID | None) -> None:
    """Raise Problem (403) where a technician names an order of which they are no assignee."""
    if order_id is None or not access.is_technician:
        return
    row = await work_orders.find(conn, order_id)
    if row is not None:
        check_own(access, row)


def check_may_move(access: Access, row: WorkOrder, verb: Verb) -> None:
    """Raise Problem (403) where the caller may not say the verb."""
    role, own = access.caller.role, is_own(access, row)
    if not WORK_ORDERS.may_move(row.state, verb, role, is_own=own):
        whose = "that is assigned to them" if own else "that is not assigned to them"
        raise forbidden(f"The role {role} may not {verb} a work order {whose}.")


async def move(
    conn: Connection, access: Access, row: WorkOrder, verb: Verb, details: MoveDetails, at: datetime
) -> WorkOrder:
    """Bring an order to the state that a verb leads to, and on to `assigned` where it has become
    `created` and has assignees. Raises IllegalMoveError, Problem (409, 422).
    """
    then = WORK_ORDERS.move(row.state, verb)
    _check_details(row, verb, details, at)
    await _check_signature(conn, row, details.sign_off)
    changed = row._replace(state=then, updated_at=at)
    if details.assignee_ids is not None:
        changed = changed._replace(assignee_ids=details.assignee_ids)
    check_assignees(changed)
    await check_new_assignees(conn, row, changed)
    if row.state in ENDED and then in OPEN:
        await check_references_live(conn, changed)
    if verb == "start" and row.started_at is None:
        changed = changed._replace(started_at=at)
    if verb != "close":
        changed = changed._replace(ended_at=at if then in ENDED else None)
    await work_orders.update(conn, changed)
    await _move_parts(conn, access, row, changed)
    if then == "closed":
        await keep_rates(conn, row.id)
    elif row.state == "closed":
        await forget_rates(conn, row.id)
    await _check_room(conn, row, verb)
    made = _transition(access, row, changed, verb, details, at)
    if then == "started" and row.site_id is not None:
        made = made._replace(zone_id=await stored.zone_of_site(conn, row.site_id))
    await transitions.insert(conn, made)
    if type_ := _told(row, changed, verb):
        told = event_of(access, type_, changed, at, verb=verb, details=details)
        await events.insert(conn, [told])
    if needs_assignment(changed):
        place = MoveDetails(details.lat, details.lon)
        return await move(conn, access, changed, "assign", place, at + A_MOMENT)
    return changed


def needs_assignment(row: WorkOrder) -> bool:
    """Return whether an order is to be `assigned`: it is to be done, and somebody has it."""
    return row.state == "created" and bool(row.assignee_ids)


def _told(row: WorkOrder, changed: WorkOrder, verb: Verb) -> str | None:
    """Return the type of the event of a verb. To name the assignees that an assigned order has
    tells nothing.
    """
    if verb == "assign" and row.state == "assigned" and not _is_given(row, changed):
        return None if row.assignee_ids == changed.assignee_ids else WORK_ORDER_UPDATED
    return _EVENTS.get(verb, WORK_ORDER_UPDATED)


def _is_given(row: WorkOrder, changed: WorkOrder) -> bool:
    """Return whether somebody has an order who had not."""
    return not set(changed.assignee_ids) <= set(row.assignee_ids)


async def check_references_live(conn: Connection, row: WorkOrder) -> None:
    """Raise Problem (409) where the client, the site or, unless it has ended, an assignee or an
    asset of an order is deleted. They stay until the transaction ends.
    """
    await check_owners(conn, KINDS["work_order"], row, ["client", "site"])
    if row.state not in OPEN:
        return
    for kind, ids in (("employee", row.assignee_ids), ("asset", row.asset_ids)):
        there = await KINDS[kind].lock_existing(conn, ids)
        if len(there) < len(ids):
            detail = f"{KINDS[kind].one.capitalize()} of the work order is deleted"
            raise conflict(f"{kind}_deleted", f"{detail}: restore it first.")


async def check_new_assignees(conn: Connection, before: WorkOrder | None, row: WorkOrder) -> None:
    """Raise Problem (409) where an employee who has left is given an order. before: the order as it
    was; None: it is new.
    """
    added = set(row.assignee_ids) - set(before.assignee_ids if before else ())
    if added and not await have_all_stayed(conn, added):
        detail = "One of the employees has left: assign somebody who is active."
        raise conflict("employee_left", detail, pointer="/assignee_ids")


async def check_site(conn: Connection, row: WorkOrder) -> None:
    """Raise Problem (409) where an order is given a site of another client than its own."""
    if row.site_id is None or row.client_id is None:
        return
    site = await sites.get(conn, row.site_id)
    if site.client_id not in (None, row.client_id):
        detail = "The site is another client's: a work order has a site of its client, or one of"
        raise conflict("site_of_another_client", f"{detail} your own.", pointer="/site_id")


async def emit_change(
    conn: Connection, access: Access, before: WorkOrder, row: WorkOrder, changed: Sequence[str]
) -> None:
    """Emit the event of changed fields, and that of new assignees where the order is in somebody's
    hands. A draft tells nothing.
    """
    if row.state == "draft":
        return
    types = [WORK_ORDER_UPDATED]
    if row.state in IN_HANDS and _is_given(before, row):
        types.append(WORK_ORDER_ASSIGNED)
    at = row.updated_at
    told = [event_of(access, type_, row, at, changed=changed) for type_ in types]
    await events.insert(conn, told)


async def _check_room(conn: Connection, row: WorkOrder, verb: Verb) -> None:
    """Raise Problem (409) where an order has taken too many ways. It can always be ended."""
    if verb in ENDING:
        return
    if await transitions.count(conn, {"work_order_id": row.id}) >= MAX_TRANSITIONS:
        detail = f"A work order has at most {MAX_TRANSITIONS} transitions, and those that end it."
        raise conflict("too_many_transitions", f"{detail} Make another one.")


async def check_drawn(access: Access, sign_off: SignOff | None, pointer: str) -> None:
    """Raise Problem (422, 429, 503) for a drawn signature that cannot be shown. To be called before
    a connection is taken, since it is decoded. pointer: that of the sign-off.
    """
    if sign_off is None or sign_off.signature is None:
        return
    try:
        await decoded_signature(access.state, access.caller.org_id, sign_off.signature)
    except SignatureError as error:
        raise bad_field(f"{pointer}/signature", f"must be a drawing: {error}") from None


async def _check_signature(conn: Connection, row: WorkOrder, sign_off: SignOff | None) -> None:
    """Raise Problem (422) for a signature that is no image of the order."""
    if sign_off is None or sign_off.signature_attachment_id is None:
        return
    file = await attachments.find(conn, sign_off.signature_attachment_id)
    is_image = file is not None and file.media_type.startswith("image/")
    if file is None or not is_image or file.work_order_id != row.id:
        raise bad_field("/signature_attachment_id", "must be an image of this work order")


def stock_of(access: Access, row: WorkOrder) -> OrderStock:
    """Return the order for which the caller moves stock."""
    return OrderStock(access.caller.org_id, row.id, access.caller.user_id)


async def _move_parts(conn: Connection, access: Access, row: WorkOrder, changed: WorkOrder) -> None:
    """Reserve what an order plans when it is issued, and release the rest when it is over. Raises
    Problem (409).
    """
    stock = stock_of(access, row)
    try:
        if row.state == "draft" and changed.state in RESERVING:
            await _check_plan(conn, row)
            await reserve_planned(conn, stock)
        elif changed.state in RELEASING:
            await release_reserved(conn, stock)
    except StockError as error:
        raise conflict(error.code, str(error)) from None


async def _check_plan(conn: Connection, row: WorkOrder) -> None:
    """Raise Problem (409) for a draft that plans a deleted part, or one in a deleted warehouse."""
    deleted = await deleted_in_plan(conn, row.id)
    if deleted is not None:
        name, warehouse = deleted
        if warehouse is None:
            detail = f"{name} is deleted: restore the part, or plan 0 of it."
            raise conflict("part_deleted", detail)
        detail = f"{name} is planned in {warehouse}, which is deleted: plan it elsewhere."
        raise conflict("warehouse_deleted", detail)


def check_assignees(row: WorkOrder) -> None:
    """Raise Problem (422) for an order in somebody's hands that nobody has."""
    if row.state in IN_HANDS and not row.assignee_ids:
        raise bad_field("/assignee_ids", f"a work order that is {row.state} has at least one")


def _check_details(row: WorkOrder, verb: Verb, details: MoveDetails, at: datetime) -> None:
    """Raise Problem (422) for what the verb needs and has not, or has and does not need."""
    if (verb in NEEDING_A_REASON) != (details.reason is not None):
        needs = "needs a reason" if details.reason is None else "takes no reason"
        raise bad_field("/reason", f"to {verb} a work order {needs}")
    if (verb == "complete") != (details.sign_off is not None):
        needs = "needs a sign-off" if details.sign_off is None else "takes no sign-off"
        raise bad_field("/sign_off", f"to {verb} a work order {needs}")
    check_together(details, "lat", "lon")
    signed_at = details.sign_off and details.sign_off.signed_at
    if signed_at is not None and signed_at > at + _CLOCK_AHEAD:
        raise bad_field("/signed_at", "must not be in the future")
    if signed_at is not None and signed_at < at - _OLDEST_SIGNATURE:
        raise bad_field("/signed_at", "must not be more than ten years ago")


def _transition(
    access: Access,
    row: WorkOrder | None,
    changed: WorkOrder,
    verb: Verb | Literal["create"],
    details: MoveDetails,
    at: datetime,
) -> WorkOrderTransition:
    """Return the way to a state. row: the order before; None: there was none."""
    user_id, before = access.caller.user_id, row and row.state
    made = WorkOrderTransition(
        new_id(), changed.id, verb, before, changed.state, user_id, at, details.lat
    )
    made = made._replace(lon=details.lon, reason=details.reason)
    sign_off = details.sign_off
    if sign_off is None:
        return made
    png = sign_off.signature
    return made._replace(
        signer_name=sign_off.signer_name,
        signed_at=sign_off.signed_at or at,
        signature=None if png is None else base64.b64decode(png),
        signature_attachment_id=sign_off.signature_attachment_id,
        open_tasks=sum(not task["done"] for task in changed.checklist),
    )


async def insert_created(conn: Connection, access: Access, row: WorkOrder) -> None:
    """Insert a new order with its first transitions, and its events unless it is a draft. An order
    that somebody has was `created` and then `assigned`.
    """
    at, is_assigned = row.created_at, row.state == "assigned"
    first = row._replace(state="created") if is_assigned else row
    moves = [_transition(access, None, first, "create", MoveDetails(), at)]
    told = [] if row.state == "draft" else [event_of(access, WORK_ORDER_CREATED, first, at)]
    if is_assigned:
        moves.append(_transition(access, first, row, "assign", MoveDetails(), row.updated_at))
        given = event_of(access, WORK_ORDER_ASSIGNED, row, row.updated_at, verb="assign")
        told.append(given)
    await stored.insert(conn, row)
    for move in moves:
        await transitions.insert(conn, move)
    await events.insert(conn, told)


def event_of(
    access: Access,
    type_: str,
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
        work_order_id=id_text("wo", row.id),
        number=row.number,
        title=row.title,
        status=row.state,
        verb=verb,
        changed=list(changed),
        priority=row.priority,
        client_id=optional_id_text("cli", row.client_id),
        site_id=optional_id_text("sit", row.site_id),
        parent_id=optional_id_text("wo", row.parent_id),
        assignee_ids=[id_text("emp", each) for each in row.assignee_ids],
        asset_ids=[id_text("ast", each) for each in row.asset_ids],
        planned_start=optional_time_text(row.planned_start),
        planned_end=optional_time_text(row.planned_end),
        due_at=optional_time_text(row.due_at),
        deleted_at=optional_time_text(row.deleted_at),
        user_id=id_text("usr", access.caller.user_id),
        lat=details.lat,
        lon=details.lon,
        reason=details.reason,
        signer_name=details.sign_off and details.sign_off.signer_name,
    )
    text = msgspec.json.encode(data).decode()
    return Event(access.caller.org_id, new_id(), type_, at, text)


# Fields -------------------------------------------------------------------------------------------


def check_row(row: WorkOrder) -> None:
    """Raise Problem (422) for fields that do not go together."""
    check_together(row, "planned_start", "planned_end")
    if row.planned_start and row.planned_end and row.planned_end < row.planned_start:
        raise bad_field("/planned_end", "must not be before planned_start")
    if row.labour_cost_cents is not None and row.currency is None:
        raise bad_field("/currency", "is needed beside labour_cost_cents")
    check_assignees(row)


async def check_parent(conn: Connection, row: WorkOrder) -> None:
    """Raise Problem (422) for a parent that makes a circle, or too many levels. The tree must be
    locked (`lock_tree`).
    """
    if row.parent_id is None:
        return
    path = await stored.path_to(conn, row.parent_id, MAX_DEPTH)
    if row.id in path:
        raise bad_field("/parent_id", "must not be the work order itself or one below it")
    levels = len(path) + 1 + await stored.levels_below(conn, row.id, MAX_DEPTH)
    if levels > MAX_DEPTH:
        raise bad_field("/parent_id", f"makes more than {MAX_DEPTH} levels of work orders")


def checked_off(
    before: Sequence[Mapping[str, Any]], given: Sequence[Task], user_id: UUID, at: datetime
) -> list[dict[str, Any]]:
    """Return a checklist as it is stored: what was done already stays by whoever did it."""
    done_now = {"done": True, "by": str(user_id), "at": optional_time_text(at)}
    undone = {"done": False, "by": None, "at": None}
    formers = [
        None if place is None or not before[place]["done"] else before[place]
        for place in former_places([each["text"] for each in before], [each.text for each in given])
    ]
    return [
        {"text": task.text, **((former or done_now) if task.done else undone)}
        for task, former in zip(given, formers, strict=True)
    ]
