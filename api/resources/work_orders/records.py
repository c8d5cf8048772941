"""The records of work orders: comments, transitions, and the machines that were at the site."""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created
from api.http.problems import conflict
from api.request.access import Access, Reader, Technician
from api.request.paging import ListOf, ListQuery, Page, SortedQuery, Total
from api.request.resource import Item, item_of
from api.request.route import TenantRoute
from api.resources.visits import VisitItem, visit_item
from api.resources.work_orders.listing import MAX_CHECKLIST, WorkOrderPath, check_own, orders
from api.resources.work_orders.verbs import Reason, Signature, Signer
from db.core.ids import new_id
from db.core.listing import RowKey
from db.core.table import Table, db_now
from db.history import visits
from db.history.visits import ListedVisit, VisitFilter
from db.resources import work_orders as table
from db.resources.work_orders import Comment, WorkOrderTransition, comments, transitions
from operations.work_orders.states import State, Verb

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
MAX_COMMENTS = 1_000
_Remark = Annotated[fields.Notes, Field(examples=["The key is with the foreman."])]


class NewComment(fields.Body):
    """A new comment."""

    text: _Remark


class CommentItem(BaseModel):
    """A comment on a work order."""

    id: fields.CommentId
    work_order_id: fields.WorkOrderId
    user_id: fields.UserId
    text: _Remark
    created_at: datetime


class TransitionItem(BaseModel):
    """A way from a status to another, and who took it."""

    id: fields.TransitionId
    work_order_id: fields.WorkOrderId
    verb: Literal["create"] | Verb
    from_status: State | None = Field(description="null: it was made")
    status: State
    user_id: fields.UserId
    created_at: datetime
    lat: fields.Latitude | None = Field(description="where the user was; null: not given")
    lon: fields.Longitude | None
    reason: Reason | None
    signer_name: Signer | None
    signed_at: datetime | None
    signature: Signature | None = Field(
        description="null, as its attachment, for viewers and technicians"
    )
    signature_attachment_id: fields.AttachmentId | None
    open_tasks: Annotated[int, Field(ge=0, le=MAX_CHECKLIST, examples=[0])] | None = Field(
        description="the items of the checklist that were not done when somebody signed; null: of"
        " another verb, or not known"
    )


comment_item = item_of(CommentItem)
"""Return a CommentItem."""


def _signature(row: WorkOrderTransition) -> str | None:
    return None if row.signature is None else base64.b64encode(row.signature).decode()


transition_item = item_of(
    TransitionItem,
    from_status=lambda row: row.from_state,
    status=lambda row: row.state,
    signature=_signature,
)
"""Return a TransitionItem."""


def transition_without_signature(row: WorkOrderTransition) -> Item:
    """Return a TransitionItem for whoever does not see how a customer signed."""
    return transition_item(row._replace(signature=None, signature_attachment_id=None))


@router.get(
    "/{id}/comments", operation_id="listWorkOrderComments", response_model=ListOf[CommentItem]
)
async def list_comments(
    access: Reader, work_order_id: WorkOrderPath, query: Annotated[SortedQuery, Query()]
) -> Response:
    """List the comments on a work order, newest first."""
    return await listed_records(access, work_order_id, query, comments, comment_item)


@router.post(
    "/{id}/comments",
    operation_id="createWorkOrderComment",
    status_code=201,
    response_model=CommentItem,
)
async def create_comment(
    access: Technician, work_order_id: WorkOrderPath, body: Annotated[NewComment, Body()]
) -> Response:
    """Write a comment on a work order. It stays as it is."""
    async with access.transaction() as conn:
        row = await orders.found(conn, work_order_id, lock=True)
        check_own(access, row)
        access.check_unchanged(orders.item_for(access)(row))
        if await comments.count(conn, {"work_order_id": row.id}) >= MAX_COMMENTS:
            detail = f"A work order has at most {MAX_COMMENTS} comments."
            raise conflict("too_many_comments", detail)
        at = await db_now(conn)
        comment = Comment(new_id(), row.id, access.caller.user_id, body.text, at)
        await comments.insert(conn, comment)
    item = comment_item(comment)
    return created(item, f"{router.prefix}/{item['work_order_id']}/comments")


@router.get(
    "/{id}/transitions",
    operation_id="listWorkOrderTransitions",
    response_model=ListOf[TransitionItem],
)
async def list_transitions(
    access: Reader, work_order_id: WorkOrderPath, query: Annotated[SortedQuery, Query()]
) -> Response:
    """List the ways that a work order took from status to status, newest first."""
    item = transition_item if access.sees_all else transition_without_signature
    return await listed_records(access, work_order_id, query, transitions, item)


@router.get(
    "/{id}/assets-on-site",
    operation_id="listWorkOrderAssetsOnSite",
    response_model=ListOf[VisitItem],
)
async def list_assets_on_site(
    access: Reader, work_order_id: WorkOrderPath, query: Annotated[ListQuery, Query()]
) -> Response:
    """List the visits of machines to the geofence of the site while the work order was started or
    on hold, newest entry first. The geofence is that of the last start or resumption before.
    """
    page = Page(access, query, f"work-orders/{work_order_id}/assets-on-site", RowKey)
    async with access.transaction() as conn:
        row = await orders.found(conn, work_order_id)
        windows = await table.windows_at_site(conn, row.id)
        if not windows:
            return await page.response([], Total(0), key=_key, item=visit_item)
        wanted = VisitFilter(windows=windows)
        if len(windows) == 1:  # which the index of a zone's visits has in order
            wanted = VisitFilter(**windows[0]._asdict())
        found, total = await page.read(conn, visits.VISITS, wanted)
    return await page.response(found, total, key=_key, item=visit_item)


def _key(visit: ListedVisit) -> RowKey:
    return RowKey(visit.entered_at, visit.id)


async def listed_records(
    access: Access,
    work_order_id: UUID,
    query: SortedQuery,
    of: Table[Any],
    item: Callable[[Any], Item],
) -> Response:
    """Answer with a page of the records of an order. Raises Problem (404)."""
    page = Page(access, query, f"work-orders/{work_order_id}/{of.name}", query.order.key_type)
    async with access.transaction() as conn:
        row = await orders.found(conn, work_order_id)
        wanted = {"work_order_id": row.id}
        rows, total = await page.read(conn, of, wanted, query.order)
    return await page.response(rows, total, key=query.order.key, item=item)
