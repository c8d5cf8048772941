"""`data` of events of punches."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from geofence.event_data.fields import AccuracyM, id_field, name_field, time_field, word_field
from geofence.punches.claim import AMENDMENT_CAUSES, PAY_SOURCES, RULES, WORTHS
from telemetry.punch import PUNCH_KINDS

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
_Verdict = Annotated[str, word_field("`verified`, `unverified` or `failed`", WORTHS, "verified")]


class Punched(Struct):
    """An employee begins or ends work."""

    punch_id: Annotated[str, id_field("pun", "the punch")]
    employee_id: Annotated[str, id_field("emp", "the employee")]
    employee_name: Annotated[str, name_field("their name", "Anna Keller")]
    tracker_id: (
        Annotated[str, id_field("trk", "the tracker that sent it; null: over the API")] | None
    )
    entered_by: (
        Annotated[str, id_field("usr", "the user who entered it by hand; null: nobody did")] | None
    )
    claimed_at: Annotated[
        str, time_field("when it was, by the punch itself", "2026-03-01T06:58:00Z")
    ]
    detected_at: Annotated[str, time_field("when it was received", "2026-03-01T06:58:02.120Z")]
    late: Annotated[
        bool, Meta(description="it was received long after the claimed time", examples=[False])
    ]
    pay_time: Annotated[str, time_field("the time that counts for pay", "2026-03-01T06:58:00Z")]
    pay_time_source: Annotated[
        str,
        word_field("`claimed`, `disputed` or `entered` by hand", PAY_SOURCES, "claimed"),
    ]
    server_time: (
        Annotated[
            str,
            time_field(
                "the other reading of a disputed time; null: it is not disputed",
                "2026-03-01T15:02:00Z",
            ),
        ]
        | None
    )
    verdict: _Verdict
    reasons: _Reasons
    site_id: Annotated[str, id_field("sit", "the site whose zone it is; null: none's")] | None
    zone_id: Annotated[str, id_field("zon", "the zone that counts; null: none was compared")] | None
    zone_name: Annotated[str, name_field("its name", "Depot in Altstetten")] | None
    zone_version: (
        Annotated[
            int,
            Meta(description="the version that was judged by", ge=1, le=2**31 - 1, examples=[1]),
        ]
        | None
    )
    fix_time: (
        Annotated[str, time_field("when the position was taken", "2026-03-01T06:57:56Z")] | None
    )
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
    accuracy_m: AccuracyM
    mock: Annotated[
        bool, Meta(description="the device says that the position is mocked", examples=[False])
    ]
    distance_m: _SiteDistanceM
    margin_m: _MarginM
    fix_age_s: (
        Annotated[float, Meta(description="of the position, at receipt, seconds", examples=[6.12])]
        | None
    )
    machine_id: Annotated[str, id_field("ast", "the machine that they work with")] | None
    machine_distance_m: (
        Annotated[
            float,
            Meta(description="to that machine, metres; null: not known", ge=0, examples=[14.2]),
        ]
        | None
    )


class PunchAmendment(Struct):
    """The verdict on a punch is another one, by what was learnt later."""

    punch_id: Annotated[str, id_field("pun", "the punch")]
    employee_id: Annotated[str, id_field("emp", "the employee")]
    employee_name: Annotated[str, name_field("their name", "Anna Keller")]
    kind: Annotated[str, word_field("of the punch", PUNCH_KINDS, "in")]
    claimed_at: Annotated[
        str, time_field("when it was, by the punch itself", "2026-03-01T06:58:00Z")
    ]
    pay_time: Annotated[
        str,
        time_field("the time that counts for pay; an amendment leaves it", "2026-03-01T06:58:00Z"),
    ]
    revision: Annotated[
        int,
        Meta(description="of the punch with this verdict", ge=2, le=2**31 - 1, examples=[2]),
    ]
    cause: Annotated[
        str,
        word_field(
            "`late_fix` of the employee, or `jobsite_changed`", AMENDMENT_CAUSES, "late_fix"
        ),
    ]
    verdict: _Verdict
    reasons: _Reasons
    previous_verdict: Annotated[str, word_field("the verdict before", WORTHS, "failed")]
    previous_reasons: _Reasons
    site_id: Annotated[str, id_field("sit", "the site whose zone it is; null: none's")] | None
    zone_id: Annotated[str, id_field("zon", "the zone that counts; null: none was compared")] | None
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
            word_field(
                "the review from before: it stays; null: nobody has reviewed it",
                ("accepted", "rejected"),
                "accepted",
            ),
        ]
        | None
    )
