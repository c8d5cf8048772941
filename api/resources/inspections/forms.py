"""Inspection forms: the answers to the questions of a template, in the version of then.

Here are their lists, and one form as JSON, or as its report with names, photos and signatures.
`filling` makes, changes and submits them; `repairs` makes work orders of their defects.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from api.documents.item_pdf import MAX_PICTURE_BYTES, ItemDocument
from api.documents.typst_printer import picture_name
from api.http import fields
from api.http.encoding import id_text
from api.photos.copier import PhotoError
from api.photos.copying import MAX_COPY_BYTES
from api.request.access import Access, Reader
from api.request.document_answers import PDF_TYPES, file_answer, rendered, varying, wants_pdf
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Item, Resource, item_of
from api.request.route import TenantRoute
from api.resources.inspections.templates import QuestionId
from api.resources.organization_logo import letterhead_of
from api.resources.sites import sites
from db.core.connect import Connection
from db.resources import inspection_forms as table
from db.resources import organizations, photo_copies
from db.resources.inspection_forms import Inspection, ListedInspection
from db.resources.names import NamedTable, names_of
from languages.catalogue import say
from languages.language import Language
from operations.inspections.answers import (
    MAX_ID_LENGTH,
    MAX_NOTE_LENGTH,
    MAX_PHOTOS,
    MAX_QUESTIONS,
    photo_ids,
    questions_of,
    shown_ids,
)
from operations.inspections.states import INSPECTIONS, State, Verb
from operations.signatures import MAX_SIGNATURE_LENGTH
from telemetry.ids import parse_id

router = APIRouter(
    prefix="/v1/inspection-forms", tags=["inspection-forms"], route_class=TenantRoute
)
MAX_PRINTED_PHOTOS = 40
FormPath = Annotated[fields.InspectionFormId, Path(alias="id")]

# Checked as a whole by `operations.inspections.answers`, which knows the questions.
_VALUE = {
    "description": "as the type of the question wants it: see the page on inspections",
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": MAX_SIGNATURE_LENGTH, "examples": ["pass"]},
        {"type": "number"},
        {
            "type": "array",
            "description": "ids of attachments",
            "minItems": 1,
            "maxItems": MAX_PHOTOS,
            "items": {
                "type": "string",
                "maxLength": MAX_ID_LENGTH,
                "examples": ["att_01jd8x0k2m4n6p8q0r2s4t6v8w"],
            },
        },
        {
            "type": "object",
            "description": "a position",
            "required": ["lat", "lon"],
            "additionalProperties": False,
            "properties": {
                "lat": {"type": "number", "minimum": -90, "maximum": 90},
                "lon": {"type": "number", "minimum": -180, "maximum": 180},
                "accuracy_m": {
                    "anyOf": [
                        {"type": "number", "minimum": 0, "maximum": 100_000},
                        {"type": "null"},
                    ]
                },
            },
        },
    ],
    "examples": ["pass"],
}
Answers = Annotated[
    dict[str, Any],
    Field(max_length=MAX_QUESTIONS),
    WithJsonSchema(
        {
            "type": "object",
            "description": "the answers by the ids of their questions",
            "maxProperties": MAX_QUESTIONS,
            "additionalProperties": {
                "type": "object",
                "required": ["value"],
                "additionalProperties": False,
                "properties": {
                    "value": _VALUE,
                    "note": {
                        "anyOf": [
                            {
                                "type": "string",
                                "minLength": 1,
                                "maxLength": MAX_NOTE_LENGTH,
                                "examples": ["New pads."],
                            },
                            {"type": "null"},
                        ],
                        "examples": ["New pads."],
                    },
                },
            },
            "examples": [{"brakes": {"value": "pass", "note": "New pads."}}],
        }
    ),
]
_Failed = Annotated[int, Field(ge=0, le=MAX_QUESTIONS, examples=[0])]
Corrects = Annotated[fields.InspectionFormId | None, Field(description="the form that it corrects")]


class DefectItem(BaseModel):
    """A question that was answered `fail`, and the work order that was made of it."""

    question_id: QuestionId
    label: Annotated[str, fields.text(500, "Do the brakes hold?")]
    note: Annotated[str, fields.text(MAX_NOTE_LENGTH, "Pads are worn.")] | None
    work_order_id: fields.WorkOrderId | None = Field(description="null: none was made yet")


class InspectionFormItem(BaseModel):
    """An inspection form, without its answers."""

    id: fields.InspectionFormId
    template_id: fields.InspectionTemplateId
    template_version: Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]
    template_name: Annotated[fields.Name, Field(examples=["Daily check of a crane"])]
    asset_id: fields.AssetId | None
    site_id: fields.SiteId | None
    employee_id: fields.EmployeeId | None
    work_order_id: fields.WorkOrderId | None
    status: State
    legal_verbs: Annotated[list[Verb], Field(max_length=2)] = Field(
        description="those that lead to another status"
    )
    result: Literal["passed", "failed"] | None = Field(description="null: it is a draft")
    failed_items: _Failed = Field(description="how many questions were answered `fail`")
    supersedes_id: Corrects
    superseded_by_id: fields.InspectionFormId | None = Field(
        description="the form that corrects it"
    )
    created_by: fields.UserId
    submitted_by: fields.UserId | None
    submitted_at: datetime | None
    created_at: datetime
    updated_at: datetime


class InspectionFormDetail(InspectionFormItem):
    """An inspection form with its answers."""

    answers: Answers
    defects: Annotated[list[DefectItem], Field(max_length=MAX_QUESTIONS)]


class InspectionFormQuery(SortedQuery):
    """The filters of inspection forms. They were made in [from, to)."""

    template_id: fields.InspectionTemplateId | None = None
    asset_id: fields.AssetId | None = None
    site_id: fields.SiteId | None = None
    employee_id: fields.EmployeeId | None = None
    work_order_id: fields.WorkOrderId | None = None
    status: State | None = None
    result: Annotated[
        Literal["passed", "failed"] | None, Field(description="of those that were submitted")
    ] = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None


def _result(row: Inspection | ListedInspection) -> str | None:
    if row.state == "draft":
        return None
    return "failed" if row.failed_items else "passed"


def _defects(row: Inspection) -> list[Item]:
    orders = {question: id_text("wo", UUID(order)) for question, order in row.orders.items()}
    return [{**each, "work_order_id": orders.get(each["question_id"])} for each in row.defects]


_MADE = {
    "status": lambda row: row.state,
    "legal_verbs": lambda row: INSPECTIONS.legal_verbs(row.state),
    "result": _result,
}
_listed = Resource(table.listed_inspections, item_of(InspectionFormItem, **_MADE))
forms = Resource(table.inspection_forms, item_of(InspectionFormDetail, **_MADE, defects=_defects))


@router.get("", operation_id="listInspectionForms", response_model=ListOf[InspectionFormItem])
async def list_forms(access: Reader, query: Annotated[InspectionFormQuery, Query()]) -> Response:
    """List inspection forms, newest first."""
    return await _listed.list(access, query)


@router.get(
    "/{id}",
    operation_id="getInspectionForm",
    response_model=InspectionFormDetail,
    responses=PDF_TYPES,
)
async def get_form(request: Request, access: Reader, form_id: FormPath) -> Response:
    """Return one inspection form with its answers; as a PDF with photos and signatures for those
    who accept it.
    """
    if not wants_pdf(request):
        return varying(await forms.get(access, form_id))

    async with access.transaction() as conn:
        row = await forms.found(conn, form_id)
        document = await _document(conn, row, access.state.settings.public_url)
    read, renderer = partial(_with_pictures, access, row, document), access.state.renderer
    if _photos_of(row):
        rendering = renderer.item_with_photos(access.caller.org_id, read)
    else:
        rendering = renderer.item(access.caller.org_id, await read())
    content = await rendered(rendering)
    return file_answer(content, "application/pdf", f"inspection-{id_text('insp', form_id)}.pdf")


# On paper -----------------------------------------------------------------------------------------


async def _document(conn: Connection, row: Inspection, public_url: str) -> ItemDocument:
    """Return the report of a form, without its pictures: `_with_pictures` has to follow."""
    organization = await organizations.find(conn)
    letterhead = await letterhead_of(conn, organization)
    site = None if row.site_id is None else await sites.find(conn, row.site_id)
    content = {
        "form": forms.item(row),
        "sections": asked_sections(row.sections, row.answers),
        "result": result_text(letterhead.language, len(row.defects)),
        "asset_name": await _name(conn, "assets", row.asset_id),
        "site_name": site and site.name,
        "site_address": site and site.address,
        "employee_name": await _name(conn, "employees", row.employee_id),
        "submitted_by_name": await _name(conn, "users", row.submitted_by),
        "photos_url": "",
    }
    if _photos_of(row):
        path = f"/inspection-photos/{id_text('insp', row.id)}"
        content["photos_url"] = f"{public_url.rstrip('/')}{path}"
    return ItemDocument(
        template="inspection",
        organization=organization.name,
        letterhead=letterhead,
        timezone=organization.timezone,
        content=content,
        changed_at=row.updated_at,
    )


def asked_sections(sections: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> list[Item]:
    """Return the sections with the questions that are asked, by the answers to those before, as far
    as they are printed.
    """
    shown, printed = shown_ids(questions_of(sections), answers), ("id", "type", "label", "unit")
    asked: list[Item] = []
    for section in sections:
        questions = [
            {name: question[name] for name in printed}
            for question in section["questions"]
            if question["id"] in shown
        ]
        if questions:
            asked.append({"title": section["title"], "questions": questions})
    return asked


def result_text(language: Language, defects: int) -> str:
    """Return what an inspection came to."""
    if not defects:
        return say(language, "inspection-passed")
    return say(language, "inspection-failed", count=defects)


def _photos_of(row: Inspection) -> list[str]:
    """Return the ids of all photos in the answers, some of them twice."""
    return [text for _, text in photo_ids(questions_of(row.sections), row.answers)]


async def _with_pictures(access: Access, row: Inspection, document: ItemDocument) -> ItemDocument:
    """Return the report with its signatures, and with its photos while there is room for them.
    Raises TooManyOfOne, TooManyOfAll.
    """
    signatures = await _signatures(access, row)
    room = MAX_PICTURE_BYTES - sum(map(len, signatures.values()))
    photos: dict[str, bytes] = {}
    ids = list(dict.fromkeys(_photos_of(row)))
    left_out = ids[MAX_PRINTED_PHOTOS:]
    for place, text in enumerate(ids[:MAX_PRINTED_PHOTOS]):
        content = await _print_copy(access, parse_id("att", text))
        if content is None:
            continue
        room -= len(content)
        if room < 0:
            left_out = ids[place:]
            break
        photos[text] = content
    return with_files(document, photos, signatures, left_out)


def with_files(
    document: ItemDocument,
    photos: Mapping[str, bytes],
    signatures: Mapping[str, bytes],
    left_out: Sequence[str] = (),
) -> ItemDocument:
    """Return a report with its pictures, by the ids of attachments and of questions; the answers
    have no drawings then. left_out: the photos for which there is no room.
    """
    language, form, files = document.letterhead.language, document.content["form"], {}
    pictures: dict[str, dict[str, str]] = {"photos": {}, "signatures": {}}
    for kind, each in (("photos", photos), ("signatures", signatures)):
        for id_, content in each.items():
            name = picture_name(str(len(files)), content)
            pictures[kind][id_], files[name] = name, content
    questions = [one for each in document.content["sections"] for one in each["questions"]]
    drawn = {each["id"] for each in questions if each["type"] == "signature"}
    answers = {
        id_: {**answer, "value": ""} if id_ in drawn else answer
        for id_, answer in form["answers"].items()
    }
    more = say(language, "inspection-more-photos", count=len(left_out)) if left_out else ""
    content = {**document.content, **pictures, "left_out": [*left_out], "more": more}
    return replace(document, content={**content, "form": {**form, "answers": answers}}, files=files)


async def _print_copy(access: Access, attachment_id: UUID) -> bytes | None:
    """Return a photo as it is printed; None where there is no copy of it, or none can be made."""

    async def read() -> bytes:
        async with access.transaction() as conn:
            return await photo_copies.read(conn, attachment_id, "full", 0, MAX_COPY_BYTES)

    try:
        return (await access.state.photos.print_copy(access.caller.org_id, read)).content
    except PhotoError:
        return None


async def _signatures(access: Access, row: Inspection) -> Mapping[str, bytes]:
    """Return the signatures that can be shown, decoded and written anew. They are what a client
    sent, so nothing else decodes them. Raises TooManyOfOne, TooManyOfAll.
    """
    found: dict[str, bytes] = {}
    for question in questions_of(row.sections):
        answer = row.answers.get(question.id)
        if question.type != "signature" or answer is None:
            continue
        try:
            png = base64.b64decode(answer["value"])
            copy = await access.state.photos.signature(access.caller.org_id, png)
        except PhotoError:
            continue  # the report says that it cannot be shown
        found[question.id] = copy.content
    return found


async def _name(conn: Connection, table: NamedTable, row_id: UUID | None) -> str:
    return "" if row_id is None else (await names_of(conn, table, [row_id])).get(row_id, "")
