"""Webhook endpoints as the API keeps them. The secret is stored sealed (`db.core.secrets`)."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.table import Table


class WebhookEndpoint(NamedTuple):
    """One row without its secret."""

    id: UUID
    url: str
    types: list[str]
    description: str | None
    created_at: datetime
    deleted_at: datetime | None = None


webhook_endpoints = Table(
    "webhook_endpoints",
    WebhookEndpoint,
    fixed=["url", "types", "description"],
    has_row_count=True,
)
