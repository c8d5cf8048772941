"""Types of fields with their bounds and examples, for what comes in and what goes out.

What comes in is checked by them before any handler sees it. In answers they say to clients what may
come; nothing is checked there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Annotated, Any, LiteralString, Self, get_args
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from api.http.problems import MOST_FAULTS, bad_parameter
from db.resources.kinds import KINDS, Kind
from telemetry.ids import IdError, parse_id
from telemetry.times import TimeError, parse_time_us

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A time whose offset has lost its plus: in a URL a plus stands for a blank.
_WITHOUT_PLUS = re.compile(r"[\d-]+[Tt ]\d\d:\d\d[\d:.,]* \d\d(:?\d\d)?", re.ASCII)


class Body(BaseModel):
    """Base of all bodies: exact types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_most_unknown(cls, value: Any) -> Any:
        """Leave out the unknown fields that no answer would name: each would cost a fault."""
        known = cls.model_fields
        if not isinstance(value, dict) or len(value) <= len(known) + MOST_FAULTS:
            return value
        given: dict[str, Any] = value
        unknown = islice((name for name in given if name not in known), MOST_FAULTS + 1)
        return {name: given[name] for name in (*(given.keys() & known.keys()), *unknown)}

    def given(self) -> dict[str, Any]:
        """Return the fields that the client sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Query(BaseModel):
    """Base of all query strings: each parameter is one text. Frozen, since all requests without a
    query string share one."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """Refuse a window that ends before it begins. Raises Problem (400)."""
        since: datetime | None = getattr(self, "since", None)
        until: datetime | None = getattr(self, "until", None)
        if since is not None and until is not None and since > until:
            raise bad_parameter("from", "must not be later than to: swap them")
        return self


def _times_last(schema: dict[str, Any]) -> None:
    """Put the times of a row behind the fields of its own: pydantic begins with inherited ones."""
    for name in StoredItem.model_fields:
        schema["properties"][name] = schema["properties"].pop(name)
        schema["required"].remove(name)
        schema["required"].append(name)


class StoredItem(BaseModel):
    """Base of the answers about rows that can be deleted and restored."""

    model_config = ConfigDict(json_schema_extra=_times_last)

    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Behind the bounds of a whole number in a body: 5.0 is one as well, as JSON Schema has it."""


def _digits(value: object) -> object:
    """Refuse what Python reads as a number and nobody else: blanks, a plus, 1_000."""
    if isinstance(value, str) and re.fullmatch("-?[0-9]+", value) is None:
        raise ValueError("must be a whole number, in digits")
    return value


DIGITS = BeforeValidator(_digits)
"""Behind the bounds of a whole number in a query."""


def absent() -> Any:
    """Return the placeholder default of a field that may be left out of a PATCH but not be null."""
    return None


@dataclass(frozen=True, slots=True)
class IdOf:
    """The id of a thing of one kind, text outside, UUID inside: `Annotated[UUID, IdOf(kind)]`."""

    kind: Kind

    def read(self, value: object) -> UUID:
        """Return the id. Raises ValueError, with a text for whoever sent it."""
        try:
            return parse_id(self.kind.prefix, value if isinstance(value, str) else "")
        except IdError:
            raise ValueError(self._fault(value)) from None

    def _fault(self, value: object) -> str:
        prefix = self.kind.prefix
        wanted = f"must be the id of {self.kind.one}, like {prefix}_01jd8x0k2m4n6p8q0r2s4t6v8w"
        given = value.partition("_")[0] if isinstance(value, str) else ""
        other = next((kind for kind in KINDS.values() if kind.prefix == given != prefix), None)
        return wanted if other is None else f"{wanted}; {given}_ begins the id of {other.one}"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        prefix = self.kind.prefix
        return {
            "type": "string",
            "pattern": f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
            "maxLength": len(prefix) + 27,
            "examples": [prefix + "_01jd8x0k2m4n6p8q0r2s4t6v8w"],
        }


