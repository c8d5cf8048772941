"""Gateways: servers that forward the positions of many devices.

Their secrets are kept as those of trackers are: by hashes alone (`db.resources.trackers`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.listing import Conditions
from db.core.table import Table


class Gateway(NamedTuple):
    """One row, without what its secret is known by."""

    id: UUID
    name: str
    kind: str
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime


gateways = Table("gateways", Gateway)


@dataclass(frozen=True, slots=True)
class GatewayFilter:
    """A filter of gateways. revoked: only revoked ones, or only the others. revoked: only those
    that are, or only those that are not.
    """

    kind: str | None = None
    revoked: bool | None = None

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_equal(kind=self.kind)
        conditions.add_null("revoked_at", null=None if self.revoked is None else not self.revoked)
        return conditions
