"""``opsc verify``: work stored results out anew, and compare."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from db.core.connect import Connection, connect
from db.core.errors import DatabaseError
from db.core.tenant import act_for
from db.resources import organization_removal
from db.resources.organizations import listing
from db.stock.ledger_check import (
    LevelDifference,
    LotDifference,
    OrderPartDifference,
    StockCheck,
    begin_snapshot,
    check_stock,
)
from stack.cli.options import DataDir
from stack.cli.organizations.org import AsJson, database_url, read_org_id
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR
from telemetry.ids import format_id

verify = typer.Typer(help="Work stored results out anew, and compare them.", no_args_is_help=True)


@verify.callback()
def _results() -> None:  # pyright: ignore[reportUnusedFunction]
    """Work stored results out anew, and compare them."""


@verify.command("stock")
def stock(
    organization: Annotated[
        str | None, typer.Argument(help="Id of the organization: org_...; all unless given.")
    ] = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Compare stock, and parts of work orders, with their movements; exit code 1 on differences."""
    org_id = None if organization is None else read_org_id(organization)
    try:
        checks = asyncio.run(_checked(data, org_id))
    except DatabaseError as error:
        raise StackError(f"the stock cannot be read: {error}") from error
    found = [one for org_id, check in checks for one in _differences(org_id, check)]
    counts = {
        "organizations": len(checks),
        "levels": sum(check.levels for _, check in checks),
        "movements": sum(check.movements for _, check in checks),
        "work_order_parts": sum(check.order_parts for _, check in checks),
        "lots": sum(check.lots for _, check in checks),
    }
    if as_json:
        print(json.dumps(counts | {"differences": found}))
    else:
        for one in found:
            print("  ".join(f"{name}: {value}" for name, value in one.items()))
        compared = (
            f"{counts['levels']} levels, {counts['movements']} movements,"
            f" {counts['work_order_parts']} parts of work orders, {counts['lots']} lots"
        )
        print(f"{compared}: {len(found)} differ")
    if found:
        raise typer.Exit(1)


async def _checked(data_dir: Path, org_id: UUID | None) -> list[tuple[UUID, StockCheck]]:
    """Check one organization, or all of them, as opsc_owner: each in one snapshot."""
    async with await connect(database_url(data_dir), "opsc verify") as connection:
        if org_id is None:
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE opsc_owner")
                org_ids = [each.id for each in await listing(connection)]
        else:
            org_ids = [org_id]
        return [(each, await _check_one(connection, each)) for each in org_ids]


async def _check_one(connection: Connection, org_id: UUID) -> StockCheck:
    async with connection.transaction():
        await begin_snapshot(connection)
        await connection.execute("SET LOCAL ROLE opsc_owner")
        await act_for(connection, org_id)
        if await organization_removal.name_of(connection) is None:
            raise StackError("there is no such organization")
        return await check_stock(connection)


def _differences(org_id: UUID, check: StockCheck) -> Iterator[dict[str, Any]]:
    """Yield what differs in an organization: levels, then parts of work orders, then lots."""
    for level in check.differences:
        yield _described_level(org_id, level)
    for part in check.order_part_differences:
        yield _described_part(org_id, part)
    for lot in check.lot_differences:
        yield _described_lot(org_id, lot)


def _described_level(org_id: UUID, difference: LevelDifference) -> dict[str, Any]:
    stored = difference.stored
    return {
        "organization_id": format_id("org", org_id),
        "part_id": format_id("prt", difference.part_id),
        "warehouse_id": format_id("whs", difference.warehouse_id),
        "stored": None if stored is None else stored._asdict(),
        "worked_out": difference.worked_out._asdict(),
    }


def _described_lot(org_id: UUID, difference: LotDifference) -> dict[str, Any]:
    return {
        "organization_id": format_id("org", org_id),
        "part_id": format_id("prt", difference.part_id),
        "warehouse_id": format_id("whs", difference.warehouse_id),
        "lot": difference.lot,
        "stored_milli": difference.stored_milli,
        "worked_out_milli": difference.worked_out_milli,
    }


def _described_part(org_id: UUID, difference: OrderPartDifference) -> dict[str, Any]:
    stored = difference.stored
    return {
        "organization_id": format_id("org", org_id),
        "work_order_id": format_id("wo", difference.work_order_id),
        "part_id": format_id("prt", difference.part_id),
        "stored": None if stored is None else stored._asdict(),
        "worked_out": difference.worked_out._asdict(),
    }
