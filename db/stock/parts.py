"""Parts: what the organization keeps in stock, and the machines that it fits."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions
from db.core.table import Table
from operations.stock import PartTracking
from operations.work_orders.states import OPEN


class PartRow(NamedTuple):
    """One row.

    number: unique in the organization. unit: what a quantity of 1 is. tracking: what movements
    name. fits: objects with make and model, or asset_id.
    """

    id: UUID
    number: str
    name: str
    unit: str
    unit_cost_cents: int | None
    currency: str
    tracking: PartTracking
    fits: Sequence[Mapping[str, str | None]]
    notes: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def fits_model(conditions: Conditions, model: str, part_id: LiteralString = "parts.id") -> None:
    """Add parts that fit machines of the model, or a machine that is of it. part_id: the column."""
    fitting: LiteralString = """
        (SELECT part_id FROM part_fits WHERE model = %(model)s UNION ALL
            SELECT part_id FROM part_fits JOIN assets
                ON assets.org_id = part_fits.org_id AND assets.id = part_fits.asset_id
             WHERE assets.model = %(model)s)
        """
    conditions.add(part_id + " IN" + fitting, model=model)


def fits_asset(conditions: Conditions, asset_id: UUID, part_id: LiteralString = "parts.id") -> None:
    """Add parts that fit the machine, by itself or by its make and model. part_id: the column."""
    fitting: LiteralString = """
        (SELECT part_id FROM part_fits WHERE asset_id = %(asset_id)s UNION ALL
            SELECT part_id FROM assets JOIN part_fits
                ON part_fits.org_id = assets.org_id AND part_fits.model = assets.model
               AND (part_fits.make IS NULL OR part_fits.make = assets.make)
             WHERE assets.id = %(asset_id)s)
        """
    conditions.add(part_id + " IN" + fitting, asset_id=asset_id)


parts = Table(
    "parts",
    PartRow,
    jsonb=["fits"],
    fixed=["currency"],
    filters={"asset_model": fits_model, "asset_id": fits_asset},
    has_row_count=True,
)


async def was_moved(conn: Connection, part_id: UUID) -> bool:
    """Return whether the ledger of stock has the part."""
    return await value_of(
        conn, "SELECT EXISTS (SELECT FROM stock_movements WHERE part_id = %s)", (part_id,)
    )


async def is_planned_in_fractions(conn: Connection, part_id: UUID) -> bool:
    """Return whether a work order that has not ended plans a fraction of the part."""
    return await value_of(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM work_order_parts AS planned JOIN work_orders AS job
                ON job.org_id = planned.org_id AND job.id = planned.work_order_id
             WHERE planned.part_id = %s AND planned.planned_milli > planned.used_milli
               AND planned.planned_milli %% 1000 <> 0 AND job.deleted_at IS NULL
               AND job.state = ANY (%s))
        """,
        (part_id, list(OPEN)),
    )


async def serial_parts(conn: Connection, part_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the parts that are tracked by serials."""
    if not part_ids:
        return set()
    cursor = await conn.execute(
        "SELECT id FROM parts WHERE id = ANY (%s) AND tracking = 'serial'", (list(part_ids),)
    )
    return {part_id for (part_id,) in await cursor.fetchall()}
