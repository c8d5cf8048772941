"""Punches: employees begin and end work and breaks, and say where.

A technician punches for themselves: for the employee whose `user_id` is the caller. A dispatcher or
an admin enters a punch for anybody, and says why. Every punch is kept, with the verdict on it
(`use_cases.punches.record`), whatever its position or its clock; the same punch again is the one
that is stored.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok, optional_id_text, time_text
from api.http.problems import Fault, Problem, bad_field, not_found
from api.request.access import Access, Dispatcher, Reader, Technician
from api.request.own_hours import readable_employee
from api.request.paging import ListOf, ListQuery, Page, order_of
from api.request.references import check_filters
from api.request.resource import item_of
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.listing import Order, RowKey
from db.core.table import db_now
from db.punches import punch_list
from db.punches.amendments import MOST_EARLIER, EarlierVerdict, earlier_verdicts
from db.punches.punch_list import PunchFilter, Review, StoredPunch
from db.punches.rows import Fate, NewPunch
from db.resources.employees import Employee, employees
from geofence.punches.claim import RULES, AmendmentCause, PaySource, Worth
from operations.errors import check_together
from telemetry.punch import PunchKind
from telemetry.times import ANCIENT_BEFORE_US, to_us
from use_cases.punches.record import MAX_PUNCHES_PER_DAY, record
from use_cases.punches.review import record_review

router = APIRouter(prefix="/v1/punches", tags=["punches"], route_class=TenantRoute)
_PunchPath = Annotated[fields.PunchId, Path(alias="id")]
_DECISIONS: dict[str, Review] = {"accept": "accepted", "reject": "rejected"}
_DAY = timedelta(days=1)
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


@router.get("", operation_id="listPunches", response_model=ListOf[PunchItem])
async def list_punches(access: Reader, query: Annotated[PunchQuery, Query()]) -> Response:
    """List punches, the last claimed time first."""
    page = Page(access, query, "punches", RowKey)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        wanted = PunchFilter(
            await readable_employee(conn, access, query.employee_id),
            query.since,
            query.until,
            query.verdict,
            query.reviewed,
            query.site_id,
        )
        found, total = await page.read(conn, punch_list.PUNCHES, wanted, query.order)
    return await page.response(
        found, total, key=lambda row: RowKey(row.claimed_at, row.id), item=punch_item
    )


@router.post("", operation_id="createPunch", status_code=201, response_model=PunchDetail)
async def create_punch(access: Technician, body: Annotated[PunchClaim, Body()]) -> Response:
    """Record a punch: one's own, or with a reason one of anybody. The same punch again is stored
    once.
    """
    async with access.transaction() as conn:
        employee = await employees.find(conn, body.employee_id, lock=True)
        if employee is None or employee.deleted_at is not None:
            fault = Fault("There is no such employee.", pointer="/employee_id")
            raise not_found("employee", fault=fault)
        entered_by = _entered_by(access, employee, body)
        _check(body)
        received_at = await db_now(conn)
        is_own = access.is_of_caller_or_maker(employee.user_id)
        punch = _new_punch(access, body, received_at, entered_by)
        punch = punch._replace(is_own_entry=entered_by is not None and is_own)
        (recorded,) = await record(conn, [punch])
        if recorded.fate is Fate.TOO_MANY:
            raise _too_many(received_at)
        detail = await _detail(conn, await _found(conn, recorded.id))
    return created(detail, router.prefix)


@router.get("/{id}", operation_id="getPunch", response_model=PunchDetail)
async def get_punch(access: Reader, punch_id: _PunchPath) -> Response:
    """Return one punch, with the verdicts that it had before."""
    async with access.transaction() as conn:
        punch = await _found(conn, punch_id)
        await readable_employee(conn, access, punch.employee_id)
        return ok(await _detail(conn, punch))


@router.post("/{id}/review", operation_id="reviewPunch", response_model=PunchDetail)
async def review_punch(
    access: Dispatcher, punch_id: _PunchPath, body: Annotated[PunchReview, Body()]
) -> Response:
    """Accept or reject a punch of somebody else. A later review takes the place of an earlier
    one.
    """
    async with access.transaction() as conn:
        punch = await _found(conn, punch_id)
        employee = await employees.get(conn, punch.employee_id, lock=True)
        access.check_not_own(employee.user_id, "reviews punches")
        punch = await _found(conn, punch_id)  # as it is now that nobody else writes it
        access.check_unchanged(await _detail(conn, punch))
        review, at = _DECISIONS[body.decision], await db_now(conn)
        org_id, by = access.caller.org_id, access.caller.user_id
        punch = await record_review(conn, org_id, punch, review, body.note, by, at)
        detail = await _detail(conn, punch)
    return ok(detail)


async def _found(conn: Connection, punch_id: UUID) -> StoredPunch:
    punch = await punch_list.find(conn, punch_id)
    if punch is None:
        raise not_found("punch")
    return punch


async def _detail(conn: Connection, punch: StoredPunch) -> dict[str, Any]:
    return punch_detail(punch, await earlier_verdicts(conn, punch.id))


def _entered_by(access: Access, employee: Employee, body: PunchClaim) -> UUID | None:
    """Return the user who enters a punch by hand; None for one's own punch. Raises Problem (403,
    422).
    """
    access.check_own(employee.user_id, "punches")
    if body.reason is not None:
        if access.caller.role == "technician":
            raise bad_field("/reason", "A punch of your own has no reason: write a note.")
        return access.caller.user_id
    if not access.is_own(employee.user_id):
        raise bad_field("/reason", "A punch that is entered for somebody else needs a reason.")
    return None


def _check(body: PunchClaim) -> None:
    """Raise Problem (422) for what no punch can be."""
    check_together(body, "lat", "lon")
    if to_us(body.time) < ANCIENT_BEFORE_US:
        raise bad_field("/time", "must not be before 2000-01-01T00:00:00Z")


def _new_punch(
    access: Access, body: PunchClaim, received_at: datetime, entered_by: UUID | None
) -> NewPunch:
    return NewPunch(
        org_id=access.caller.org_id,
        employee_id=body.employee_id,
        kind=body.kind,
        claimed_us=to_us(body.time),
        received_us=to_us(received_at),
        fix_time_us=None if body.fix_time is None else to_us(body.fix_time),
        lat=body.lat,
        lon=body.lon,
        accuracy_m=body.accuracy_m,
        mock=body.mock,
        note=body.note,
        entered_by=entered_by,
        entry_reason=body.reason,
    )


def _too_many(at: datetime) -> Problem:
    """Return a 429: the punch is not stored, and may be sent again on the next day (UTC)."""
    tomorrow = (at + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    return Problem(
        429,
        "too_many_punches",
        f"The employee has {MAX_PUNCHES_PER_DAY} punches of today (UTC): send it again tomorrow.",
        headers={"Retry-After": str((tomorrow - at) // timedelta(seconds=1) + 1)},
    )