@dataclass(frozen=True, slots=True)
class IdsOf(IdOf):
    """Ids with commas, in a query: `Annotated[tuple[UUID, ...], IdsOf(kind)]`."""

    most: int = 100

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._read_all, handler(source))

    def _read_all(self, value: object) -> tuple[UUID, ...]:
        """Return the ids of a query's texts, which are one. Raises ValueError."""
        texts = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        ids = tuple(self.read(text) for text in texts.split(","))
        if len(ids) > self.most:
            raise ValueError(f"must be {self.most} ids at most, with commas")
        return ids

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        one = IdOf.__get_pydantic_json_schema__(self, schema, handler)
        pattern = one["pattern"].strip("^$")
        return one | {
            "pattern": f"^{pattern}(,{pattern}){{0,{self.most - 1}}}$",
            "maxLength": self.most * (one["maxLength"] + 1) - 1,
        }


def parts_of(field: FieldInfo) -> Iterator[Any]:
    """Yield everything that the type of a field is made of, `IdOf` and `list[...]` among them."""
    yield from field.metadata
    rest = [field.annotation]
    while rest:
        part = rest.pop()
        yield part
        rest += get_args(part)


def kind_in(field: FieldInfo) -> Kind | None:
    """Return the kind of the id, or of the ids, that a field holds; None where it holds none."""
    return next((part.kind for part in parts_of(field) if isinstance(part, IdOf)), None)


def shaped(pattern: str, says: str, code: LiteralString = "shape") -> AfterValidator:
    """Return what refuses a text that is not as `pattern` has it, and says so in words."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise PydanticCustomError(code, "{says}", {"says": says})
        return value

    return AfterValidator(check)


def read_time(value: object) -> datetime:
    """Return an RFC 3339 text as a UTC datetime. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("must be a time in RFC 3339, like 2026-01-01T00:00:00Z")
    try:
        return _EPOCH + timedelta(microseconds=parse_time_us(value))
    except TimeError as error:
        if _WITHOUT_PLUS.fullmatch(value):
            raise ValueError(f"{error}: write + in a URL as %2B, or send a time in UTC") from None
        raise
    except OverflowError:
        raise ValueError("is out of range") from None


def read_day(value: object) -> date:
    """Return a day as 2026-01-31. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("must be a day, like 2026-01-31")


def read_timezone(value: str) -> str:
    """Return the IANA name of a time zone. Raises PydanticCustomError."""
    if value not in _timezones():
        raise PydanticCustomError(
            "timezone", "must be the IANA name of a time zone, like Europe/Zurich"
        )
    return value


@cache
def _timezones() -> frozenset[str]:
    """Return all names, without those that say what this machine has."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def storable(value: str) -> str:
    """Refuse NUL in a text, which PostgreSQL does not keep."""
    if "\x00" in value:
        raise ValueError("must not contain the character U+0000")
    return value


# Signs that end a line or turn the direction of what follows, so a list shows something else than
# what is stored: C0, DEL, C1, U+2028 and U+2029, and those of bidirectional texts (Unicode
# Technical Report 36). Joiners and marks (U+200C to U+200F) are part of how words are written.
_UNSEEN = "\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069"
_UNSEEN_SIGN = re.compile(f"[{_UNSEEN}]")


def printable(value: str) -> str:
    """Refuse signs that nobody sees in a name, and that change how it looks."""
    match = _UNSEEN_SIGN.search(value)
    if match is not None:
        raise ValueError(f"must not contain the character U+{ord(match[0]):04X}, which is not seen")
    return value


