"""Bodies of punches, what comes in and what is shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from api.http import fields
from api.http.encoding import optional_id_text, time_text
from api.request.paging import ListQuery, order_of
from api.request.resource import item_of
from db.core.listing import Order
from db.punches.amendments import MOST_EARLIER, EarlierVerdict
from db.punches.punch_list import Review, StoredPunch
from geofence.punches.claim import RULES, AmendmentCause, PaySource, Worth
from telemetry.punch import PunchKind

_MAX_CHARACTERS = 1_000
_PRINTED = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def _remark(example: str) -> Any:
    return Field(examples=[example], json_schema_extra={"pattern": _PRINTED})


_Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=_MAX_CHARACTERS),
    AfterValidator(fields.storable),
]
_Note = Annotated[_Text, _remark("The gate was locked.")]
_Reason = Annotated[_Text, _remark("The phone was broken.")]
_ReviewNote = Annotated[_Text, _remark("The foreman saw her at the gate.")]
_Metres = Annotated[float, Field(examples=[12.0])]
_Rule = Annotated[str, WithJsonSchema({"type": "string", "enum": list(RULES)})]
_Version = Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]
_PLACE: dict[str, Any] = {"dependentRequired": {"lat": ["lon"], "lon": ["lat"]}}


class ReasonItem(BaseModel):
    """A rule that applied to a punch."""

    rule: _Rule
    makes: Worth = Field(description="what the rule makes of the punch")
    figures: dict[str, float] = Field(
        description="what the rule went by, with units in the names",
        examples=[{"distance_m": -38.0, "accuracy_m": 12.0, "tolerance_m": 25.0}],
    )


_Reasons = Annotated[list[ReasonItem], Field(max_length=len(RULES) + 2)]


class PunchItem(BaseModel):
    """A punch, the verdict on it, and the review."""

    id: fields.PunchId
    employee_id: fields.EmployeeId
    kind: PunchKind
    time: datetime = Field(description="when it was, by the punch itself: the claimed time")
    received_at: datetime
    tracker_id: fields.TrackerId | None = Field(description="who sent it; null: over the API")
    entered_by: fields.UserId | None = Field(
        description="the user who entered it by hand; null: it is the employee's own"
    )
    reason: _Reason | None = Field(description="why it was entered by hand")
    note: Annotated[str, fields.text(_MAX_CHARACTERS, "The gate was locked.")] | None
    fix_time: datetime | None = Field(description="when the position was taken")
    lat: fields.Latitude | None
    lon: fields.Longitude | None
    accuracy_m: _Metres | None = Field(description="null: not known")
    mock: bool = Field(description="whether the device says that the position is mocked")
    verdict: Worth
    reasons: _Reasons
    site_id: fields.SiteId | None = Field(description="the site whose geofence the zone is")
    zone_id: fields.ZoneId | None = Field(description="the best of the zones that were compared")
    zone_version: _Version | None = Field(description="the version in force")
    distance_m: _Metres | None = Field(
        description="to the edge of the zone, negative inside", examples=[-38.0]
    )
    margin_m: _Metres | None = Field(
        description="how far within the tolerance, negative beyond it", examples=[63.0]
    )
    fix_age_s: Annotated[float, Field(examples=[6.12])] | None = Field(
        description="the age of the position at receipt"
    )
    machine_id: fields.AssetId | None = Field(description="the machine that the employee was at")
    machine_distance_m: _Metres | None
    pay_time: datetime = Field(description="the time that counts for pay")
    pay_time_source: PaySource
    server_time: datetime | None = Field(description="the other reading of a disputed time")
    revision: fields.Count = Field(description="1, and one more for each review and amendment")
    review: Review | None = Field(description="null: nobody has reviewed it")
    review_note: _ReviewNote | None
    reviewed_by: fields.UserId | None
    reviewed_at: datetime | None


class EarlierVerdictItem(BaseModel):
    """A verdict on a punch that was replaced."""

    revision: fields.Count = Field(description="of the punch with this verdict")
    cause: AmendmentCause = Field(description="what replaced it")
    replaced_at: datetime
    verdict: Worth
    reasons: _Reasons
    site_id: fields.SiteId | None
    zone_id: fields.ZoneId | None
    zone_version: _Version | None
    distance_m: _Metres | None
    margin_m: _Metres | None


class PunchDetail(PunchItem):
    """A punch with the verdicts that it had before."""

    earlier_verdicts: Annotated[list[EarlierVerdictItem], Field(max_length=MOST_EARLIER)] = Field(
        description="those that late fixes and corrected job sites replaced, the first one first"
    )


class PunchClaim(fields.Body):
    """A punch of one's own, or one that is entered for somebody. `lat` and `lon` go together."""

    model_config = ConfigDict(json_schema_extra=_PLACE)

    employee_id: fields.EmployeeId
    kind: PunchKind
    time: fields.Time = Field(description="when it was; kept even where the clock is wrong")
    fix_time: fields.Time | None = Field(
        default=None, description="when the position was taken, by the device"
    )
    lat: fields.Latitude | None = None
    lon: fields.Longitude | None = None
    accuracy_m: _Metres | None = Field(
        default=None,
        description="the radius that holds the position; 0 or less: not known",
    )
    mock: bool = Field(default=False, description="whether the device says that it is mocked")
    note: _Note | None = None
    reason: _Reason | None = Field(
        default=None,
        description="why it is entered by hand; needed for a punch of somebody else",
    )


class PunchReview(fields.Body):
    """The decision of a dispatcher or an admin on a punch."""

    decision: Literal["accept", "reject"]
    note: _ReviewNote | None = None


class PunchQuery(ListQuery):
    """Punches whose claimed time is in [from, to)."""

    employee_id: fields.EmployeeId | None = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None
    verdict: Worth | None = None
    reviewed: Annotated[
        bool | None, Field(description="those that somebody has reviewed, or the others")
    ] = None
    site_id: fields.SiteId | None = None
    sort: Annotated[Literal["-time", "time"], Field(description="-: the last ones first")] = "-time"

    @property
    def order(self) -> Order:
        return order_of(self.sort)


def _machine_id(punch: StoredPunch) -> str | None:
    return optional_id_text("ast", punch.asset_id)


punch_item = item_of(
    PunchItem,
    time=lambda punch: time_text(punch.claimed_at),
    reason=lambda punch: punch.entry_reason,
    machine_id=_machine_id,
)
"""Return a PunchItem."""

earlier_verdict_item = item_of(EarlierVerdictItem)
"""Return an EarlierVerdictItem."""


def punch_detail(punch: StoredPunch, earlier: Sequence[EarlierVerdict]) -> dict[str, Any]:
    """Return a PunchDetail."""
    return punch_item(punch) | {"earlier_verdicts": [earlier_verdict_item(one) for one in earlier]}
