"""`data` of events of trips and stops, and those events."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from geofence.event_data.fields import id_field, name_field, time_field, word_field

TRIP_STARTED = "trip.started"
TRIP_ENDED = "trip.ended"
TRIP_AMENDED = "trip.amended"
ASSET_STOPPED = "asset.stopped"
_CHANGES = ("start", "end", "split", "merged", "retracted")


def _metres(description: str, example: float) -> Meta:
    return Meta(description=description, ge=0, examples=[example])


def _degrees(description: str, limit: int, example: float) -> Meta:
    return Meta(description=description, ge=-limit, le=limit, examples=[example])


_TripId = Annotated[str, id_field("trp", "the trip: the same in all of its events")]
_Revision = Annotated[
    int, Meta(description="counts the events of the trip", ge=1, le=2**31 - 1, examples=[2])
]
_AssetId = Annotated[str, id_field("ast", "the asset")]
_AssetName = Annotated[str, name_field("its name", "Truck 7")]
_StartedAt = Annotated[str, time_field("the time of its first fix", "2026-03-01T12:00:00Z")]
_EndedAt = Annotated[str, time_field("the time of its last fix", "2026-03-01T12:30:00Z")]
_DetectedAt = Annotated[str, time_field("when it became known", "2026-03-01T12:35:10.120Z")]
_Lat = Annotated[float, _degrees("where it began, degrees", 90, 47.0502)]
_Lon = Annotated[float, _degrees("the same", 180, 8.3093)]
_Source = Annotated[
    Literal["upload"] | None,
    Meta(
        description="`upload`: points of an uploaded track made it known; null: a device's fixes,"
        " or time",
        examples=[None],
    ),
]


class StartedTrip(Struct):
    """An asset is under way."""

    trip_id: _TripId
    revision: _Revision
    asset_id: _AssetId
    asset_name: _AssetName
    started_at: _StartedAt
    lat: _Lat
    lon: _Lon
    is_carried: Annotated[
        bool, Meta(description="the ignition is off: on a ferry, or a tow truck", examples=[False])
    ]
    detected_at: _DetectedAt
    source: _Source


class EndedTrip(Struct):
    """A trip has ended. Sums are those of when it was told."""

    trip_id: _TripId
    revision: _Revision
    asset_id: _AssetId
    asset_name: _AssetName
    started_at: _StartedAt
    ended_at: _EndedAt
    inferred: Annotated[
        Literal["timer"] | None,
        Meta(
            description="`timer`: no fix has come for an hour; null: fixes show it",
            examples=[None],
        ),
    ]
    start_lat: _Lat
    start_lon: _Lon
    end_lat: Annotated[float, _degrees("where it ended, degrees", 90, 47.1002)]
    end_lon: Annotated[float, _degrees("the same", 180, 8.3593)]
    duration_s: Annotated[float, Meta(description="seconds", ge=0, examples=[1800.0])]
    distance_m: Annotated[
        float, _metres("along the fixes that move by more than their accuracy", 8123.5)
    ]
    odometer_m: (
        Annotated[
            float,
            Meta(
                description="what the odometer counted, metres; null: it is not sent",
                examples=[8200.0],
            ),
        ]
        | None
    )
    top_speed_mps: Annotated[float, _metres("that a fix states; null: none does", 22.2)] | None
    has_gap: Annotated[
        bool, Meta(description="for longer than an hour there is no fix", examples=[False])
    ]
    is_carried: Annotated[
        bool, Meta(description="the ignition was off: on a ferry, or a tow truck", examples=[False])
    ]
    detected_at: _DetectedAt
    source: _Source


class AmendedTrip(Struct):
    """A trip of which something was told is another one by now."""

    trip_id: _TripId
    change: Annotated[
        str, word_field("`start`, `end`, `split`, `merged` or `retracted`", _CHANGES, "end")
    ]
    revision: _Revision
    asset_id: _AssetId
    asset_name: _AssetName
    started_at: Annotated[str, time_field("when it begins now", "2026-03-01T12:00:00Z")]
    ended_at: (
        Annotated[str, time_field("when it ends now; null: it goes on", "2026-03-01T12:40:00Z")]
        | None
    )
    retracted: Annotated[
        bool, Meta(description="it never was, or is part of another trip", examples=[False])
    ]
    before_started_at: Annotated[
        str, time_field("when it began, as it was told before", "2026-03-01T12:00:00Z")
    ]
    before_ended_at: (
        Annotated[
            str,
            time_field(
                "when it ended, as it was told before; null: it went on", "2026-03-01T12:30:00Z"
            ),
        ]
        | None
    )
    detected_at: _DetectedAt
    source: _Source


class StoppedAsset(Struct):
    """An asset has stayed at a place for five minutes."""

    stop_id: Annotated[str, id_field("stp", "the stop")]
    asset_id: _AssetId
    asset_name: _AssetName
    started_at: _StartedAt
    lat: Annotated[float, _degrees("of its middle, degrees", 90, 47.0502)]
    lon: Annotated[float, _degrees("the same", 180, 8.3093)]
    detected_at: _DetectedAt
    source: _Source


TripData = StartedTrip | EndedTrip | AmendedTrip | StoppedAsset


def data_text(data: TripData) -> str:
    return msgspec.json.encode(data).decode()


TYPES: dict[type[Any], str] = {
    StartedTrip: TRIP_STARTED,
    EndedTrip: TRIP_ENDED,
    AmendedTrip: TRIP_AMENDED,
    StoppedAsset: ASSET_STOPPED,
}
