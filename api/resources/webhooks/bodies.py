"""Bodies and answers of webhook endpoints."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from api.http import fields
from api.http.problems import bad_field
from api.openapi.event_types import KnownType, StoredPatterns, TypePatterns
from api.request.resource import item_of
from db.delivery.webhook_headers import (
    HEADER_NAME,
    HEADER_VALUE,
    HEADERS_MAX,
    VALUE_LENGTH_MAX,
    WebhookHeaderError,
    check_webhook_headers,
)
from db.delivery.webhook_urls import (
    URL_LENGTH_MAX,
    WebhookUrlError,
    check_webhook_url,
    webhook_origin,
)
from db.resources.webhook_endpoints import WebhookEndpoint

SECRET_BYTES = 32
_HIDDEN = "***"  # in the place of a value that is not shown
_FILTERED = 100

State: TypeAlias = Literal["active", "disabled"]
Payload: TypeAlias = Literal["full", "thin"]
_Assets = Annotated[list[fields.AssetId], Field(max_length=_FILTERED)]
_Zones = Annotated[list[fields.ZoneId], Field(max_length=_FILTERED)]
_Clients = Annotated[list[fields.ClientId], Field(max_length=_FILTERED)]
_OF_FILTER = "only events of one of these; none: all events"
_OF_TAGS = "only events of assets that have one of these tags just then; none: all events"
_OF_ORDER = "one event after the other, by seq: the next one waits until this one is accepted"
_OF_PAYLOAD = "thin: `data` has only its ids"
_Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=URL_LENGTH_MAX),
    AfterValidator(fields.storable),
    Field(examples=["https://hooks.example.com/ops"], json_schema_extra={"format": "uri"}),
]
_Description = Annotated[str, AfterValidator(fields.storable), fields.text(500, "to the ERP")]
_Headers = Annotated[
    dict[str, Annotated[str, Field(max_length=VALUE_LENGTH_MAX)]],
    Field(
        max_length=HEADERS_MAX,
        description="sent with each request; the values are never shown again",
        examples=[{"x-api-key": "a secret of the receiver"}],
        json_schema_extra={
            "propertyNames": {"pattern": HEADER_NAME},
            "additionalProperties": {
                "type": "string",
                "pattern": HEADER_VALUE,
                "maxLength": VALUE_LENGTH_MAX,
                "examples": ["a secret of the receiver"],
            },
        },
    ),
]


class EndpointItem(fields.StoredItem):
    """An endpoint."""

    id: fields.EndpointId
    url: Annotated[str, fields.text(URL_LENGTH_MAX, "https://hooks.example.com/ops")] = Field(
        description="whole for who may change it; for others *** stands for its path and query"
    )
    types: StoredPatterns
    description: Annotated[str, fields.text(500, "to the ERP")] | None
    state: State
    disabled_reason: Literal["user", "failures", "gone", "backlog"] | None = Field(
        description="failures: nothing was accepted for days; gone: it answered 410; backlog: too"
        " many deliveries waited for it"
    )
    disabled_at: datetime | None
    failing_since: datetime | None = Field(
        description="when the first attempt failed since one was accepted, or after a pause of"
        " 36 hours; null: the last was accepted"
    )
    payload: Payload = Field(description=_OF_PAYLOAD)
    ordered: bool = Field(description=_OF_ORDER)
    asset_ids: _Assets = Field(description=_OF_FILTER)
    zone_ids: _Zones = Field(description=_OF_FILTER)
    client_ids: _Clients = Field(description=_OF_FILTER)
    tags: fields.Tags = Field(description=_OF_TAGS)
    headers: dict[str, Annotated[str, fields.text(3, _HIDDEN)]] = Field(
        description="the names of the headers that are added, each with *** as its value",
        max_length=HEADERS_MAX,
        examples=[{"x-api-key": _HIDDEN}],
    )
    previous_secret_until: datetime | None = Field(
        description="until then the secret from before the last rotation signs, too"
    )


class NewEndpointItem(EndpointItem):
    """An endpoint with the secret that signs what it gets: shown this once."""

    secret: str = Field(
        description="whsec_ and base64",
        pattern="^whsec_[A-Za-z0-9+/=]+$",
        max_length=100,
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwq3J0p8xkq2A="],
    )


class NewEndpoint(fields.Body):
    """A new endpoint."""

    url: _Url
    types: TypePatterns
    description: _Description | None = None
    payload: Payload = Field(default="full", description=_OF_PAYLOAD)
    ordered: bool = Field(default=False, description=_OF_ORDER)
    asset_ids: _Assets = Field(default_factory=list, description=_OF_FILTER)
    zone_ids: _Zones = Field(default_factory=list, description=_OF_FILTER)
    client_ids: _Clients = Field(default_factory=list, description=_OF_FILTER)
    tags: fields.Tags = Field(default_factory=list, description=_OF_TAGS)
    headers: _Headers = Field(default_factory=dict)


class EndpointChange(fields.Body):
    """The fields to change. `headers` and each filter replace what there was. Where `url` gets
    another origin and there are headers, `headers` must be given, too.
    """

    url: _Url = Field(default_factory=fields.absent)
    types: TypePatterns = Field(default_factory=fields.absent)
    description: _Description | None = None
    state: State = Field(
        default_factory=fields.absent, description="active: also after the system disabled it"
    )
    payload: Payload = Field(default_factory=fields.absent, description=_OF_PAYLOAD)
    ordered: bool = Field(default_factory=fields.absent, description=_OF_ORDER)
    asset_ids: _Assets = Field(default_factory=fields.absent, description=_OF_FILTER)
    zone_ids: _Zones = Field(default_factory=fields.absent, description=_OF_FILTER)
    client_ids: _Clients = Field(default_factory=fields.absent, description=_OF_FILTER)
    tags: fields.Tags = Field(default_factory=fields.absent, description=_OF_TAGS)
    headers: _Headers = Field(default_factory=fields.absent)


class SecretRotation(fields.Body):
    """The time for which the secret from before signs, too."""

    expires_previous_in_s: Annotated[
        int, Field(ge=0, le=604_800, description="0: not at all"), fields.WHOLE
    ] = 86_400
    overlap_hours: Annotated[int, Field(ge=0, le=168), fields.WHOLE] = Field(
        default_factory=fields.absent,
        description="read until 1.0, where `expires_previous_in_s` is left out",
        json_schema_extra={"deprecated": True},
    )

    @property
    def overlap(self) -> timedelta:
        """The time in which both secrets sign."""
        if self.model_fields_set == {"overlap_hours"}:
            return timedelta(hours=self.overlap_hours)
        return timedelta(seconds=self.expires_previous_in_s)


class Recovery(fields.Body):
    """The failed deliveries to send again: those made in [since, until)."""

    since: fields.Time
    until: fields.Time | None = None
    confirm: bool = Field(
        default=False, description="false: only say how many there are, and send nothing"
    )


class RecoveryItem(BaseModel):
    """The failed deliveries that were found and put back."""

    failed: fields.Count = Field(description="found, up to 1,000,000", examples=[120])
    recovered: fields.Count = Field(
        description="put back: up to 10,000 a request, the oldest first; ask again for more",
        examples=[120],
    )


class EndpointTest(fields.Body):
    """The type whose example is sent."""

    type: KnownType


endpoint_item = item_of(
    EndpointItem,
    headers=lambda row: dict.fromkeys(row.header_names, _HIDDEN),
    ordered=lambda row: row.is_ordered,
)


def masked_endpoint_item(row: WebhookEndpoint) -> dict[str, Any]:
    """Return the JSON of an endpoint for who may not change it: path and query of its URL may be a
    secret of the receiver.
    """
    parts = urlsplit(row.url)
    return endpoint_item(row) | {"url": f"{parts.scheme}://{parts.netloc}/{_HIDDEN}"}


def columns_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the given fields of a body; `headers` are sealed elsewhere."""
    columns = dict(given)
    if "ordered" in columns:
        columns["is_ordered"] = columns.pop("ordered")
    headers = columns.pop("headers", None)
    if headers is not None:
        columns["header_names"] = sorted(headers)
    return columns


def check_url(url: str | None, *, allow_loopback: bool) -> None:
    """Raise Problem (422) for a URL that may not be called. None: none is given."""
    if url is None:
        return
    try:
        check_webhook_url(url, allow_loopback=allow_loopback)
    except WebhookUrlError as error:
        raise bad_field("/url", f"{error}.") from None


def check_headers_stay(endpoint: WebhookEndpoint, url: str | None, *, are_given: bool) -> None:
    """Raise Problem (422) where hidden values of headers would go to another origin: whoever may
    change a URL must not learn them. url: the new one; None: it stays.
    """
    if url is None or are_given or not endpoint.header_names:
        return
    if webhook_origin(url) != webhook_origin(endpoint.url):
        raise bad_field(
            "/headers",
            "The new URL has another origin: give all headers with their values again, or {} for"
            " none.",
        )


def checked_headers(headers: dict[str, str] | None) -> dict[str, str] | None:
    """Return the headers with names in lower case. Raises Problem (422). None: none are given."""
    if headers is None:
        return None
    try:
        return check_webhook_headers(headers)
    except WebhookHeaderError as error:
        name = error.name.replace("~", "~0").replace("/", "~1")
        raise bad_field(f"/headers/{name}", f"{error}.") from None
