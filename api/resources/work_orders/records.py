"""The records of work orders: comments, transitions, and the machines that were at the site."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from api.http.encoding import created
from api.http.problems import conflict
from api.request.access import Access, Reader, Technician
from api.request.paging import ListOf, ListQuery, Page, SortedQuery, Total
from api.request.resource import Item
from api.request.route import TenantRoute
from api.resources.visits import VisitItem, visit_item
from api.resources.work_orders.bodies import (
    CommentItem,
    NewComment,
    TransitionItem,
    comment_item,
    transition_item,
    transition_without_signature,
)
from api.resources.work_orders.changes import check_own
from api.resources.work_orders.routes import WorkOrderPath, check_unchanged, orders
from db.core.ids import new_id
from db.core.listing import RowKey
from db.core.table import Table, db_now
from db.history import visits
from db.history.visits import ListedVisit, VisitFilter
from db.resources import work_orders as table
from db.resources.work_orders import Comment, comments, transitions

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
MAX_COMMENTS = 1_000


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
        check_unchanged(access, row)
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
