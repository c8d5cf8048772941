"""`data` of events of webhook endpoints."""

from typing import Annotated

from msgspec import Meta, Struct

from geofence.event_data.fields import id_field, time_field, word_field

ENDPOINT_DISABLED = "webhook_endpoint.disabled"


class DisabledEndpoint(Struct):
    """The system has disabled a webhook endpoint. The URL is not told: it may hold a secret."""

    endpoint_id: Annotated[str, id_field("whe", "the endpoint")]
    description: (
        Annotated[
            str,
            Meta(description="its own; null: none", max_length=500, examples=["to the ERP"]),
        ]
        | None
    )
    reason: Annotated[
        str,
        word_field(
            "`failures`: it has accepted nothing for days; `gone`: it answered 410; `backlog`: too"
            " many deliveries wait for it",
            ["failures", "gone", "backlog"],
            "failures",
        ),
    ]
    disabled_at: Annotated[str, time_field("when it was disabled", "2026-03-06T12:00:00Z")]
    failing_since: (
        Annotated[str, time_field("of the first failure since it accepted", "2026-03-01T12:00:00Z")]
        | None
    )
