"""Inspection forms are made, changed and submitted.

Answers are checked by `operations.inspections.answers`, and every fault is a 422 with its place.
What was submitted does not change: a correction is another form, which supersedes it. Submitting
emits `inspection.submitted`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, ok, optional_id_text
from api.http.problems import bad_field
from api.request.access import Access, Technician
from api.request.references import check_references
from api.request.route import TenantRoute
from api.request.signatures import decoded_signature
from api.resources.inspections.forms import Answers, Corrects, FormPath, InspectionFormDetail, forms
from api.resources.inspections.templates import refuse_faults
from api.resources.work_orders.listing import check_own_order
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import db_now
from db.history import events
from db.history.events import Event
from db.resources.employees import employees
from db.resources.inspection_forms import (
    Inspection,
    image_ids,
    insert_photos,
    inspection_forms,
    photos_of_others,
)
from db.resources.inspection_templates import InspectionTemplate, inspection_templates
from db.resources.quotas import Room, check_forms_a_day, read_room
from geofence.event_data.inspections import INSPECTION_SUBMITTED, SubmittedInspection
from operations.inspections.answers import (
    FormFault,
    Question,
    answer_faults,
    defects_of,
    photo_ids,
    questions_of,
    signatures_in,
)
from operations.inspections.states import INSPECTIONS, check_changeable
from operations.signatures import SignatureError
from telemetry.ids import IdError, parse_id

router = APIRouter(
    prefix="/v1/inspection-forms", tags=["inspection-forms"], route_class=TenantRoute
)


class NewInspectionForm(fields.Body):
    """A new form, which is submitted at once unless it is a draft."""

    template_id: fields.InspectionTemplateId
    status: Literal["draft", "submitted"] = Field(default="submitted", examples=["draft"])
    asset_id: fields.AssetId | None = None
    site_id: fields.SiteId | None = None
    employee_id: fields.EmployeeId | None = Field(default=None, description="who inspected")
    work_order_id: fields.WorkOrderId | None = Field(
        default=None, description="the work that is inspected"
    )
    answers: Answers = Field(default_factory=dict)
    supersedes_id: Corrects = None


class InspectionFormChange(fields.Body):
    """The fields of a draft to change. `answers` are given as a whole."""

    asset_id: fields.AssetId | None = None
    site_id: fields.SiteId | None = None
    employee_id: fields.EmployeeId | None = None
    work_order_id: fields.WorkOrderId | None = None
    answers: Answers = Field(default_factory=fields.absent)


class _CheckedAnswers(NamedTuple):
    """Answers without a fault. photos: the ids of their attachments."""

    answers: Mapping[str, Any]
    defects: Sequence[Mapping[str, Any]]
    photos: frozenset[UUID]

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the form."""
        return {"answers": self.answers, "defects": self.defects}


@router.post(
    "", operation_id="createInspectionForm", status_code=201, response_model=InspectionFormDetail
)
async def create_form(access: Technician, body: Annotated[NewInspectionForm, Body()]) -> Response:
    """Make a form and submit it, unless it is to be a draft."""
    is_complete = body.status == "submitted"
    undrawn = await _undrawn_signatures(access, body.answers)
    async with access.transaction() as conn:
        template, room = await _check_new(conn, access, body)
        checked = await _checked_answers(
            conn,
            template.sections,
            body.answers,
            undrawn=undrawn,
            is_complete=is_complete,
            corrects_id=body.supersedes_id,
        )
        at = await check_forms_a_day(conn, room)
        columns = {
            **body.model_dump(exclude={"status", "answers"}),
            **checked.columns,
            "template_version": template.version,
            "template_name": template.name,
            "state": "draft",
            "created_by": access.caller.user_id,
        }
        row = forms.new(columns, at)
        await inspection_forms.insert(conn, row)
        if is_complete:
            await _submit(conn, access, row, checked, at)
        row = await forms.found(conn, row.id)  # answers as the database writes them
    return created(forms.item(row), router.prefix)