OrganizationId = Annotated[UUID, IdOf(KINDS["organization"])]
AssetId = Annotated[UUID, IdOf(KINDS["asset"])]
AssetIds = Annotated[tuple[UUID, ...], IdsOf(KINDS["asset"])]
TrackerId = Annotated[UUID, IdOf(KINDS["tracker"])]
TrackerIds = Annotated[tuple[UUID, ...], IdsOf(KINDS["tracker"])]
ZoneId = Annotated[UUID, IdOf(KINDS["zone"])]
ZoneIds = Annotated[tuple[UUID, ...], IdsOf(KINDS["zone"])]
VisitId = Annotated[UUID, IdOf(KINDS["visit"])]
AlertId = Annotated[UUID, IdOf(KINDS["alert"])]
EventId = Annotated[UUID, IdOf(KINDS["event"])]
QuarantineId = Annotated[UUID, IdOf(KINDS["quarantine"])]
ApiKeyId = Annotated[UUID, IdOf(KINDS["api_key"])]
SignInId = Annotated[UUID, IdOf(KINDS["sign_in"])]
EndpointId = Annotated[UUID, IdOf(KINDS["webhook_endpoint"])]
DeliveryId = Annotated[UUID, IdOf(KINDS["webhook_delivery"])]
UserId = Annotated[UUID, IdOf(KINDS["user"])]
ClientId = Annotated[UUID, IdOf(KINDS["client"])]
ClientIds = Annotated[tuple[UUID, ...], IdsOf(KINDS["client"])]
SiteId = Annotated[UUID, IdOf(KINDS["site"])]
EmployeeId = Annotated[UUID, IdOf(KINDS["employee"])]
EmployeeIds = Annotated[tuple[UUID, ...], IdsOf(KINDS["employee"])]
ShiftId = Annotated[UUID, IdOf(KINDS["shift"])]
TimesheetId = Annotated[UUID, IdOf(KINDS["timesheet"])]
AdjustmentId = Annotated[UUID, IdOf(KINDS["adjustment"])]
QuoteId = Annotated[UUID, IdOf(KINDS["quote"])]
InspectionTemplateId = Annotated[UUID, IdOf(KINDS["inspection_template"])]
InspectionFormId = Annotated[UUID, IdOf(KINDS["inspection_form"])]
GatewayId = Annotated[UUID, IdOf(KINDS["gateway"])]
UnknownDeviceId = Annotated[UUID, IdOf(KINDS["unknown_device"])]
AttachmentId = Annotated[UUID, IdOf(KINDS["attachment"])]
PunchId = Annotated[UUID, IdOf(KINDS["punch"])]
PartId = Annotated[UUID, IdOf(KINDS["part"])]
WarehouseId = Annotated[UUID, IdOf(KINDS["warehouse"])]
InventoryId = Annotated[UUID, IdOf(KINDS["inventory"])]
StockMovementId = Annotated[UUID, IdOf(KINDS["stock_movement"])]
StockLotId = Annotated[UUID, IdOf(KINDS["stock_lot"])]
WorkOrderId = Annotated[UUID, IdOf(KINDS["work_order"])]
CommentId = Annotated[UUID, IdOf(KINDS["work_order_comment"])]
TransitionId = Annotated[UUID, IdOf(KINDS["work_order_transition"])]
CommandId = Annotated[UUID, IdOf(KINDS["command"])]
ReportScheduleId = Annotated[UUID, IdOf(KINDS["report_schedule"])]
JobId = Annotated[UUID, IdOf(KINDS["job"])]
FixId = Annotated[UUID, IdOf(KINDS["fix"])]

Time = Annotated[
    datetime, BeforeValidator(read_time), WithJsonSchema({"type": "string", "format": "date-time"})
]
_FIRST_PLANNED = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_PLANNED = datetime(9999, 1, 1, tzinfo=UTC)


def _in_calendars(value: datetime) -> datetime:
    if not _FIRST_PLANNED <= value < _END_OF_PLANNED:
        raise ValueError("must be a time from 1970 to 9998")
    return value


