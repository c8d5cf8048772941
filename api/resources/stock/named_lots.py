"""The lot or the serials that a movement names, in bodies."""

from typing import Annotated

from pydantic import BaseModel, Field

from api.http import fields
from operations.stock import MAX_SERIALS, NamedLots

LotName = Annotated[fields.Name, Field(max_length=60, examples=["L-2026-11"])]
SerialName = Annotated[fields.Name, Field(max_length=60, examples=["SN-1001"])]
Serials = Annotated[list[SerialName], Field(min_length=1, max_length=MAX_SERIALS)]


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
