"""Bodies of inspection forms, what comes in and what is shown."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from api.http import fields
from api.request.paging import SortedQuery
from api.resources.inspections.template_bodies import QuestionId
from api.resources.work_orders.bodies import Assignees
from operations.inspections.answers import (
    MAX_ID_LENGTH,
    MAX_NOTE_LENGTH,
    MAX_PHOTOS,
    MAX_QUESTIONS,
)
from operations.inspections.states import State, Verb
from operations.signatures import MAX_SIGNATURE_LENGTH
from operations.work_orders.states import Priority

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
_Corrects = Annotated[
    fields.InspectionFormId | None, Field(description="the form that it corrects")
]


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
    supersedes_id: _Corrects
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
    supersedes_id: _Corrects = None


class InspectionFormChange(fields.Body):
    """The fields of a draft to change. `answers` are given as a whole."""

    asset_id: fields.AssetId | None = None
    site_id: fields.SiteId | None = None
    employee_id: fields.EmployeeId | None = None
    work_order_id: fields.WorkOrderId | None = None
    answers: Answers = Field(default_factory=fields.absent)


class DefectRepair(fields.Body):
    """The defect of a form that a work order is to mend."""

    question_id: QuestionId = Field(description="the question that was answered `fail`")
    title: Annotated[fields.Name, Field(examples=["Replace the brake pads"])] | None = Field(
        default=None, description="null: the label of the question"
    )
    priority: Priority = "high"
    assignee_ids: Assignees = Field(default_factory=list)
    due_at: fields.PlannedTime | None = None


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