PlannedTime = Annotated[Time, AfterValidator(_in_calendars)]
"""A time of work, which documents show as it is in any time zone."""
_NAME = StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
_NAMED: dict[str, Any] = {"pattern": f"^[^{_UNSEEN}]*[^\\s{_UNSEEN}][^{_UNSEEN}]*$"}
# Not only blanks, and no NUL.
_PRINTED: dict[str, Any] = {"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
Name = Annotated[
    str,
    _NAME,
    AfterValidator(printable),
    Field(examples=["Truck 7"], json_schema_extra=_NAMED),
]
ExternalId = Annotated[
    str,
    _NAME,
    AfterValidator(printable),
    Field(examples=["A-7"], json_schema_extra=_NAMED),
]
_TAG = "^[a-z0-9._-]+$"
Tag = Annotated[
    str,
    StringConstraints(max_length=50),
    shaped(_TAG, "must be of small letters a to z, digits, '.', '_' and '-', like crane-7"),
    Field(examples=["crane"], json_schema_extra={"pattern": _TAG}),
]
Day = Annotated[
    date,
    BeforeValidator(read_day),
    WithJsonSchema(
        {"type": "string", "format": "date", "maxLength": 10, "examples": ["2027-06-30"]}
    ),
]
# Any text but a NUL.
_STORED: dict[str, Any] = {"pattern": r"^[^\u0000]*$"}
NamePrefix = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(storable),
    Field(
        description="the first letters of the name, whatever their case",
        examples=["tr"],
        json_schema_extra=_STORED,
    ),
]
# As mail servers take it without SMTPUTF8; a domain of other letters is written as xn--...
_EMAIL = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+$"
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254),
    shaped(_EMAIL, "must be an email address, like office@example.com", "email"),
    Field(examples=["office@example.com"], json_schema_extra={"pattern": _EMAIL}),
]
_PHONE = r"^[+0-9][0-9 ()./-]*$"
Phone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50),
    shaped(_PHONE, "must be a phone number, like +41 44 123 45 67"),
    Field(examples=["+41 44 123 45 67"], json_schema_extra={"pattern": _PHONE}),
]
_CURRENCY = "^[A-Z]{3}$"
Currency = Annotated[
    str,
    StringConstraints(max_length=3),
    shaped(_CURRENCY, "must be a currency of ISO 4217, like CHF"),
    Field(examples=["CHF"], json_schema_extra={"pattern": _CURRENCY}),
]
Address = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(storable),
    Field(examples=["Hafenstrasse 1, 8000 Zurich"], json_schema_extra=_PRINTED),
]
Notes = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000),
    AfterValidator(storable),
    Field(examples=["The gate is on the north side."], json_schema_extra=_PRINTED),
]
Tags = Annotated[list[Tag], Field(max_length=50)]

# As it is typed when signing in: whatever it is, it is only compared.
SignInEmail = Annotated[str, Field(min_length=3, max_length=254, examples=["boss@example.com"])]
_NO_PART_OF_AN_ADDRESS = r'\s@<>,;:"()\[\]\\\x00-\x1f\x7f-\x9f'
_USER_EMAIL = f"^[^{_NO_PART_OF_AN_ADDRESS}]+@[^{_NO_PART_OF_AN_ADDRESS}]+$"
UserEmail = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        min_length=3,
        max_length=254,
    ),
    shaped(_USER_EMAIL, "must be one email address, like anna@example.com", "email"),
    Field(examples=["anna@example.com"], json_schema_extra={"pattern": _USER_EMAIL}),
]

_MOST_TAGS = 100


def _apart(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


AnyTags = Annotated[
    list[Tag],
    BeforeValidator(_apart),
    Field(max_length=_MOST_TAGS),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^[a-z0-9._-]{{1,50}}(,[a-z0-9._-]{{1,50}}){{0,{_MOST_TAGS - 1}}}$",
            "maxLength": _MOST_TAGS * 51 - 1,
            "examples": ["crane,rented"],
        }
    ),
]
"""Of a query: any of several, with commas between them."""

# JSON numbers are exact up to here.
Count = Annotated[int, Field(ge=0, le=2**53 - 1, examples=[1])]
TimeZone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(read_timezone),
    Field(examples=["Europe/Zurich"]),
]
Latitude = Annotated[float, Field(ge=-90, le=90, examples=[47.0502])]
Longitude = Annotated[float, Field(ge=-180, le=180, examples=[8.3093])]


def text(max_length: int, example: str, pattern: str = r"^[^\u0000]*$") -> FieldInfo:
    """Describe a text of an answer: `Annotated[str, fields.text(100, "like this")]`."""
    return Field(max_length=max_length, examples=[example], json_schema_extra={"pattern": pattern})
