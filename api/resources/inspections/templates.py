"""Templates of inspections, in versions.

Each change is a new version. A form keeps the version that it was begun with, so a change of a
template changes no form. Deleting and restoring are as those of clients.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, WithJsonSchema
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok
from api.http.problems import Fault, Problem, conflict, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, ListQuery, Page, SortedByNameQuery, Total
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from db.resources import inspection_templates as table
from db.resources.inspection_templates import InspectionTemplate, TemplateVersionKey
from db.resources.kinds import KINDS
from db.resources.quotas import check_room
from operations.inspections.answers import (
    MAX_NUMBER,
    MAX_OPTION_LENGTH,
    MAX_OPTIONS,
    MAX_QUESTIONS,
    MAX_TEXT_LENGTH,
    FormFault,
    QuestionType,
    questions_of,
    template_faults,
)

router = APIRouter(
    prefix="/v1/inspection-templates", tags=["inspection-templates"], route_class=TenantRoute
)
_TemplatePath = Annotated[fields.InspectionTemplateId, Path(alias="id")]
_MAX_VERSIONS = 1_000
_MAX_SECTIONS = 50
_ID = "^[a-z][a-z0-9_]*$"
_PRINTED: dict[str, Any] = {"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}


def _length(most: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most)


def _printed(example: str | None) -> Any:
    return Field(examples=[example], json_schema_extra=_PRINTED)


_STORABLE = AfterValidator(fields.storable)
_Name = Annotated[fields.Name, Field(examples=["Daily check of a crane"])]
_Label = Annotated[str, _length(500), _STORABLE, _printed("Do the brakes hold?")]
_Title = Annotated[str, _length(200), _STORABLE, _printed("Chassis")]
_Option = Annotated[str, _length(MAX_OPTION_LENGTH), _STORABLE, _printed("worn")]
_Unit = Annotated[str, _length(20), _STORABLE, _printed("bar")]
QuestionId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50),
    fields.shaped(_ID, "must be of small letters a to z, digits and '_', like oil_level"),
    Field(examples=["brakes"], json_schema_extra={"pattern": _ID}),
]
_Options = Annotated[
    Annotated[list[_Option], Field(min_length=1, max_length=MAX_OPTIONS)] | None,
    Field(description="two or more, of a choice alone", examples=[None]),
]
_Limit = Annotated[
    Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)] | None,
    Field(description="of a number alone, inclusive", examples=[None]),
]
_Equals = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_TEXT_LENGTH,
                    "examples": ["fail"],
                },
                {"type": "number"},
            ],
            "description": "a value that the answer to that question may have",
            "examples": ["fail"],
        }
    ),
]


class ShowIf(fields.Body):
    """The answer that makes a question appear, to an earlier question that appears itself."""

    question_id: QuestionId
    equals: _Equals


class TemplateQuestion(fields.Body):
    """A question of a template. docs/inspections.md has the answers to each type."""

    id: QuestionId
    type: QuestionType = Field(examples=["pass_fail"])
    label: _Label
    required: bool = True
    options: _Options = None
    minimum: _Limit = None
    maximum: _Limit = None
    unit: _Unit | None = Field(default=None, description="of a number alone", examples=[None])
    show_if: ShowIf | None = Field(
        default=None, description="null: the question always appears", examples=[None]
    )


class QuestionItem(BaseModel):
    """A question of a template."""

    id: QuestionId
    type: QuestionType = Field(examples=["pass_fail"])
    label: _Label
    required: bool
    options: _Options
    minimum: _Limit
    maximum: _Limit
    unit: _Unit | None
    show_if: ShowIf | None = Field(description="null: the question always appears")


class TemplateSection(fields.Body):
    """A section of a template."""

    title: _Title
    questions: Annotated[list[TemplateQuestion], Field(min_length=1, max_length=MAX_QUESTIONS)]


_Sections = Annotated[
    list[TemplateSection],
    Field(
        min_length=1,
        max_length=_MAX_SECTIONS,
        description=f"with at most {MAX_QUESTIONS} questions together",
    ),
]
_Version = Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]
_Questions = Annotated[
    int, Field(ge=1, le=MAX_QUESTIONS, description="how many there are", examples=[1])
]


class InspectionTemplateItem(fields.StoredItem):
    """A template, without its questions."""

    id: fields.InspectionTemplateId
    name: _Name
    version: _Version
    questions: _Questions


class SectionItem(BaseModel):
    """A section of a template."""

    title: _Title
    questions: Annotated[list[QuestionItem], Field(max_length=MAX_QUESTIONS)]


class InspectionTemplateDetail(InspectionTemplateItem):
    """A template with the questions of one version: the newest unless another is asked for."""

    sections: Annotated[list[SectionItem], Field(max_length=_MAX_SECTIONS)]


class TemplateVersionItem(BaseModel):
    """A version of a template."""

    version: _Version
    name: _Name
    questions: _Questions
    created_by: fields.UserId
    created_at: datetime


class NewInspectionTemplate(fields.Body):
    """A new template."""

    name: _Name
    sections: _Sections


class InspectionTemplateChange(fields.Body):
    """The fields to change. `sections` are given as a whole."""

    name: _Name = Field(default_factory=fields.absent)
    sections: _Sections = Field(default_factory=fields.absent)


class InspectionTemplateQuery(SortedByNameQuery):
    """The filters of templates."""

    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


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

    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


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
        if not await KINDS["inspection_template"].existed(conn, [template_id]):
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
