"""Gateways: servers that forward the positions of many devices.

Their secrets are kept as those of trackers are: by hashes alone (`db.resources.trackers`).
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from db.core.listing import Conditions
from db.core.table import Table


class Gateway(NamedTuple):
    """One row, without what its secret is known by. mapping: of kind `generic`, a
    `telemetry.formats.gateways.generic.Mapping`. auto_register: ids with * and ?.
    """

    id: UUID
    name: str
    kind: str
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    mapping: dict[str, Any] | None = None
    auto_register: str | None = None


def _revoked(conditions: Conditions, revoked: bool) -> None:
    conditions.add_null("revoked_at", null=not revoked)


gateways = Table(
    "gateways", Gateway, jsonb=["mapping"], filters={"revoked": _revoked}, has_row_count=True
)
