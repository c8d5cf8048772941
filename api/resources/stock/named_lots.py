"""The lot or the serials that a movement names, in bodies."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from api.http import fields
from db.core.connect import Connection
from db.stock.lots import expired
from operations.stock import MAX_SERIALS, NamedLots

LotName = Annotated[fields.Name, Field(max_length=60, examples=["L-2026-11"])]
SerialName = Annotated[fields.Name, Field(max_length=60, examples=["SN-1001"])]
Serials = Annotated[list[SerialName], Field(min_length=1, max_length=MAX_SERIALS)]


ExpiredLots = Annotated[
    list[SerialName] | None,
    Field(
        max_length=MAX_SERIALS,
        description="in the answer to a movement that names lots or serials: those that are"
        " expired. Nothing is refused",
    ),
]


class LotFields(BaseModel):
    """The lot or the serials in a body: of a tracked part a movement names them."""

    lot: LotName | None = Field(
        default=None, description="of a part that is tracked by lots", examples=[None]
    )
    serials: Serials | None = Field(
        default=None,
        description="of a part that is tracked by serials, one for each piece",
        examples=[None],
    )

    def named_lots(self) -> NamedLots:
        """Return them for the rules."""
        return NamedLots(self.lot, self.serials)


async def expired_once(
    conn: Connection, part_id: UUID, warehouse_id: UUID, named: NamedLots
) -> dict[str, list[str]] | None:
    """Return what the answer to a movement alone shows: which of the lots or serials that it named
    are expired. None where it named none.
    """
    if not named.names:
        return None
    return {"expired_lots": await expired(conn, part_id, warehouse_id, named.names)}
