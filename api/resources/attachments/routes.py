"""Attachments: files of assets, sites, clients, employees, zones and work orders.

What is deleted is gone, bytes and all. How much an organization may keep is a setting. A photo is
shown by copies without metadata, which are made when it arrives.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from msgspec import structs
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, no_content, ok
from api.http.problems import (
    Fault,
    Problem,
    bad_field,
    conflict,
    forbidden,
    not_found,
)
from api.limits.turns import refusing_when_full
from api.photos.copier import PhotoError
from api.photos.copying import FULL_SIDE_PX, PhotoCopy
from api.request.access import Access, Dispatcher, Reader, Technician
from api.request.paging import ListOf, SortedQuery
from api.request.references import check_reference
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from api.resources.attachments.download import FileSize, download, served_file
from api.resources.attachments.upload import MAX_FILE_BYTES, PHOTO_TYPES, Upload, UploadRoute
from api.resources.work_orders.listing import check_own_order
from db.core.connect import Connection
from db.resources import attachments as files
from db.resources import photo_copies
from db.resources.attachments import PIECE_BYTES, Attachment, attachments
from db.resources.employees import of_user
from db.resources.inspection_forms import is_photo
from db.resources.kinds import KINDS, Kind
from db.resources.photo_copies import PhotoSize
from db.resources.quotas import check_room, claim_bytes
from db.resources.work_orders import is_signature, work_orders
from operations.work_orders.states import FIXED, WORK_ORDERS
from telemetry.ids import IdError, parse_id

router = APIRouter(prefix="/v1/attachments", tags=["attachments"], route_class=TenantRoute)
_uploads = APIRouter(prefix="/v1/attachments", tags=["attachments"], route_class=UploadRoute)
_AttachmentPath = Annotated[fields.AttachmentId, Path(alias="id")]

_OWNERS = {
    f"{name}_id": KINDS[name]
    for name in ("asset", "site", "client", "employee", "zone", "work_order")
}
_FORM = {
    "title": "NewAttachment",
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "minProperties": 2,
    "maxProperties": 2,
    "description": "The file, and the one thing that it belongs to.",
    "examples": [{"file": "...", "asset_id": "ast_01jd8x0k2m4n6p8q0r2s4t6v8w"}],
    "properties": {
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "maxLength": MAX_FILE_BYTES,
            "examples": ["..."],
        },
        **{
            name: {
                "type": "string",
                "pattern": f"^{kind.prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
                "maxLength": 30,
                "examples": [f"{kind.prefix}_01jd8x0k2m4n6p8q0r2s4t6v8w"],
            }
            for name, kind in _OWNERS.items()
        },
    },
}
_BYTES = {
    "description": "The file",
    "content": {
        "*/*": {
            "schema": {
                "type": "string",
                "contentMediaType": "application/octet-stream",
                "maxLength": MAX_FILE_BYTES,
            }
        }
    },
}


_Pixels = Annotated[int | None, Field(ge=1, le=FULL_SIDE_PX, examples=[1200])]


class AttachmentItem(BaseModel):
    """A file, without its bytes. It belongs to exactly one of the six."""

    id: fields.AttachmentId
    asset_id: fields.AssetId | None
    site_id: fields.SiteId | None
    client_id: fields.ClientId | None
    employee_id: fields.EmployeeId | None
    zone_id: fields.ZoneId | None
    work_order_id: fields.WorkOrderId | None
    file_name: Annotated[str, fields.text(200, "front.jpg")]
    media_type: Annotated[str, fields.text(100, "image/jpeg")] = Field(
        description="by what is in it, whatever it was called"
    )
    size_bytes: Annotated[int, Field(ge=1, le=MAX_FILE_BYTES, examples=[48213])] = Field(
        description="of the file as it was sent, like sha256"
    )
    sha256: Annotated[str, fields.text(64, "0f" * 32, "^[0-9a-f]{64}$")]
    created_by: fields.UserId
    created_at: datetime
    width_px: _Pixels = Field(description="of a photo as it is shown; null: it has no copies")
    height_px: _Pixels


class ContentQuery(fields.Query):
    """The form of a photo."""

    size: FileSize = Field(
        default="full",
        description="of a photo: a copy without metadata, a thumbnail, or the file as it was sent,"
        " for dispatchers and admins",
    )


class AttachmentQuery(SortedQuery):
    """The filters of attachments."""

    asset_id: fields.AssetId | None = None
    site_id: fields.SiteId | None = None
    client_id: fields.ClientId | None = None
    employee_id: fields.EmployeeId | None = None
    zone_id: fields.ZoneId | None = None
    work_order_id: fields.WorkOrderId | None = None


_attachments = Resource(attachments, item_of(AttachmentItem, sha256=lambda row: row.sha256.hex()))


@router.get("", operation_id="listAttachments", response_model=ListOf[AttachmentItem])
async def list_attachments(access: Reader, query: Annotated[AttachmentQuery, Query()]) -> Response:
    """List attachments, newest first. Viewers and technicians see no files of other employees, and
    none with which a customer signed.
    """
    if access.sees_all:
        return await _attachments.list(access, query)
    limits = {"readable_by": access.caller.user_id, "signatures": False}
    return await _attachments.list(access, query, **limits)


@_uploads.post(
    "",
    operation_id="createAttachment",
    status_code=201,
    response_model=AttachmentItem,
    openapi_extra={
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    },
)
async def create_attachment(request: Request, access: Technician) -> Response:
    """Create an attachment, of the one thing that is given. A technician's is a file of a work
    order that is assigned to them, or an image of an asset or a site, as inspections need.
    """
    upload: Upload = request.state.upload
    owner, owner_id = _owner(upload)
    _check_technician(access, upload, owner)
    copies = await _copies(access, upload)
    copied_bytes = sum(len(copy.content) for copy in copies.values())
    async with access.transaction() as conn:
        await check_reference(conn, owner, owner_id)
        if owner.name == "work_order":
            await check_own_order(conn, access, owner_id)
        now, more = await check_room(conn, "attachments"), upload.size_bytes + copied_bytes
        most = access.state.settings.attachments_quota_bytes
        await claim_bytes(conn, more, most, files=1)
        columns = {
            f"{owner.name}_id": owner_id,
            "file_name": upload.file_name,
            "media_type": upload.media_type,
            "size_bytes": upload.size_bytes,
            "sha256": upload.sha256,
            "created_by": access.caller.user_id,
        }
        if copies:
            columns |= {"width_px": copies["full"].width_px, "height_px": copies["full"].height_px}
        attachment = _attachments.new(columns, now)
        await attachments.insert(conn, attachment)
        await _write(conn, attachment.id, upload)
        for size, copy in copies.items():
            await photo_copies.insert(conn, attachment.id, size, **structs.asdict(copy))
    return created(_attachments.item(attachment), router.prefix)


router.routes.extend(_uploads.routes)


@router.get("/{id}", operation_id="getAttachment", response_model=AttachmentItem)
async def get_attachment(access: Reader, attachment_id: _AttachmentPath) -> Response:
    """Return one attachment, without its bytes."""
    async with access.transaction() as conn:
        return ok(_attachments.item(await _readable(conn, access, attachment_id)))


@router.get(
    "/{id}/content",
    operation_id="getAttachmentContent",
    response_class=Response,
    responses={200: _BYTES, 206: _BYTES | {"description": "The bytes that were asked for"}},
)
async def download_attachment(
    request: Request,
    access: Reader,
    attachment_id: _AttachmentPath,
    query: Annotated[ContentQuery, Query()],
) -> Response:
    """Download the bytes, all or one range of them. A photo is a copy without metadata."""
    async with access.transaction() as conn:
        attachment = await _readable(conn, access, attachment_id)
        file = await served_file(conn, access, attachment, query.size)
    return download(request, access, file)


@router.delete("/{id}", operation_id="deleteAttachment", status_code=204)
async def delete_attachment(access: Dispatcher, attachment_id: _AttachmentPath) -> Response:
    """Delete an attachment and its bytes, for ever; not one that a submitted form shows, with which
    somebody signed, or of a work order that is completed, closed or cancelled.
    """
    async with access.transaction() as conn:
        attachment = await _attachments.found(conn, attachment_id)
        access.check_unchanged(_attachments.item(attachment))
        if await is_photo(conn, attachment_id):
            raise conflict("in_use", "A submitted inspection form shows the attachment.")
        if await is_signature(conn, attachment_id):
            raise conflict("in_use", "A work order was signed with the attachment.")
        await _check_order(conn, attachment.work_order_id)
        if not await files.delete(conn, attachment_id):
            raise not_found("attachment")
    return no_content()


async def _readable(conn: Connection, access: Access, attachment_id: UUID) -> Attachment:
    """Return an attachment that the caller may read. Raises Problem (403, 404)."""
    attachment = await _attachments.found(conn, attachment_id)
    if not access.sees_all:
        own = await of_user(conn, access.caller.user_id)
        if attachment.employee_id not in (None, own):
            raise forbidden("Files of other employees are for dispatchers and admins.")
        if await is_signature(conn, attachment_id):
            raise forbidden("What a customer signed with is for dispatchers and admins.")
    return attachment


async def _check_order(conn: Connection, order_id: UUID | None) -> None:
    """Raise IllegalMoveError for a work order whose files stay. Its state stays until the
    transaction ends.
    """
    order = None if order_id is None else await work_orders.find(conn, order_id, lock=True)
    if order is not None and order.state in FIXED:
        raise WORK_ORDERS.illegal(order.state, "to delete a file")


def _owner(upload: Upload) -> tuple[Kind, UUID]:
    """Return the thing that the file belongs to. Raises Problem: 422 for a field that there is not,
    none, or several.
    """
    for name in upload.fields:
        if name not in _OWNERS:
            raise bad_field(f"/{name}", "This field is unknown or read-only.")
    if len(upload.fields) != 1:
        raise bad_field("", f"Exactly one of {', '.join(_OWNERS)} is required.")
    ((name, text),) = upload.fields.items()
    try:
        return _OWNERS[name], parse_id(_OWNERS[name].prefix, text)
    except IdError as error:
        raise bad_field(f"/{name}", str(error)) from None


def _check_technician(access: Access, upload: Upload, owner: Kind) -> None:
    """Raise Problem (403) where a technician uploads something else than a photo or a file of a
    work order.
    """
    is_photo = upload.media_type.startswith("image/") and owner.name in ("asset", "site")
    if access.caller.role == "technician" and not (is_photo or owner.name == "work_order"):
        detail = "A technician may only upload images of assets and sites, and files of work orders"
        raise forbidden(f"{detail} that are assigned to them.")


async def _copies(access: Access, upload: Upload) -> dict[PhotoSize, PhotoCopy]:
    """Return the copies of a photo; none of another file. Raises Problem (422, 429, 503)."""
    if upload.media_type not in PHOTO_TYPES:
        return {}

    async def read() -> bytes:
        content = await upload.file.read()
        await upload.file.seek(0)
        return content

    try:
        with refusing_when_full("photos"):
            copies = await access.state.photos.copies(access.caller.org_id, read, upload.size_bytes)
    except PhotoError as error:
        code = "image_too_large" if error.is_too_large else "image_unreadable"
        fault = Fault(f"The image cannot be read: {error}.", pointer="/file")
        raise Problem(422, code, "The image cannot be read.", faults=(fault,)) from None
    return {"full": copies.full, "thumb": copies.thumb}


async def _write(conn: Connection, attachment_id: UUID, upload: Upload) -> None:
    number = 0
    while content := await upload.file.read(PIECE_BYTES):
        await files.write_piece(conn, attachment_id, number, content)
        number += 1