@router.patch("/{id}", operation_id="updateInspectionForm", response_model=InspectionFormDetail)
async def update_form(
    access: Technician, form_id: FormPath, body: Annotated[InspectionFormChange, Body()]
) -> Response:
    """Change the fields of a draft that are given."""
    undrawn = await _undrawn_signatures(access, body.given().get("answers", {}))
    async with forms.locked(access, form_id) as (conn, row):
        _check_own(access, row)
        await check_references(conn, body)
        await _check_employee(conn, access, body.employee_id)
        await check_own_order(conn, access, body.work_order_id)
        changed = row._replace(**body.given())
        if changed != row:
            check_changeable(row.state)
            checked = await _checked_answers(
                conn,
                row.sections,
                changed.answers,
                undrawn=undrawn,
                is_complete=False,
                corrects_id=row.supersedes_id,
            )
            await forms.write(conn, changed._replace(**checked.columns))
            changed = await forms.found(conn, row.id)
    return ok(forms.item(changed))


@router.post(
    "/{id}/submit", operation_id="submitInspectionForm", response_model=InspectionFormDetail
)
async def submit_form(access: Technician, form_id: FormPath) -> Response:
    """Submit a draft, all of whose required questions are answered."""
    async with forms.locked(access, form_id) as (conn, row):
        _check_own(access, row)
        INSPECTIONS.move(row.state, "submit")
        checked = await _checked_answers(
            conn,
            row.sections,
            row.answers,
            undrawn={},
            is_complete=True,
            corrects_id=row.supersedes_id,
        )
        await _submit(conn, access, row, checked, await db_now(conn))
        row = await forms.found(conn, row.id)
    return ok(forms.item(row))


async def _check_new(
    conn: Connection, access: Access, body: NewInspectionForm
) -> tuple[InspectionTemplate, Room]:
    """Return the template of a new form, which is locked, and the room for forms. Raises Problem
    (403, 404, 422) or IllegalMoveError for a form that cannot be made.
    """
    corrected = None
    if body.supersedes_id is not None:  # locked first, as those who submit lock it
        corrected = await inspection_forms.find(conn, body.supersedes_id, lock=True)
    await check_references(conn, body)
    await _check_employee(conn, access, body.employee_id)
    await check_own_order(conn, access, body.work_order_id)
    if corrected is not None:
        _check_correction(access, corrected, body.template_id)
    template = await inspection_templates.get(conn, body.template_id)
    return template, await read_room(conn, inspection_forms.name)


async def _check_employee(conn: Connection, access: Access, employee_id: UUID | None) -> None:
    """Raise Problem (403) where a technician names another employee."""
    if employee_id is None or not access.is_technician:
        return
    employee = await employees.find(conn, employee_id)
    if employee is not None:
        access.check_own(employee.user_id, "inspections")


async def _undrawn_signatures(access: Access, answers: Mapping[str, Any]) -> Mapping[str, str]:
    """Decode what looks like a drawn signature, and return why those that cannot be shown cannot,
    by the ids of their questions. To be called before a connection is taken. Raises Problem (429,
    503).
    """
    undrawn: dict[str, str] = {}
    for question_id, text in signatures_in(answers):
        try:
            await decoded_signature(access.state, access.caller.org_id, text)
        except SignatureError as error:
            undrawn[question_id] = f"must be a drawing: {error}"
    return undrawn


async def _checked_answers(
    conn: Connection,
    sections: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Any],
    *,
    undrawn: Mapping[str, str],
    is_complete: bool,
    corrects_id: UUID | None,
) -> _CheckedAnswers:
    """Check answers against the sections of a version. undrawn: as `_undrawn_signatures` returns
    them; nothing for stored answers. corrects_id: the form that this one corrects. Raises Problem
    (422) with all faults.
    """
    questions = questions_of(sections)
    photos, faults = await _photos(conn, questions, answers, corrects_id)
    faults += [
        FormFault(f"/answers/{each.id}/value", undrawn[each.id])
        for each in questions
        if each.type == "signature" and each.id in undrawn
    ]
    refuse_faults([*answer_faults(questions, answers, is_complete=is_complete), *faults])
    defects = [defect._asdict() for defect in defects_of(questions, answers)]
    return _CheckedAnswers(answers, defects, photos)


