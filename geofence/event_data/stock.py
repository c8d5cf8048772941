"""`data` of events of stock."""

from typing import Annotated

from msgspec import Meta, Struct

from geofence.event_data.fields import id_field, name_field

STOCK_LOW = "stock.low"


def _quantity(description: str, example: float) -> Meta:
    return Meta(description=description, ge=0, le=1e9, examples=[example])


class LowStock(Struct):
    """A part in a warehouse has fallen to its reorder point."""

    inventory_id: Annotated[str, id_field("inv", "the stock record")]
    part_id: Annotated[str, id_field("prt", "the part")]
    part_number: Annotated[str, name_field("its number", "OF-2210")]
    part_name: Annotated[str, name_field("its name", "Oil filter")]
    unit: Annotated[
        str, Meta(description="what a quantity of 1 is", max_length=20, examples=["piece"])
    ]
    warehouse_id: Annotated[str, id_field("whs", "the warehouse")]
    warehouse_name: Annotated[str, name_field("its name", "Main store")]
    on_hand: Annotated[float, _quantity("there after the movement", 6.0)]
    reserved: Annotated[float, _quantity("of it, reserved", 2.0)]
    available: Annotated[float, _quantity("on hand and not reserved", 4.0)]
    reorder_point: Annotated[float, _quantity("of the stock record", 4.0)]
    reorder_quantity: Annotated[float, _quantity("how much to order; null: not set", 20.0)] | None
