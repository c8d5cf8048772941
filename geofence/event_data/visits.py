"""`data` of events of assets in zones: breaches, dwells, speeding, amended visits."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from geofence.event_data.fields import AccuracyM, id_field, name_field, time_field, word_field
from geofence.late.amendments import AnnouncementKind
from geofence.model.policy import DEFAULT_ALERTS
from geofence.model.transitions import SILENT, Cause

_CAUSES = [cause.word for cause in Cause if cause not in SILENT]
_FIRST_KINDS = (
    AnnouncementKind.ENTER,
    AnnouncementKind.EXIT,
    AnnouncementKind.DWELL,
    AnnouncementKind.OVERSPEED,
)
_CHANGES = [kind.value for kind in AnnouncementKind if kind not in _FIRST_KINDS]
_AssetId = Annotated[str, id_field("ast", "the asset")]
_AssetName = Annotated[str, name_field("its name", "Truck 7")]
_ZoneId = Annotated[str, id_field("zon", "the zone")]
_ZoneName = Annotated[str, name_field("its name", "Depot in Altstetten")]
_ZoneKind = Annotated[str, word_field("its `kind`", DEFAULT_ALERTS, "restricted")]
_ZoneVersion = Annotated[
    int, Meta(description="the version that was judged by", ge=1, le=2**31 - 1, examples=[1])
]
_DetectedAt = Annotated[str, time_field("when it became known", "2026-03-01T12:00:00.120Z")]
_Lat = Annotated[
    float, Meta(description="where the asset was, degrees", ge=-90, le=90, examples=[47.0502])
]
_Lon = Annotated[float, Meta(description="the same", ge=-180, le=180, examples=[8.3093])]
_DistanceM = Annotated[
    float, Meta(description="to the edge of the zone, metres, negative inside", examples=[-12.48])
]
_Late = Annotated[
    bool,
    Meta(description="a fix that came out of order, or an upload, made it known", examples=[False]),
]

_Source = Annotated[
    Literal["upload"] | None,
    Meta(
        description="`upload`: a point of an uploaded track made it known; null: a device's fix,"
        " or time",
        examples=[None],
    ),
]


class BreachOrDwell(Struct):
    """An asset enters, leaves, or has stayed in a zone."""

    asset_id: _AssetId
    asset_name: _AssetName
    tracker_id: Annotated[str, id_field("trk", "the tracker whose fix tells where the asset was")]
    zone_id: _ZoneId
    zone_name: _ZoneName
    zone_kind: _ZoneKind
    zone_version: _ZoneVersion
    visit_id: Annotated[str, id_field("vis", "the visit; null: the asset is in no visit")] | None
    transition: Annotated[
        str,
        word_field(
            "`enter` or `exit` of a breach, `dwell` of a dwell", ("enter", "exit", "dwell"), "enter"
        ),
    ]
    occurred_at: Annotated[
        str, time_field("when it happened, by the fixes", "2026-03-01T12:00:00Z")
    ]
    detected_at: _DetectedAt
    lat: _Lat
    lon: _Lon
    accuracy_m: AccuracyM
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
            word_field(
                "`segment`: the way between two fixes shows it; `timer`: time went by;"
                " null: a fix shows it",
                ("segment", "timer"),
                "segment",
            ),
        ]
        | None
    )
    late: _Late
    source: _Source
    cause: Annotated[
        str,
        word_field(
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
    tracker_id: Annotated[str, id_field("trk", "the tracker that stated the speed")]
    zone_id: _ZoneId
    zone_name: _ZoneName
    zone_kind: _ZoneKind
    zone_version: _ZoneVersion
    visit_id: Annotated[str, id_field("vis", "the visit")]
    occurred_at: Annotated[str, time_field("the time of the fix", "2026-03-01T12:00:00Z")]
    detected_at: _DetectedAt
    lat: _Lat
    lon: _Lon
    accuracy_m: AccuracyM
    speed_mps: Annotated[
        float, Meta(description="of that fix, metres a second", ge=0, examples=[16.7])
    ]
    speed_limit_mps: Annotated[
        float, Meta(description="of the zone, metres a second", gt=0, examples=[13.9])
    ]
    distance_m: _DistanceM
    late: _Late
    source: _Source


class VisitAmendment(Struct):
    """A visit of which something was told is another one by now."""

    visit_id: Annotated[str, id_field("vis", "the visit")]
    change: Annotated[
        str, word_field("`start`, `end`, `split`, `merged` or `retracted`", _CHANGES, "end")
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
    entered_at: Annotated[str, time_field("when the visit begins now", "2026-03-01T12:00:00Z")]
    left_at: (
        Annotated[str, time_field("when it ends now; null while it lasts", "2026-03-01T12:10:00Z")]
        | None
    )
    retracted: Annotated[
        bool,
        Meta(description="it never was, or is part of another visit", examples=[False]),
    ]
    detected_at: _DetectedAt
    late: _Late
    source: _Source
