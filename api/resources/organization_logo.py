"""The logo of the organization, which its documents show: a copy without metadata."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.letterhead import Letterhead, Logo
from api.http import fields
from api.http.encoding import no_content, ok
from api.http.etags import tag_of
from api.http.problems import Fault, Problem, bad_field, not_found
from api.limits.turns import refusing_when_full
from api.photos.copier import LOGO_SIDE_PX, PhotoCopies, PhotoError
from api.request.access import Access, Admin, Reader
from api.request.route import TenantRoute
from api.resources.attachments.upload import Upload, UploadRoute
from db.core.connect import Connection
from db.resources import organization_logos, organizations
from db.resources.organization_logos import OrganizationLogo
from db.resources.organizations import Organization
from languages.language import USUAL

MAX_LOGO_BYTES = 1024 * 1024
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
_FORM = {
    "title": "NewLogo",
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "description": f"A {', '.join(MEDIA_TYPES)} of up to {MAX_LOGO_BYTES} bytes.",
    "examples": [{"file": "..."}],
    "properties": {
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "maxLength": MAX_LOGO_BYTES,
            "examples": ["..."],
        }
    },
}
_BYTES = {
    "description": "The image",
    "content": {
        "*/*": {
            "schema": {
                "type": "string",
                "contentMediaType": "application/octet-stream",
                "maxLength": MAX_LOGO_BYTES,
            }
        }
    },
}
_NONE: dict[int | str, dict[str, Any]] = {404: {"description": "There is no logo"}}
_Pixels = Annotated[int, Field(ge=1, le=LOGO_SIDE_PX, examples=[600])]


class LogoRoute(UploadRoute):
    """A route that takes a logo."""

    max_file_bytes = MAX_LOGO_BYTES


router = APIRouter(prefix="/v1/organization/logo", tags=["organization"], route_class=TenantRoute)
_uploads = APIRouter(prefix="/v1/organization/logo", tags=["organization"], route_class=LogoRoute)


class LogoItem(BaseModel):
    """The logo, without its bytes, as documents show it."""

    media_type: Annotated[str, fields.text(100, "image/png")]
    width_px: _Pixels
    height_px: _Pixels
    size_bytes: Annotated[int, Field(ge=1, le=MAX_LOGO_BYTES, examples=[48213])]


@_uploads.put(
    "",
    operation_id="putOrganizationLogo",
    response_model=LogoItem,
    openapi_extra={
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    },
)
async def put_logo(request: Request, access: Admin) -> Response:
    """Set the logo, in place of the one before. Documents that were sent keep theirs."""
    upload: Upload = request.state.upload
    if upload.fields:
        raise bad_field(f"/{next(iter(upload.fields))}", "This field is unknown or read-only.")
    if upload.media_type not in MEDIA_TYPES:
        raise _refused(f"The file must be one of {', '.join(MEDIA_TYPES)}.")
    full, thumb = await _copies(access, upload)
    if len(full.content) > MAX_LOGO_BYTES:
        raise _refused("The logo has too many details: send fewer pixels, or a JPEG.")
    logo = OrganizationLogo(
        full.media_type, full.width_px, full.height_px, full.content, thumb.content
    )
    async with access.transaction() as conn:
        await organizations.find(conn, lock=True)
        before = await organization_logos.find(conn)
        if before is not None:
            access.preconditions.check(tag_of(before.content))
        await organization_logos.write(conn, logo)
    return ok(_logo_item(logo))


@router.get(
    "",
    operation_id="getOrganizationLogo",
    response_class=Response,
    responses={200: _BYTES, **_NONE},
)
async def get_logo(access: Reader) -> Response:
    """Return the logo, as documents show it."""
    async with access.transaction() as conn:
        logo = await organization_logos.find(conn)
    if logo is None:
        raise not_found("logo")
    headers = {
        "Content-Type": logo.media_type,
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "ETag": tag_of(logo.content),
    }
    return Response(logo.content, headers=headers)


@router.delete("", operation_id="deleteOrganizationLogo", status_code=204, responses=_NONE)
async def delete_logo(access: Admin) -> Response:
    """Remove the logo. Documents that were sent keep it."""
    async with access.transaction() as conn:
        await organizations.find(conn, lock=True)
        logo = await organization_logos.find(conn)
        if logo is None:
            raise not_found("logo")
        access.preconditions.check(tag_of(logo.content))
        await organization_logos.delete(conn)
    return no_content()


router.routes.extend(_uploads.routes)


async def letterhead_of(conn: Connection, organization: Organization) -> Letterhead:
    """Return the letterhead of the tenant's documents, as it is now."""
    language = organization.language or USUAL
    if organization.logo_sha256 is None:
        return Letterhead(organization.address, language=language)
    found = await organization_logos.find(conn)
    logo = None
    if found is not None:  # else removed meanwhile
        logo = Logo(found.content, found.width_px, found.height_px, found.thumb)
    return Letterhead(organization.address, logo, language)


async def _copies(access: Access, upload: Upload) -> PhotoCopies:
    """Raise Problem: 422 for a file that cannot be shown, 429 and 503 where too many wait."""

    async def read() -> bytes:
        await upload.file.seek(0)
        return await upload.file.read()

    try:
        with refusing_when_full("images"):
            return await access.state.photos.logo(access.caller.org_id, read, upload.size_bytes)
    except PhotoError as error:
        raise _refused(f"The logo cannot be shown: {error}.") from None


def _refused(problem: str) -> Problem:
    faults = (Fault(problem, pointer="/file"),)
    return Problem(422, "logo_refused", "This file cannot be the logo.", faults=faults)


def _logo_item(logo: OrganizationLogo) -> dict[str, Any]:
    return {
        "media_type": logo.media_type,
        "width_px": logo.width_px,
        "height_px": logo.height_px,
        "size_bytes": len(logo.content),
    }
