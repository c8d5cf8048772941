"""Webhook endpoints as the API keeps them. Secrets are stored sealed (`db.core.secrets`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.table import Table


class WebhookEndpoint(NamedTuple):
    """One row without its secrets.

    The lists of ids and tags are filters, and empty where all events pass. failing_since: when the
    first attempt failed since one was accepted.
    """

    id: UUID
    url: str
    types: list[str]
    description: str | None
    state: str
    disabled_reason: str | None
    disabled_at: datetime | None
    failing_since: datetime | None
    payload: str
    is_ordered: bool
    asset_ids: Sequence[UUID]
    zone_ids: Sequence[UUID]
    client_ids: Sequence[UUID]
    tags: Sequence[str]
    header_names: Sequence[str]
    previous_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


webhook_endpoints = Table(
    "webhook_endpoints",
    WebhookEndpoint,
    computed={
        "failing_since": "(SELECT failing_since FROM webhook_failures AS known"
        " WHERE known.endpoint_id = webhook_endpoints.id)"
    },
    fixed=["previous_secret_until"],
    has_row_count=True,
)


async def rotate(
    conn: Connection, endpoint_id: UUID, sealed: bytes, previous_until: datetime | None
) -> None:
    """Replace the secret. previous_until: until then the one of before is good, too."""
    await conn.execute(
        """
        UPDATE webhook_endpoints
           SET previous_secret_encrypted =
                   CASE WHEN %(until)s::timestamptz IS NOT NULL THEN secret_encrypted END,
               previous_secret_until = %(until)s, secret_encrypted = %(sealed)s,
               updated_at = clock_timestamp()
         WHERE id = %(id)s
        """,
        {"until": previous_until, "sealed": sealed, "id": endpoint_id},
    )


async def forget_failures(conn: Connection, endpoint_id: UUID) -> None:
    """Forget since when an endpoint fails: it is enabled again, and gets as long as any other."""
    await conn.execute("DELETE FROM webhook_failures WHERE endpoint_id = %s", (endpoint_id,))
