"""Inspection forms: the answers to the questions of a template, in the version of then.

Answers are checked by `operations.inspections.answers`, and every fault is a 422 with its place.
What was submitted does not change: a correction is another form, which supersedes it. Submitting
emits `inspection.submitted`.
"""

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, ok
from api.request.access import Access, Dispatcher, Reader, Technician
from api.request.document_answers import (
    PDF_TYPES,
    file_answer,
    rendered,
    varying,
    wants_pdf,
)
from api.request.paging import ListOf
from api.request.references import check_references
from api.request.resource import Item, Resource, item_of
from api.request.route import TenantRoute
from api.resources.inspections.form_bodies import (
    DefectRepair,
    InspectionFormChange,
    InspectionFormDetail,
    InspectionFormItem,
    InspectionFormQuery,
    NewInspectionForm,
)
from api.resources.inspections.repairs import order_repair
from api.resources.inspections.report import report_of, with_pictures
from api.resources.inspections.submission import (
    CheckedAnswers,
    check_correction,
    check_own,
    checked_answers,
    submit,
    undrawn_signatures,
)
from api.resources.work_orders.bodies import WorkOrderItem, work_order_item
from api.resources.work_orders.changes import check_own_order
from db.core.connect import Connection
from db.core.table import db_now
from db.resources import inspection_forms as table
from db.resources.employees import employees
from db.resources.inspection_forms import Inspection, ListedInspection, inspection_forms
from db.resources.inspection_templates import InspectionTemplate, inspection_templates
from db.resources.quotas import Room, check_forms_a_day, read_room
from operations.inspections.states import INSPECTIONS, check_changeable

router = APIRouter(
    prefix="/v1/inspection-forms", tags=["inspection-forms"], route_class=TenantRoute
)
_FormPath = Annotated[fields.InspectionFormId, Path(alias="id")]


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
_forms = Resource(table.inspection_forms, item_of(InspectionFormDetail, **_MADE, defects=_defects))


@router.get("", operation_id="listInspectionForms", response_model=ListOf[InspectionFormItem])
async def list_forms(access: Reader, query: Annotated[InspectionFormQuery, Query()]) -> Response:
    """List inspection forms, newest first."""
    return await _listed.list(access, query)


@router.post(
    "", operation_id="createInspectionForm", status_code=201, response_model=InspectionFormDetail
)
async def create_form(access: Technician, body: Annotated[NewInspectionForm, Body()]) -> Response:
    """Make a form and submit it, unless it is to be a draft."""
    is_complete = body.status == "submitted"
    undrawn = await undrawn_signatures(access, body.answers)
    async with access.transaction() as conn:
        template, room = await _check_new(conn, access, body)
        checked = await checked_answers(
            conn,
            template.sections,
            body.answers,
            undrawn=undrawn,
            is_complete=is_complete,
            corrects_id=body.supersedes_id,
        )
        at = await check_forms_a_day(conn, room)
        row = await _inserted(conn, access, body, template, checked, at)
        if is_complete:
            await submit(conn, access, row, checked, at)
        row = await _forms.found(conn, row.id)  # answers as the database writes them
    return created(_forms.item(row), router.prefix)


@router.get(
    "/{id}",
    operation_id="getInspectionForm",
    response_model=InspectionFormDetail,
    responses=PDF_TYPES,
)
async def get_form(request: Request, access: Reader, form_id: _FormPath) -> Response:
    """Return one inspection form with its answers; as a PDF with photos and signatures for those
    who accept it.
    """
    if not wants_pdf(request):
        return varying(await _forms.get(access, form_id))

    async with access.transaction() as conn:
        row = await _forms.found(conn, form_id)
        report = await report_of(conn, row, access.state.settings.public_url)
    rendering = access.state.renderer.inspection(
        access.caller.org_id, report, partial(with_pictures, access, report)
    )
    content = await rendered(rendering)
    return file_answer(content, "application/pdf", f"inspection-{id_text('insp', form_id)}.pdf")


@router.patch("/{id}", operation_id="updateInspectionForm", response_model=InspectionFormDetail)
async def update_form(
    access: Technician, form_id: _FormPath, body: Annotated[InspectionFormChange, Body()]
) -> Response:
    """Change the fields of a draft that are given."""
    undrawn = await undrawn_signatures(access, body.given().get("answers", {}))
    async with _forms.locked(access, form_id) as (conn, row):
        check_own(access, row)
        await check_references(conn, body)
        await _check_employee(conn, access, body.employee_id)
        await check_own_order(conn, access, body.work_order_id)
        changed = row._replace(**body.given())
        if changed != row:
            check_changeable(row.state)
            checked = await checked_answers(
                conn,
                row.sections,
                changed.answers,
                undrawn=undrawn,
                is_complete=False,
                corrects_id=row.supersedes_id,
            )
            await _forms.write(conn, changed._replace(**checked.columns))
            changed = await _forms.found(conn, row.id)
    return ok(_forms.item(changed))


@router.post(
    "/{id}/submit", operation_id="submitInspectionForm", response_model=InspectionFormDetail
)
async def submit_form(access: Technician, form_id: _FormPath) -> Response:
    """Submit a draft, all of whose required questions are answered."""
    async with _forms.locked(access, form_id) as (conn, row):
        check_own(access, row)
        INSPECTIONS.move(row.state, "submit")
        checked = await checked_answers(
            conn,
            row.sections,
            row.answers,
            undrawn={},
            is_complete=True,
            corrects_id=row.supersedes_id,
        )
        await submit(conn, access, row, checked, await db_now(conn))
        row = await _forms.found(conn, row.id)
    return ok(_forms.item(row))


@router.post(
    "/{id}/work-orders",
    operation_id="createInspectionFormWorkOrder",
    status_code=201,
    response_model=WorkOrderItem,
)
async def repair_defect(
    access: Dispatcher, form_id: _FormPath, body: Annotated[DefectRepair, Body()]
) -> Response:
    """Make the work order that mends a defect, once for each failed question of a form. Asset and
    site are those of the form, and the client is that of its work order.
    """
    access.check_scope("work-orders:write")
    async with access.transaction() as conn:
        row = await _forms.found(conn, form_id, lock=True)
        access.check_unchanged(_forms.item(row))
        await check_references(conn, body)
        order = await order_repair(conn, access, row, body)
    return created(work_order_item(order), "/v1/work-orders")


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
        check_correction(access, corrected, body.template_id)
    template = await inspection_templates.get(conn, body.template_id)
    return template, await read_room(conn, inspection_forms.name)


async def _inserted(
    conn: Connection,
    access: Access,
    body: NewInspectionForm,
    template: InspectionTemplate,
    checked: CheckedAnswers,
    at: datetime,
) -> Inspection:
    """Insert a draft, and return it."""
    columns = {
        **body.model_dump(exclude={"status", "answers"}),
        **checked.columns,
        "template_version": template.version,
        "template_name": template.name,
        "state": "draft",
        "created_by": access.caller.user_id,
    }
    row = _forms.new(columns, at)
    await inspection_forms.insert(conn, row)
    return row


async def _check_employee(conn: Connection, access: Access, employee_id: UUID | None) -> None:
    """Raise Problem (403) where a technician names another employee."""
    if employee_id is None or not access.is_technician:
        return
    employee = await employees.find(conn, employee_id)
    if employee is not None:
        access.check_own(employee.user_id, "inspections")
