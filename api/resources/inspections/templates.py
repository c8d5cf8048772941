"""Templates of inspections, in versions.

Each change is a new version. A form keeps the version that it was begun with, so a change of a
template changes no form. Deleting and restoring are as those of clients.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok
from api.http.problems import Fault, Problem, conflict, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, ListQuery, Page, Total
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from api.resources.inspections.template_bodies import (
    InspectionTemplateChange,
    InspectionTemplateDetail,
    InspectionTemplateItem,
    InspectionTemplateQuery,
    NewInspectionTemplate,
    TemplateVersionItem,
)
from db.resources import inspection_templates as table
from db.resources.inspection_templates import InspectionTemplate, TemplateVersionKey
from db.resources.kinds import KINDS
from db.resources.quotas import check_room
from operations.inspections.answers import FormFault, questions_of, template_faults

router = APIRouter(
    prefix="/v1/inspection-templates", tags=["inspection-templates"], route_class=TenantRoute
)
_TemplatePath = Annotated[fields.InspectionTemplateId, Path(alias="id")]
_MAX_VERSIONS = 1_000


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a body as columns of the row."""
    columns = dict(given)
    if "sections" in given:
        sections = [each.model_dump(mode="json") for each in given["sections"]]
        columns |= {"sections": sections, "questions": len(questions_of(sections))}
    return columns


_listed = Resource(table.listed_templates, item_of(InspectionTemplateItem))
_templates = Resource(
    table.inspection_templates, item_of(InspectionTemplateDetail), columns=_columns
)
_version_item = item_of(TemplateVersionItem)


@router.get(
    "", operation_id="listInspectionTemplates", response_model=ListOf[InspectionTemplateItem]
)
async def list_templates(
    access: Reader, query: Annotated[InspectionTemplateQuery, Query()]
) -> Response:
    """List templates, newest first."""
    return await _listed.list(access, query)


@router.post(
    "",
    operation_id="createInspectionTemplate",
    status_code=201,
    response_model=InspectionTemplateDetail,
)
async def create_template(
    access: Dispatcher, body: Annotated[NewInspectionTemplate, Body()]
) -> Response:
    """Create a template with its first version."""
    columns = _columns(dict(body))
    refuse_faults(template_faults(columns["sections"]))
    async with access.transaction() as conn:
        now = await check_room(conn, "inspection_templates")
        row = _templates.new({**columns, "version": 1}, now)
        await table.inspection_templates.insert(conn, row)
        await table.insert_version(conn, row, access.caller.user_id)
        row = await _templates.found(conn, row.id)
    return created(_templates.item(row), router.prefix)


class TemplateQuery(fields.Query):
    """The version of a template that is asked for."""

    version: Annotated[int, fields.Field(ge=1, le=2**31 - 1)] | None = None


@router.get("/{id}", operation_id="getInspectionTemplate", response_model=InspectionTemplateDetail)
async def get_template(
    access: Reader, template_id: _TemplatePath, query: Annotated[TemplateQuery, Query()]
) -> Response:
    """Return one template with its questions."""
    async with access.transaction() as conn:
        if query.version is None:
            row = await _templates.found(conn, template_id)
        else:
            row = await table.find_version(conn, template_id, query.version)
    if row is None:
        raise not_found("version of an inspection template")
    return ok(_templates.item(row))


@router.patch(
    "/{id}", operation_id="updateInspectionTemplate", response_model=InspectionTemplateDetail
)
async def update_template(
    access: Dispatcher,
    template_id: _TemplatePath,
    body: Annotated[InspectionTemplateChange, Body()],
) -> Response:
    """Change the fields that are given, which makes the next version."""
    columns = _columns(body.given())
    refuse_faults(template_faults(columns.get("sections", ())))
    async with _templates.locked(access, template_id) as (conn, row):
        changed = row._replace(**columns)
        if changed != row:
            _check_versions(row)
            changed = await _templates.write(conn, changed._replace(version=row.version + 1))
            await table.insert_version(conn, changed, access.caller.user_id)
            changed = await _templates.found(conn, row.id)
    return ok(_templates.item(changed))


def _check_versions(row: InspectionTemplate) -> None:
    if row.version >= _MAX_VERSIONS:
        detail = f"A template has at most {_MAX_VERSIONS} versions: make another template."
        raise conflict("too_many_versions", detail)


@router.delete("/{id}", operation_id="deleteInspectionTemplate", status_code=204)
async def delete_template(access: Dispatcher, template_id: _TemplatePath) -> Response:
    """Delete a template. Its versions and forms stay, and drafts can be submitted."""
    return await _templates.delete(access, template_id)


@router.post(
    "/{id}/restore",
    operation_id="restoreInspectionTemplate",
    response_model=InspectionTemplateDetail,
)
async def restore_template(access: Dispatcher, template_id: _TemplatePath) -> Response:
    """Restore a deleted template."""
    return await _templates.restore(access, template_id)


@router.get(
    "/{id}/versions",
    operation_id="listInspectionTemplateVersions",
    response_model=ListOf[TemplateVersionItem],
)
async def list_template_versions(
    access: Reader, template_id: _TemplatePath, query: Annotated[ListQuery, Query()]
) -> Response:
    """List all versions of a template, newest first; also of a deleted template."""
    page = Page(access, query, f"inspection-templates/{template_id}/versions", TemplateVersionKey)
    async with access.transaction() as conn:
        if not await KINDS["inspection_template"].existed(conn, template_id):
            raise not_found("inspection template")
        total = page.total or Total(await table.count_versions(conn, template_id))
        rows = await table.versions(
            conn, template_id, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return await page.response(
        rows, total, key=lambda row: TemplateVersionKey(row.version), item=_version_item
    )


def refuse_faults(found: Sequence[FormFault]) -> None:
    """Raise Problem (422) with all faults, where there are any."""
    if found:
        faults = tuple(Fault(each.message, pointer=each.pointer) for each in found)
        raise Problem(422, "invalid_body", "The body is not valid.", faults=faults)