async def _photos(
    conn: Connection,
    questions: Sequence[Question],
    answers: Mapping[str, Any],
    corrects_id: UUID | None,
) -> tuple[frozenset[UUID], list[FormFault]]:
    """Return the attachments of all photos, and the ids that name no image, or a photo of another
    form.
    """
    ids: dict[str, UUID] = {}
    faults: list[FormFault] = []
    for pointer, text in photo_ids(questions, answers):
        try:
            ids[pointer] = parse_id("att", text)
        except IdError:
            faults.append(FormFault(pointer, "must be the id of an attachment, like att_..."))
    is_image = await image_ids(conn, ids.values()) if ids else {}
    others = await photos_of_others(conn, ids.values(), corrects_id) if ids else set()
    for pointer, attachment_id in ids.items():
        if attachment_id not in is_image:
            faults.append(FormFault(pointer, "There is no such attachment."))
        elif not is_image[attachment_id]:
            faults.append(FormFault(pointer, "must be the id of an image: this is another file"))
        elif attachment_id in others:
            faults.append(FormFault(pointer, "is a photo of another form: a photo serves one"))
    return frozenset(ids.values()), faults


def _check_own(access: Access, row: Inspection) -> None:
    """Raise Problem (403) where a technician neither made the form nor is its employee."""
    if not access.is_own(row.created_by):
        access.check_own(row.user_id, "inspections")


def _check_correction(access: Access, corrected: Inspection, template_id: UUID) -> None:
    """Raise Problem (403, 422) or IllegalMoveError for a form that the new one cannot correct."""
    _check_own(access, corrected)
    INSPECTIONS.move(corrected.state, "supersede")
    if corrected.template_id != template_id:
        raise bad_field("/supersedes_id", "must be a form of the same template")


async def _submit(
    conn: Connection, access: Access, row: Inspection, checked: _CheckedAnswers, at: datetime
) -> None:
    """Submit a draft. Raises IllegalMoveError."""
    state, by = INSPECTIONS.move(row.state, "submit"), access.caller.user_id
    row = row._replace(state=state, submitted_by=by, submitted_at=at, updated_at=at)
    await inspection_forms.update(conn, row._replace(**checked.columns))
    if checked.photos:
        await insert_photos(conn, row.id, checked.photos)
    if row.supersedes_id is not None:
        await _supersede(conn, row.supersedes_id, row)
    data = msgspec.json.encode(_event_data(row, checked)).decode()
    event = Event(access.caller.org_id, new_id(), INSPECTION_SUBMITTED, at, data)
    await events.insert(conn, [event])


async def _supersede(conn: Connection, form_id: UUID, by: Inspection) -> None:
    corrected = await inspection_forms.get(conn, form_id, lock=True)
    state = INSPECTIONS.move(corrected.state, "supersede")
    changed = corrected._replace(state=state, superseded_by_id=by.id, updated_at=by.updated_at)
    await inspection_forms.update(conn, changed)


def _event_data(row: Inspection, checked: _CheckedAnswers) -> SubmittedInspection:
    assert row.submitted_by is not None
    return SubmittedInspection(
        form_id=id_text("insp", row.id),
        template_id=id_text("itpl", row.template_id),
        template_name=row.template_name,
        template_version=row.template_version,
        asset_id=optional_id_text("ast", row.asset_id),
        site_id=optional_id_text("sit", row.site_id),
        employee_id=optional_id_text("emp", row.employee_id),
        work_order_id=optional_id_text("wo", row.work_order_id),
        supersedes_id=optional_id_text("insp", row.supersedes_id),
        submitted_by=id_text("usr", row.submitted_by),
        result="failed" if checked.defects else "passed",
        failed_items=[dict(each) for each in checked.defects],
    )
