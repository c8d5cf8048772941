"""`data` of events: its fields, what each means, an example.

Ingest, `db.punches` and the API write these structs. The OpenAPI document and docs/webhooks.md
are made from them, too (`api.openapi.event_types`).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct

from geofence.late.amendments import AnnouncementKind
from geofence.model.policy import DEFAULT_ALERTS
from geofence.model.transitions import SILENT, Cause
from geofence.punches.claim import AMENDMENT_CAUSES, PAY_SOURCES, RULES, WORTHS
from operations.work_orders.states import PRIORITIES, STATES, VERBS
from telemetry.punch import PUNCH_KINDS

_NAME_CHARACTERS = 200
_CAUSES = [cause.word for cause in Cause if cause not in SILENT]
_TOLD_FIRST = (
    AnnouncementKind.ENTER,
    AnnouncementKind.EXIT,
    AnnouncementKind.DWELL,
    AnnouncementKind.OVERSPEED,
)
_CHANGES = [one.value for one in AnnouncementKind if one not in _TOLD_FIRST]


def _id(prefix: str, description: str) -> Meta:
    return Meta(
        description=description,
        pattern=f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
        max_length=len(prefix) + 27,
        examples=[f"{prefix}_01jd8x0k2m4n6p8q0r2s4t6v8w"],
    )


def _name(description: str, example: str) -> Meta:
    return Meta(description=description, max_length=_NAME_CHARACTERS, examples=[example])


def _time(description: str, example: str) -> Meta:
    return Meta(
        description=description,
        max_length=40,
        examples=[example],
        extra_json_schema={"format": "date-time"},
    )


def _word(description: str, words: Iterable[str], example: str) -> Meta:
    return Meta(
        description=description, examples=[example], extra_json_schema={"enum": list(words)}
    )


_AssetId = Annotated[str, _id("ast", "the asset")]
_AssetName = Annotated[str, _name("its name", "Truck 7")]
_ZoneId = Annotated[str, _id("zon", "the zone")]
_ZoneName = Annotated[str, _name("its name", "Depot in Altstetten")]
_ZoneKind = Annotated[str, _word("its `kind`", DEFAULT_ALERTS, "restricted")]
_ZoneVersion = Annotated[
    int, Meta(description="the version that was judged by", ge=1, le=2**31 - 1, examples=[1])
]
_DetectedAt = Annotated[str, _time("when it became known", "2026-03-01T12:00:00.120Z")]
_Lat = Annotated[
    float, Meta(description="where the asset was, degrees", ge=-90, le=90, examples=[47.0502])
]
_Lon = Annotated[float, Meta(description="the same", ge=-180, le=180, examples=[8.3093])]
_AccuracyM = Annotated[
    float | None, Meta(description="of that fix, metres; null: not known", examples=[4.0])
]
_DistanceM = Annotated[
    float, Meta(description="to the edge of the zone, metres, negative inside", examples=[-12.48])
]
_Late = Annotated[
    bool, Meta(description="a fix that came out of order made it known", examples=[False])
]


class Alert(Struct):
    """An asset enters, leaves, or has stayed in a zone."""

    asset_id: _AssetId
    asset_name: _AssetName
    tracker_id: Annotated[str, _id("trk", "the tracker whose fix tells where the asset was")]
    zone_id: _ZoneId
    zone_name: _ZoneName
    zone_kind: _ZoneKind
    zone_version: _ZoneVersion
    visit_id: Annotated[str, _id("vis", "the visit; null: the asset is in no visit")] | None
    transition: Annotated[
        str,
        _word(
            "`enter` or `exit` of a breach, `dwell` of a dwell", ("enter", "exit", "dwell"), "enter"
        ),
    ]
    occurred_at: Annotated[str, _time("when it happened, by the fixes", "2026-03-01T12:00:00Z")]
    detected_at: _DetectedAt
    lat: _Lat
    lon: _Lon
    accuracy_m: _AccuracyM
    speed_mps: Annotated[
        float | None,
        Meta(description="of that fix, metres a second; null: not known", examples=[8.3]),
    ]
    distance_m: _DistanceM
    initial: Annotated[
        bool,
        Meta(
            description="it is not known where the asset was before: `cause` is `initial`",
            examples=[False],
        ),
    ]
    inferred: (
        Annotated[
            str,
            _word(
                "`segment`: the way between two fixes shows it; `timer`: time went by;"
                " null: a fix shows it",
                ("segment", "timer"),
                "segment",
            ),
        ]
        | None
    )
    late: _Late
    cause: Annotated[
        str,
        _word(
            "`moved`, `initial`, or `schedule_started`: the zone's hours began", _CAUSES, "moved"
        ),
    ]
    dwell_s: (
        Annotated[
            float,
            Meta(
                description="seconds since the visit began; null for an `enter` or no visit",
                ge=0,
                examples=[900.0],
            ),
        ]
        | None
    )


class Overspeed(Struct):
    """An asset in a zone is faster than the zone allows."""

    asset_id: _AssetId
    asset_name: _AssetName
    tracker_id: Annotated[str, _id("trk", "the tracker that stated the speed")]
    zone_id: _ZoneId
    zone_name: _ZoneName
    zone_kind: _ZoneKind
    zone_version: _ZoneVersion
    visit_id: Annotated[str, _id("vis", "the visit")]
    occurred_at: Annotated[str, _time("the time of the fix", "2026-03-01T12:00:00Z")]
    detected_at: _DetectedAt
    lat: _Lat
    lon: _Lon
    accuracy_m: _AccuracyM
    speed_mps: Annotated[
        float, Meta(description="of that fix, metres a second", ge=0, examples=[16.7])
    ]
    speed_limit_mps: Annotated[
        float, Meta(description="of the zone, metres a second", gt=0, examples=[13.9])
    ]
    distance_m: _DistanceM
    late: _Late


class VisitAmendment(Struct):
    """A visit of which something was told is another one by now."""

    visit_id: Annotated[str, _id("vis", "the visit")]
    change: Annotated[
        str, _word("`start`, `end`, `split`, `merged` or `retracted`", _CHANGES, "end")
    ]
    revision: Annotated[
        int,
        Meta(description="of the visit after the change", ge=2, le=2**31 - 1, examples=[2]),
    ]
    asset_id: _AssetId
    asset_name: _AssetName
    zone_id: _ZoneId
    zone_name: _ZoneName
    zone_kind: _ZoneKind
    zone_version: _ZoneVersion
    entered_at: Annotated[str, _time("when the visit begins now", "2026-03-01T12:00:00Z")]
    left_at: (
        Annotated[str, _time("when it ends now; null while it lasts", "2026-03-01T12:10:00Z")]
        | None
    )
    retracted: Annotated[
        bool,
        Meta(description="it never was, or is part of another visit", examples=[False]),
    ]
    detected_at: _DetectedAt
    late: _Late


_REASON = {
    "type": "object",
    "properties": {
        "rule": {"type": "string", "enum": list(RULES)},
        "makes": {"type": "string", "enum": list(WORTHS)},
        "figures": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["rule", "makes", "figures"],
}


_MarginM = (
    Annotated[
        float,
        Meta(
            description="how far within the tolerance, metres, negative beyond it",
            examples=[63.0],
        ),
    ]
    | None
)
_SiteDistanceM = (
    Annotated[
        float,
        Meta(description="to the edge of the zone, metres, negative inside", examples=[-38.0]),
    ]
    | None
)
_Reasons = Annotated[
    list[dict[str, Any]],
    Meta(
        description="each rule that spoke, with its figures: see the page on punches",
        max_length=len(RULES) + 2,
        examples=[
            [
                {
                    "rule": "inside",
                    "makes": "verified",
                    "figures": {"distance_m": -38.0, "accuracy_m": 12.0, "tolerance_m": 25.0},
                }
            ]
        ],
        extra_json_schema={"items": _REASON},
    ),
]
_Verdict = Annotated[str, _word("`verified`, `unverified` or `failed`", WORTHS, "verified")]


class Punched(Struct):
    """An employee begins or ends work."""

    punch_id: Annotated[str, _id("pun", "the punch")]
    employee_id: Annotated[str, _id("emp", "the employee")]
    employee_name: Annotated[str, _name("their name", "Anna Keller")]
    tracker_id: Annotated[str, _id("trk", "the tracker that sent it; null: over the API")] | None
    entered_by: (
        Annotated[str, _id("usr", "the user who entered it by hand; null: nobody did")] | None
    )
    claimed_at: Annotated[str, _time("when it was, by the punch itself", "2026-03-01T06:58:00Z")]
    detected_at: Annotated[str, _time("when it was received", "2026-03-01T06:58:02.120Z")]
    late: Annotated[
        bool, Meta(description="it was received long after the claimed time", examples=[False])
    ]
    pay_time: Annotated[str, _time("the time that counts for pay", "2026-03-01T06:58:00Z")]
    pay_time_source: Annotated[
        str,
        _word("`claimed`, `disputed` or `entered` by hand", PAY_SOURCES, "claimed"),
    ]
    server_time: (
        Annotated[
            str,
            _time(
                "the other reading of a disputed time; null: it is not disputed",
                "2026-03-01T15:02:00Z",
            ),
        ]
        | None
    )
    verdict: _Verdict
    reasons: _Reasons
    site_id: Annotated[str, _id("sit", "the site whose zone it is; null: none's")] | None
    zone_id: Annotated[str, _id("zon", "the zone that counts; null: none was compared")] | None
    zone_name: Annotated[str, _name("its name", "Depot in Altstetten")] | None
    zone_version: (
        Annotated[
            int,
            Meta(description="the version that was judged by", ge=1, le=2**31 - 1, examples=[1]),
        ]
        | None
    )
    fix_time: Annotated[str, _time("when the position was taken", "2026-03-01T06:57:56Z")] | None
    lat: (
        Annotated[
            float,
            Meta(
                description="where the employee was, degrees; null: not known",
                ge=-90,
                le=90,
                examples=[47.0502],
            ),
        ]
        | None
    )
    lon: Annotated[float, Meta(description="the same", ge=-180, le=180, examples=[8.3093])] | None
    accuracy_m: _AccuracyM
    mock: Annotated[
        bool, Meta(description="the device says that the position is mocked", examples=[False])
    ]
    distance_m: _SiteDistanceM
    margin_m: _MarginM
    fix_age_s: (
        Annotated[float, Meta(description="of the position, at receipt, seconds", examples=[6.12])]
        | None
    )
    machine_id: Annotated[str, _id("ast", "the machine that they work with")] | None
    machine_distance_m: (
        Annotated[
            float,
            Meta(description="to that machine, metres; null: not known", ge=0, examples=[14.2]),
        ]
        | None
    )


class PunchAmendment(Struct):
    """The verdict on a punch is another one, by what was learnt later."""

    punch_id: Annotated[str, _id("pun", "the punch")]
    employee_id: Annotated[str, _id("emp", "the employee")]
    employee_name: Annotated[str, _name("their name", "Anna Keller")]
    kind: Annotated[str, _word("of the punch", PUNCH_KINDS, "in")]
    claimed_at: Annotated[str, _time("when it was, by the punch itself", "2026-03-01T06:58:00Z")]
    pay_time: Annotated[
        str, _time("the time that counts for pay; an amendment leaves it", "2026-03-01T06:58:00Z")
    ]
    revision: Annotated[
        int,
        Meta(description="of the punch with this verdict", ge=2, le=2**31 - 1, examples=[2]),
    ]
    cause: Annotated[
        str,
        _word("`late_fix` of the employee, or `jobsite_changed`", AMENDMENT_CAUSES, "late_fix"),
    ]
    verdict: _Verdict
    reasons: _Reasons
    previous_verdict: Annotated[str, _word("the verdict before", WORTHS, "failed")]
    previous_reasons: _Reasons
    site_id: Annotated[str, _id("sit", "the site whose zone it is; null: none's")] | None
    zone_id: Annotated[str, _id("zon", "the zone that counts; null: none was compared")] | None
    zone_version: (
        Annotated[
            int,
            Meta(description="the version that was judged by", ge=1, le=2**31 - 1, examples=[1]),
        ]
        | None
    )
    distance_m: _SiteDistanceM
    margin_m: _MarginM
    review: (
        Annotated[
            str,
            _word(
                "the review from before: it stays; null: nobody has reviewed it",
                ("accepted", "rejected"),
                "accepted",
            ),
        ]
        | None
    )


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

    timesheet_id: Annotated[str, _id("tms", "the timesheet")]
    employee_id: Annotated[str, _id("emp", "the employee")]
    employee_name: Annotated[str, _name("their name", "Anna Keller")]
    employee_number: Annotated[str, _name("their `external_id`; null: none", "E-204")] | None
    first_day: Annotated[str, _day("of the period", "2026-03-02")]
    last_day: Annotated[str, _day("of the period", "2026-03-08")]
    timezone: Annotated[
        str, Meta(description="of the days", max_length=64, examples=["Europe/Zurich"])
    ]
    approved_by: Annotated[str, _id("usr", "the user who approved them")]
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


STOCK_LOW = "stock.low"


def _quantity(description: str, example: float) -> Meta:
    return Meta(description=description, ge=0, le=1e9, examples=[example])


class LowStock(Struct):
    """A part in a warehouse has fallen to its reorder point."""

    inventory_id: Annotated[str, _id("inv", "the stock record")]
    part_id: Annotated[str, _id("prt", "the part")]
    part_number: Annotated[str, _name("its number", "OF-2210")]
    part_name: Annotated[str, _name("its name", "Oil filter")]
    unit: Annotated[
        str, Meta(description="what a quantity of 1 is", max_length=20, examples=["piece"])
    ]
    warehouse_id: Annotated[str, _id("whs", "the warehouse")]
    warehouse_name: Annotated[str, _name("its name", "Main store")]
    on_hand: Annotated[float, _quantity("there after the movement", 6.0)]
    reserved: Annotated[float, _quantity("of it, reserved", 2.0)]
    available: Annotated[float, _quantity("on hand and not reserved", 4.0)]
    reorder_point: Annotated[float, _quantity("of the stock record", 4.0)]
    reorder_quantity: Annotated[float, _quantity("how much to order; null: not set", 20.0)] | None


ENDPOINT_DISABLED = "webhook_endpoint.disabled"


class DisabledEndpoint(Struct):
    """The system has disabled a webhook endpoint. The URL is not told: it may hold a secret."""

    endpoint_id: Annotated[str, _id("whe", "the endpoint")]
    description: (
        Annotated[
            str,
            Meta(description="its own; null: none", max_length=500, examples=["to the ERP"]),
        ]
        | None
    )
    reason: Annotated[
        str,
        _word(
            "`failures`: it has accepted nothing for days; `gone`: it answered 410",
            ["failures", "gone"],
            "failures",
        ),
    ]
    disabled_at: Annotated[str, _time("when it was disabled", "2026-03-06T12:00:00Z")]
    failing_since: (
        Annotated[str, _time("of the first failure since it accepted", "2026-03-01T12:00:00Z")]
        | None
    )


WORK_ORDER_CREATED = "work_order.created"
WORK_ORDER_ASSIGNED = "work_order.assigned"
WORK_ORDER_STARTED = "work_order.started"
WORK_ORDER_COMPLETED = "work_order.completed"
WORK_ORDER_UPDATED = "work_order.updated"
WORK_ORDER_CANCELLED = "work_order.cancelled"


def _list(description: str, example: str) -> Meta:
    return Meta(description=description, max_length=100, examples=[[example]])


class ChangedWorkOrder(Struct):
    """A work order as it is since somebody made, moved or changed it."""

    work_order_id: Annotated[str, _id("wo", "the work order")]
    number: Annotated[int, Meta(description="its number", ge=1, le=2**31 - 1, examples=[48])]
    title: Annotated[str, _name("its title", "Replace the crane's cable")]
    status: Annotated[str, _word("its status now", STATES, "assigned")]
    verb: Annotated[str, _word("what led to the status; null: none did", VERBS, "assign")] | None
    changed: Annotated[
        list[Annotated[str, Meta(max_length=50, examples=["due_at"])]],
        _list("the fields that were changed beside it", "due_at"),
    ]
    priority: Annotated[str, _word("its priority", PRIORITIES, "high")]
    client_id: Annotated[str, _id("cli", "the client; null: none")] | None
    site_id: Annotated[str, _id("sit", "the site; null: none")] | None
    parent_id: Annotated[str, _id("wo", "the work order that it is a part of; null: none")] | None
    assignee_ids: Annotated[
        list[Annotated[str, _id("emp", "an employee")]],
        _list("the employees", "emp_01jd8x0k2m4n6p8q0r2s4t6v8w"),
    ]
    asset_ids: Annotated[
        list[Annotated[str, _id("ast", "an asset")]],
        _list("the assets", "ast_01jd8x0k2m4n6p8q0r2s4t6v8w"),
    ]
    planned_start: Annotated[str, _time("null: not planned", "2026-03-02T07:00:00Z")] | None
    planned_end: Annotated[str, _time("null: not planned", "2026-03-02T15:00:00Z")] | None
    due_at: Annotated[str, _time("null: at no time", "2026-03-03T15:00:00Z")] | None
    user_id: Annotated[str, _id("usr", "the user who did it")]
    lat: (
        Annotated[
            float,
            Meta(description="where they were; null: not given", ge=-90, le=90, examples=[47.05]),
        ]
        | None
    )
    lon: Annotated[float, Meta(description="the same", ge=-180, le=180, examples=[8.3093])] | None
    reason: (
        Annotated[
            str,
            Meta(
                description="why it is on hold, cancelled or cannot be completed",
                max_length=1000,
                examples=["The part is missing."],
            ),
        ]
        | None
    )
    signer_name: Annotated[str, _name("who signed a completion", "Peter Frei")] | None


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

    form_id: Annotated[str, _id("insp", "the form")]
    template_id: Annotated[str, _id("itpl", "its template")]
    template_name: Annotated[str, _name("the template's name then", "Daily check of a crane")]
    template_version: Annotated[
        int, Meta(description="of the template", ge=1, le=2**31 - 1, examples=[1])
    ]
    asset_id: Annotated[str, _id("ast", "the asset; null: none")] | None
    site_id: Annotated[str, _id("sit", "the site; null: none")] | None
    employee_id: Annotated[str, _id("emp", "the employee; null: none")] | None
    work_order_id: Annotated[str, _id("wo", "the work order; null: none")] | None
    supersedes_id: Annotated[str, _id("insp", "the form that it corrects; null: none")] | None
    submitted_by: Annotated[str, _id("usr", "the user who submitted it")]
    result: Annotated[
        str, _word("`failed` if any question was answered so", ("passed", "failed"), "failed")
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
