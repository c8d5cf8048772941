"""`data` of events of inspections."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from geofence.event_data.fields import id_field, name_field, word_field

INSPECTION_SUBMITTED = "inspection.submitted"

_FAILED_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["question_id", "label", "note"],
    "properties": {
        "question_id": {"type": "string", "maxLength": 50, "examples": ["brakes"]},
        "label": {"type": "string", "maxLength": 500, "examples": ["Do the brakes hold?"]},
        "note": {
            "anyOf": [
                {"type": "string", "maxLength": 1000, "examples": ["Pads are worn."]},
                {"type": "null"},
            ]
        },
    },
}


class SubmittedInspection(Struct):
    """An inspection form is submitted: it does not change any more."""

    form_id: Annotated[str, id_field("insp", "the form")]
    template_id: Annotated[str, id_field("itpl", "its template")]
    template_name: Annotated[str, name_field("the template's name then", "Daily check of a crane")]
    template_version: Annotated[
        int, Meta(description="of the template", ge=1, le=2**31 - 1, examples=[1])
    ]
    asset_id: Annotated[str, id_field("ast", "the asset; null: none")] | None
    site_id: Annotated[str, id_field("sit", "the site; null: none")] | None
    employee_id: Annotated[str, id_field("emp", "the employee; null: none")] | None
    work_order_id: Annotated[str, id_field("wo", "the work order; null: none")] | None
    supersedes_id: Annotated[str, id_field("insp", "the form that it corrects; null: none")] | None
    submitted_by: Annotated[str, id_field("usr", "the user who submitted it")]
    result: Annotated[
        str, word_field("`failed` if any question was answered so", ("passed", "failed"), "failed")
    ]
    failed_items: Annotated[
        list[dict[str, Any]],
        Meta(
            description="the questions answered `fail`, with their notes",
            max_length=200,
            examples=[
                [
                    {
                        "question_id": "brakes",
                        "label": "Do the brakes hold?",
                        "note": "Pads are worn.",
                    }
                ]
            ],
            extra_json_schema={"items": _FAILED_ITEM},
        ),
    ]
