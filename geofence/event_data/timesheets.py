"""`data` of events of timesheets."""

from typing import Annotated

from msgspec import Meta, Struct

from geofence.event_data.fields import id_field, name_field

TIMESHEET_APPROVED = "timesheet.approved"


def _day(description: str, example: str) -> Meta:
    return Meta(
        description=description,
        max_length=10,
        examples=[example],
        extra_json_schema={"format": "date"},
    )


def _seconds(description: str, example: int) -> Meta:
    return Meta(description=description, ge=0, le=2**31 - 1, examples=[example])


class ApprovedTimesheet(Struct):
    """The hours of an employee in a period are approved."""

    timesheet_id: Annotated[str, id_field("tms", "the timesheet")]
    employee_id: Annotated[str, id_field("emp", "the employee")]
    employee_name: Annotated[str, name_field("their name", "Anna Keller")]
    employee_number: Annotated[str, name_field("their `external_id`; null: none", "E-204")] | None
    first_day: Annotated[str, _day("of the period", "2026-03-02")]
    last_day: Annotated[str, _day("of the period", "2026-03-08")]
    timezone: Annotated[
        str, Meta(description="of the days", max_length=64, examples=["Europe/Zurich"])
    ]
    approved_by: Annotated[str, id_field("usr", "the user who approved them")]
    worked_s: Annotated[int, _seconds("by the shifts, rounded by the rules", 148_500)]
    adjusted_s: Annotated[
        int,
        Meta(
            description="added by adjustments, or taken off",
            ge=-(2**31),
            le=2**31 - 1,
            examples=[-900],
        ),
    ]
    regular_s: Annotated[int, _seconds("of both together: regular hours", 144_000)]
    overtime_s: Annotated[int, _seconds("overtime", 3_600)]
    double_s: Annotated[int, _seconds("double time", 0)]
