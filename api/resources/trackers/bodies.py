"""Bodies of trackers, what comes in and what is shown."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.http import fields
from api.http.problems import bad_field
from api.request.paging import SortedQuery
from api.request.resource import item_of
from api.resources.trackers.assignment import Assignment
from telemetry.formats.encrypted import MOST_KEY_BYTES
from telemetry.imei import has_wrong_check_digit

_INCLUDED = "(last_seen_at|connection)"
_INCLUDE = f"^{_INCLUDED}(,{_INCLUDED})*$"
_GIVEN: dict[str, Any] = {"not": {"type": "null"}}
# At most one of both is given, and a time only with one of them.
_ASSIGNED = ConfigDict(
    json_schema_extra={
        "dependentSchemas": {
            "assigned_from": {
                "anyOf": [
                    {"required": ["asset_id"], "properties": {"asset_id": _GIVEN}},
                    {"required": ["employee_id"], "properties": {"employee_id": _GIVEN}},
                ]
            }
        },
        "not": {
            "required": ["asset_id", "employee_id"],
            "properties": {"asset_id": _GIVEN, "employee_id": _GIVEN},
        },
    }
)
_Name = Annotated[fields.Name, Field(examples=["Tracker of truck 7"])]
_IMEI = "^([0-9]{10}|[0-9]{15})$"
_Imei = Annotated[
    str,
    StringConstraints(min_length=10, max_length=15),
    fields.shaped(_IMEI, "must be the 15 digits of an IMEI, or the 10 of a device of H02"),
    Field(examples=["356938035643809"], json_schema_extra={"pattern": _IMEI}),
]


def _checked_key(value: str) -> str:
    if len(value.encode()) > MOST_KEY_BYTES:
        says = f"must have at most {MOST_KEY_BYTES} bytes in UTF-8, as OwnTracks has it"
        raise PydanticCustomError("shape", "{says}", {"says": says})
    return value


_EncryptionKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MOST_KEY_BYTES),
    fields.shaped("[^\\x00]+", "must have no NUL"),
    AfterValidator(_checked_key),
    Field(
        description="of OwnTracks, as the app has it; it is not shown again. null: it encrypts"
        " nothing",
        examples=["correct horse battery"],
        json_schema_extra={"writeOnly": True, "pattern": "^[^\\u0000]*$"},
    ),
]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["356938035643809"])]


class TrackerItem(BaseModel):
    """A tracker."""

    id: fields.TrackerId
    name: _Name | None
    external_id: _ExternalId | None = Field(description="IMEI, uniqueId, devEui: unique")
    imei: _Imei | None = Field(description="by which a device without a secret sends as it")
    imei_has_wrong_check_digit: bool = Field(
        description="a warning: the last of its 15 digits does not check the others. Some makers"
        " number so; else it is mistyped"
    )
    receipts: bool = Field(description="whether each message is answered after its commit")
    is_punch_terminal: bool = Field(description="whether it takes punches of every employee")
    asset_id: fields.AssetId | None = Field(description="the asset that it is on now")
    employee_id: fields.EmployeeId | None = Field(description="the employee whose it is now")
    assigned_from: datetime | None
    has_encryption_key: bool = Field(description="whether OwnTracks on it may encrypt")
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime | None = Field(
        default=None, description="the time of its newest fix, where `include` asks for it"
    )
    connected: bool = Field(
        default=False,
        description="whether it is connected now; this and what follows where `include` asks for"
        " `connection`",
    )
    connected_since: datetime | None = Field(default=None, description="null: it is not connected")
    connected_from: Annotated[str | None, Field(max_length=39, examples=["192.0.2.7"])] = Field(
        default=None, description="the address that it is connected from"
    )
    last_connected_at: datetime | None = Field(
        default=None, description="when it last signed in; null: it never did"
    )
    credential_shared: bool = Field(
        default=False, description="whether two devices took turns with its secret in the last day"
    )


class NewTrackerItem(TrackerItem):
    """A tracker with the secret that it signs in with: shown this once."""

    secret: Annotated[str, fields.text(100, "nM0ZkQ0v3yN3mGm8m6mF0w2g7i9b1c5d8e2f4a6h0jk")]


class ChangedTrackerItem(TrackerItem):
    """A tracker as it is now, and what the change reaches back to."""

    reaches_back_to: datetime | None = Field(
        description="the time of the first stored fix that belonged to no asset and belongs to"
        " this one now; null: there is none. Such fixes are judged soon, as late ones"
    )


class Registration(fields.Body):
    """A new tracker whose external_id is known: on an asset, of an employee, or neither."""

    model_config = _ASSIGNED

    name: _Name | None = None
    imei: _Imei | None = Field(
        default=None, description="409 where another tracker has claimed it", examples=[None]
    )
    receipts: bool = False
    is_punch_terminal: bool = False
    asset_id: fields.AssetId | None = None
    employee_id: fields.EmployeeId | None = None
    assigned_from: fields.Time | None = Field(
        default=None,
        description="since when it is on the asset, or the employee's; unless given, ever, or since"
        " the asset lost the tracker before it",
    )


class NewTracker(Registration):
    """A new tracker, on an asset, of an employee, or neither."""

    external_id: _ExternalId | None = None


class TrackerChange(NewTracker):
    """The fields to change. `asset_id: null` takes the tracker off its asset, and
    `employee_id: null` from its employee.
    """

    receipts: bool = Field(default_factory=fields.absent)
    is_punch_terminal: bool = Field(default_factory=fields.absent)
    encryption_key: _EncryptionKey | None = None
    assigned_from: fields.Time | None = Field(
        default=None,
        description="since when; in the past only where no fix of the tracker since then belongs"
        " to an asset. Unless given: now, or as for a new tracker if it was never assigned",
    )


Include = Annotated[
    Annotated[
        str,
        fields.shaped(_INCLUDE, "must be last_seen_at, connection, or both with a comma"),
        Field(max_length=100, json_schema_extra={"pattern": _INCLUDE}),
    ]
    | None,
    Field(
        description="last_seen_at, connection, or both with a comma",
        examples=["last_seen_at,connection"],
    ),
]


class TrackerQuery(SortedQuery):
    """The filters of trackers, and what to show of them."""

    external_id: _ExternalId | None = None
    imei: Annotated[_Imei | None, Field(description="that has claimed it")] = None
    asset_id: Annotated[fields.AssetId | None, Field(description="that are on it now")] = None
    employee_id: Annotated[fields.EmployeeId | None, Field(description="that are theirs now")] = (
        None
    )
    assigned: Annotated[
        bool | None, Field(description="on an asset or an employee's now, or neither; null: all")
    ] = None
    revoked: Annotated[
        bool | None, Field(description="only those that are, or only those that are not")
    ] = None
    connected: Annotated[
        bool | None, Field(description="only those that are connected now, or that are not")
    ] = None
    include: Include = None


class OneTrackerQuery(fields.Query):
    """The parts of a tracker to show."""

    include: Include = None


tracker_item = item_of(
    TrackerItem,
    imei_has_wrong_check_digit=lambda row: row.imei is not None and has_wrong_check_digit(row.imei),
)
"""Return a TrackerItem, without what is included."""


def wanted_assignment(body: Registration) -> Assignment | None:
    """Return what the body says of an asset or an employee. Raises Problem (422)."""
    if body.asset_id is not None and body.employee_id is not None:
        raise bad_field("/employee_id", "A tracker is on an asset or with an employee, not both.")
    if body.asset_id is not None or body.employee_id is not None:
        return Assignment(body.asset_id, body.assigned_from, body.employee_id)
    if body.assigned_from is not None:
        raise bad_field("/assigned_from", "assigned_from requires asset_id or employee_id.")
    return None
