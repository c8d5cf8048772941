"""Types of fields with their bounds and examples, for what comes in and what goes out.

What comes in is checked by them before any handler sees it. In answers they say to clients what may
come; nothing is checked there.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo

from api.http.problems import MOST_FAULTS, bad_parameter
from telemetry.ids import IdError, parse_id
from telemetry.times import TimeError, parse_time_us

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A time whose offset has lost its plus: in a URL a plus stands for a blank.
_WITHOUT_PLUS = re.compile(r".*[Tt ]\d\d:\d\d\S* \d\d(:?\d\d)?")
_KINDS = {
    "org": "an organization",
    "ast": "an asset",
    "trk": "a tracker",
    "zon": "a zone",
    "vis": "a visit",
    "evt": "an event",
    "qua": "a message in quarantine",
    "key": "an API key",
    "sgn": "a sign-in",
    "whe": "a webhook endpoint",
    "usr": "a user",
    "cli": "a client",
    "sit": "a site",
    "emp": "an employee",
    "gtw": "a gateway",
    "att": "an attachment",
    "fix": "a GPS event",
}


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


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Behind the bounds of a whole number in a body: 5.0 is one as well, as JSON Schema has it."""


def absent() -> Any:
    """Return the placeholder default of a field that may be left out of a PATCH but not be null."""
    return None


def _id_reader(prefix: str) -> Callable[[object], UUID]:
    def read(value: object) -> UUID:
        try:
            return parse_id(prefix, value if isinstance(value, str) else "")
        except IdError:
            raise ValueError(_not_an_id(prefix, value)) from None

    return read


def _not_an_id(prefix: str, value: object) -> str:
    wanted = f"must be the id of {_KINDS[prefix]}, like {prefix}_01jd8x0k2m4n6p8q0r2s4t6v8w"
    given = value.partition("_")[0] if isinstance(value, str) else ""
    if given in _KINDS and given != prefix:
        return f"{wanted}; {given}_ begins the id of {_KINDS[given]}"
    return wanted


def shaped(pattern: str, says: str) -> AfterValidator:
    """Return what refuses a text that is not as `pattern` has it, and says so in words."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(says)
        return value

    return AfterValidator(check)


def _id_schema(prefix: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
            "maxLength": len(prefix) + 27,
            "examples": [prefix + "_01jd8x0k2m4n6p8q0r2s4t6v8w"],
        }
    )


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


def storable(value: str) -> str:
    """Refuse NUL in a text, which PostgreSQL does not keep."""
    if "\x00" in value:
        raise ValueError("must not contain the character U+0000")
    return value


def storable_if_given(value: str | None) -> str | None:
    """Check a text as `storable` does; None stays None."""
    return None if value is None else storable(value)


OrganizationId = Annotated[UUID, BeforeValidator(_id_reader("org")), _id_schema("org")]
AssetId = Annotated[UUID, BeforeValidator(_id_reader("ast")), _id_schema("ast")]
TrackerId = Annotated[UUID, BeforeValidator(_id_reader("trk")), _id_schema("trk")]
ZoneId = Annotated[UUID, BeforeValidator(_id_reader("zon")), _id_schema("zon")]
VisitId = Annotated[UUID, BeforeValidator(_id_reader("vis")), _id_schema("vis")]
EventId = Annotated[UUID, BeforeValidator(_id_reader("evt")), _id_schema("evt")]
QuarantineId = Annotated[UUID, BeforeValidator(_id_reader("qua")), _id_schema("qua")]
ApiKeyId = Annotated[UUID, BeforeValidator(_id_reader("key")), _id_schema("key")]
SignInId = Annotated[UUID, BeforeValidator(_id_reader("sgn")), _id_schema("sgn")]
EndpointId = Annotated[UUID, BeforeValidator(_id_reader("whe")), _id_schema("whe")]
UserId = Annotated[UUID, BeforeValidator(_id_reader("usr")), _id_schema("usr")]
ClientId = Annotated[UUID, BeforeValidator(_id_reader("cli")), _id_schema("cli")]
SiteId = Annotated[UUID, BeforeValidator(_id_reader("sit")), _id_schema("sit")]
EmployeeId = Annotated[UUID, BeforeValidator(_id_reader("emp")), _id_schema("emp")]
GatewayId = Annotated[UUID, BeforeValidator(_id_reader("gtw")), _id_schema("gtw")]
AttachmentId = Annotated[UUID, BeforeValidator(_id_reader("att")), _id_schema("att")]

# Read only.
FixId = Annotated[UUID, BeforeValidator(_id_reader("fix")), _id_schema("fix")]

Time = Annotated[
    datetime, BeforeValidator(read_time), WithJsonSchema({"type": "string", "format": "date-time"})
]
_NAME = StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
# Not only blanks, and no NUL.
_PRINTED: dict[str, Any] = {"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
Name = Annotated[
    str,
    _NAME,
    AfterValidator(storable),
    Field(examples=["Truck 7"], json_schema_extra=_PRINTED),
]
ExternalId = Annotated[
    str,
    _NAME,
    AfterValidator(storable),
    Field(examples=["A-7"], json_schema_extra=_PRINTED),
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
_EMAIL = r"^[^@\s\x00]+@[^@\s\x00]+$"
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254),
    shaped(_EMAIL, "must be an email address, like office@example.com"),
    Field(examples=["office@example.com"], json_schema_extra={"pattern": _EMAIL}),
]
_PHONE = r"^[+0-9][0-9 ()./-]*$"
Phone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50),
    shaped(_PHONE, "must be a phone number, like +41 44 123 45 67"),
    Field(examples=["+41 44 123 45 67"], json_schema_extra={"pattern": _PHONE}),
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
_NO_PART_OF_AN_ADDRESS = r'\s@<>,;:"()\[\]\\\x00-\x1f\x7f'
_USER_EMAIL = f"^[^{_NO_PART_OF_AN_ADDRESS}]+@[^{_NO_PART_OF_AN_ADDRESS}]+$"
UserEmail = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        min_length=3,
        max_length=254,
    ),
    shaped(_USER_EMAIL, "must be one email address, like anna@example.com"),
    Field(examples=["anna@example.com"], json_schema_extra={"pattern": _USER_EMAIL}),
]

# JSON numbers are exact up to here.
Count = Annotated[int, Field(ge=0, le=2**53 - 1, examples=[1])]
Latitude = Annotated[float, Field(ge=-90, le=90, examples=[47.0502])]
Longitude = Annotated[float, Field(ge=-180, le=180, examples=[8.3093])]


def text(max_length: int, example: str, pattern: str = r"^[^\u0000]*$") -> FieldInfo:
    """Describe a text of an answer: `Annotated[str, fields.text(100, "like this")]`."""
    return Field(max_length=max_length, examples=[example], json_schema_extra={"pattern": pattern})
