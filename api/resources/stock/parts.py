"""Parts: what the organization keeps in stock, and the machines that it fits.

Deleting and restoring are as those of clients. A part that is in stock, or that a
work order plans which has not ended, cannot be deleted.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Path
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, ok
from api.http.problems import conflict
from api.request.access import Dispatcher
from api.request.paging import SortedByNameQuery
from api.request.plain_resource import plain_routes
from api.request.references import check_references
from api.request.resource import Resource, item_of
from api.resources.stock.quantities import Cents
from api.resources.stock.turns import stock_turns
from db.core.connect import Connection
from db.stock import parts as table
from db.stock.in_use import is_part_in_use
from db.stock.parts import PartRow
from operations.stock import PartTracking

_PartPath = Annotated[fields.PartId, Path(alias="id")]
_MAX_FITS = 100
_Name = Annotated[fields.Name, Field(examples=["Oil filter"])]
_Number = Annotated[fields.Name, Field(examples=["OF-2210"])]
_Unit = Annotated[fields.Name, Field(max_length=20, examples=["piece"])]
_Tracking = Annotated[
    PartTracking,
    Field(
        description="what each movement names: nothing, a lot, or a serial for each piece; changes"
        " only while none is in stock"
    ),
]
_Make = Annotated[fields.Name, Field(examples=["Liebherr"])]
_Model = Annotated[fields.Name, Field(examples=["LTM 1090"])]


class PartFit(fields.Body):
    """Machines that a part fits: those of a model, or one asset."""

    make: _Make | None = Field(default=None, description="null: of any make")
    model: _Model | None = None
    asset_id: fields.AssetId | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "PartFit":
        if (self.model is None) == (self.asset_id is None):
            raise ValueError("needs a model, with or without a make, or an asset_id")
        if self.asset_id is not None and self.make is not None:
            raise ValueError("must not have a make beside an asset_id")
        return self


class PartFitItem(BaseModel):
    """Machines that a part fits: those of a model, or one asset."""

    make: _Make | None
    model: _Model | None
    asset_id: fields.AssetId | None


_Fits = Annotated[list[PartFit], Field(max_length=_MAX_FITS)]
_FITS: list[Any] = [[{"make": "Liebherr", "model": "LTM 1090"}]]


class PartItem(fields.StoredItem):
    """A part."""

    id: fields.PartId
    number: _Number = Field(description="unique in the organization")
    name: _Name
    unit: _Unit = Field(description="what a quantity of 1 is")
    unit_cost_cents: Cents | None = Field(
        description="of a purchase, as a rule, in minor units of the currency; null for viewers and"
        " technicians"
    )
    currency: fields.Currency = Field(description="of all costs of the part; it stays")
    tracking: _Tracking
    fits: Annotated[list[PartFitItem], Field(max_length=_MAX_FITS)]
    notes: fields.Notes | None


class PartBody(fields.Body):
    """The fields of a part that change."""

    number: _Number
    name: _Name
    unit: _Unit = "piece"
    unit_cost_cents: Cents | None = None
    tracking: _Tracking = "none"
    fits: _Fits = Field(default_factory=list, examples=_FITS)
    notes: fields.Notes | None = None


class NewPart(PartBody):
    """A new part."""

    currency: fields.Currency = "EUR"


class PartChange(PartBody):
    """The fields to change. `fits` is given as a whole."""

    number: _Number = Field(default_factory=fields.absent)
    name: _Name = Field(default_factory=fields.absent)
    unit: _Unit = Field(default_factory=fields.absent)
    tracking: _Tracking = Field(default_factory=fields.absent)
    fits: _Fits = Field(default_factory=fields.absent, examples=_FITS)


class PartQuery(SortedByNameQuery):
    """The filters of parts."""

    number: _Number | None = None
    asset_model: _Model | None = None
    asset_id: Annotated[
        fields.AssetId | None,
        Field(description="parts that fit this machine, by itself or by its make and model"),
    ] = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(given)
    if "fits" in given:
        fits: list[PartFit] = given["fits"]
        columns["fits"] = [
            {
                "make": each.make,
                "model": each.model,
                "asset_id": None if each.asset_id is None else str(each.asset_id),
            }
            for each in fits
        ]
    return columns


def _fits(part: PartRow) -> list[dict[str, str | None]]:
    return [
        {
            "make": each["make"],
            "model": each["model"],
            "asset_id": None if (text := each["asset_id"]) is None else id_text("ast", UUID(text)),
        }
        for each in part.fits
    ]


def _without_cost(part: PartRow) -> dict[str, Any]:
    return _item(part._replace(unit_cost_cents=None))


_item = item_of(PartItem, fits=_fits)
_parts = Resource(
    table.parts,
    _item,
    item_for=lambda access: _item if access.sees_all else _without_cost,
    columns=_columns,
    is_in_use=is_part_in_use,
    in_use="The part is in stock, or planned for a work order that has not ended.",
)
router = plain_routes(
    _parts,
    PartItem,
    PartQuery,
    new=NewPart,
    delete="Delete a part that is not in stock, and that no work order plans. It can be restored.",
    restore="Restore a deleted part.",
)


@router.patch("/{id}", operation_id="updatePart", response_model=PartItem)
async def update_part(
    access: Dispatcher, part_id: _PartPath, body: Annotated[PartChange, Body()]
) -> Response:
    """Change the fields that are given. The unit of a part that was moved stays."""
    moving = [part_id] if "tracking" in body.given() else []
    async with stock_turns(access, moving), _parts.locked(access, part_id) as (conn, row):
        await check_references(conn, body)
        changed = row._replace(**_columns(body.given()))
        if changed.unit != row.unit and await table.was_moved(conn, part_id):
            detail = "The part was moved in stock already: make another part for another unit."
            raise conflict("unit_in_use", detail, pointer="/unit")
        if changed.tracking == "serial" != row.tracking:
            await _check_planned_whole(conn, part_id)
        if changed != row:
            changed = await _parts.write(conn, changed)
    return ok(_parts.item_for(access)(changed))


async def _check_planned_whole(conn: Connection, part_id: UUID) -> None:
    """Raise Problem (409) where a fraction of a part is planned."""
    if await table.is_planned_in_fractions(conn, part_id):
        detail = "A work order that has not ended plans a fraction of the part: plan whole ones"
        raise conflict("in_use", f"{detail} first.", pointer="/tracking")
