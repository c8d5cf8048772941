"""A work order on paper (`api.documents.work_order_pdf`): its names, photos and signature."""

from dataclasses import replace
from uuid import UUID
from zoneinfo import ZoneInfo

from api.documents.work_order_pdf import (
    MAX_PRINTED_FILES,
    SheetPart,
    SheetSignature,
    SheetTask,
    WorkOrderSheet,
)
from api.http.encoding import id_text
from api.http.fields import read_time
from api.photos.copier import PhotoError
from api.request.access import Access
from api.resources.clients import clients
from api.resources.organization_logo import letterhead_of
from api.resources.sites import sites
from db.core.connect import Connection
from db.resources import organizations, photo_copies
from db.resources.attachments import attachments
from db.resources.names import names_of
from db.resources.work_orders import WorkOrder, last_transition
from db.stock.work_order_parts import MAX_ORDER_PARTS, order_parts

_SIGNED = ("completed", "closed")
_EXPLAINED = ("on_hold", "cancelled", "cannot_complete")


async def sheet_of(conn: Connection, row: WorkOrder, *, with_drawing: bool) -> WorkOrderSheet:
    """Return the sheet of a work order. Its drawn signature is as the client sent it: `decoded`
    has to follow. with_drawing: False leaves the drawing out.
    """
    organization = await organizations.find(conn)
    client = None if row.client_id is None else await clients.find(conn, row.client_id)
    site = None if row.site_id is None else await sites.find(conn, row.site_id)
    assignees = await names_of(conn, "employees", row.assignee_ids)
    assets = await names_of(conn, "assets", row.asset_ids)
    photos, files = await _attached(conn, row, with_drawing=with_drawing)
    return WorkOrderSheet(
        order_id=id_text("wo", row.id),
        organization=organization.name,
        letterhead=await letterhead_of(conn, organization),
        timezone=ZoneInfo(organization.timezone),
        number=row.number,
        title=row.title,
        description=row.description,
        priority=row.priority,
        state=row.state,
        reason=await _reason(conn, row),
        client="" if client is None else client.name,
        client_address="" if client is None else client.address or "",
        site="" if site is None else site.name,
        site_address="" if site is None else site.address or "",
        assignees=sorted(assignees.values()),
        assets=sorted(assets.values()),
        planned_start=row.planned_start,
        planned_end=row.planned_end,
        due_at=row.due_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        worked_s=row.worked_s,
        checklist=await _tasks(conn, row),
        parts=await _parts(conn, row),
        signature=await _signature(conn, row, with_drawing=with_drawing),
        photos=photos,
        files=files,
        changed_at=row.updated_at,
    )


async def decoded(access: Access, sheet: WorkOrderSheet) -> WorkOrderSheet:
    """Return the sheet with its drawn signature decoded and written anew, or without it where it
    cannot be shown. Raises TooManyOfOne, TooManyOfAll.
    """
    signature = sheet.signature
    if signature is None or not signature.picture:
        return sheet
    try:
        copy = await access.state.photos.signature(access.caller.org_id, signature.picture)
        picture = copy.content
    except PhotoError:
        picture = b""
    return replace(sheet, signature=signature._replace(picture=picture))


async def _reason(conn: Connection, row: WorkOrder) -> str:
    last = await last_transition(conn, row.id, row.state) if row.state in _EXPLAINED else None
    return "" if last is None else last.reason or ""


async def _tasks(conn: Connection, row: WorkOrder) -> list[SheetTask]:
    by = {UUID(task["by"]) for task in row.checklist if task["by"] is not None}
    names = await names_of(conn, "users", by)
    return [
        SheetTask(
            task["text"],
            task["done"],
            "" if task["by"] is None else names.get(UUID(task["by"]), ""),
            None if task["at"] is None else read_time(task["at"]),
        )
        for task in row.checklist
    ]


async def _parts(conn: Connection, row: WorkOrder) -> list[SheetPart]:
    """Return the parts that are planned or used, in the order in which they came."""
    newest = await order_parts.listing(
        conn, {"work_order_id": row.id}, after=None, limit=MAX_ORDER_PARTS, offset=0
    )
    return [
        SheetPart(each.part_number, each.part_name, each.unit, each.planned_milli, each.used_milli)
        for each in newest[::-1]
        if each.planned_milli or each.used_milli
    ]


async def _signature(
    conn: Connection, row: WorkOrder, *, with_drawing: bool
) -> SheetSignature | None:
    """Return what was signed when the work order was completed, unless it was reopened since."""
    last = await last_transition(conn, row.id, "completed") if row.state in _SIGNED else None
    if last is None or last.signer_name is None or last.signed_at is None:
        return None
    if not with_drawing:
        return SheetSignature(last.signer_name, last.signed_at, b"")
    picture = last.signature or b""
    if not picture and last.signature_attachment_id is not None:
        thumbs = await photo_copies.thumbs(conn, [last.signature_attachment_id])
        picture = thumbs.get(last.signature_attachment_id, b"")
    return SheetSignature(last.signer_name, last.signed_at, picture)


async def _attached(
    conn: Connection, row: WorkOrder, *, with_drawing: bool
) -> tuple[list[bytes], list[str]]:
    """Return the thumbnails of photos and the names of other files, in the order in which they
    came: of the newest that there is room for.
    """
    wanted = {"work_order_id": row.id} | ({} if with_drawing else {"signatures": False})
    newest = await attachments.listing(conn, wanted, after=None, limit=MAX_PRINTED_FILES, offset=0)
    thumbs = await photo_copies.thumbs(conn, [each.id for each in newest])
    oldest_first = newest[::-1]
    photos = [thumbs[each.id] for each in oldest_first if each.id in thumbs]
    return photos, [each.file_name for each in oldest_first if each.id not in thumbs]
