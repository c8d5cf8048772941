"""``opsc verify``: work stored results out anew, and compare."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

import typer

from api.http.problems import Problem
from api.resources.timesheets.counting import counted, would_change
from db.core.connect import Connection, connect
from db.core.errors import DatabaseError
from db.core.tenant import act_for
from db.hours.punches import employees_who_punched
from db.hours.shifts import ShiftRow
from db.hours.timesheets import TimesheetRow, timesheets
from db.quotes.quote_check import QuotesCheck, SumsDifference, UnconfirmedQuote, check_quotes
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
from operations.hours.timesheet_states import KEEPING
from operations.money import USUAL_DIGITS, minor_digits, money_text
from operations.quotes.document import quote_label
from stack.cli.options import DataDir
from stack.cli.organizations.org import AsJson, database_url, read_org_id
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR
from telemetry.ids import format_id
from use_cases.hours.shift_check import ShiftCheck, ShiftDifference, check_shifts

OneOrganization = Annotated[
    str | None, typer.Argument(help="Id of the organization: org_...; all unless given.")
]
_APPROVED = """
SELECT id FROM timesheets WHERE org_id = current_org_id() AND state = ANY (%s)
 ORDER BY first_day, id
"""
_CHECK = TypeVar("_CHECK")

verify = typer.Typer(help="Work stored results out anew, and compare them.", no_args_is_help=True)


@verify.callback()
def _results() -> None:  # pyright: ignore[reportUnusedFunction]
    """Work stored results out anew, and compare them."""


@verify.command("stock")
def stock(
    organization: OneOrganization = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Compare stock, and parts of work orders, with their movements; exit code 1 on differences."""
    try:
        checks = asyncio.run(_check_organizations(data, organization, _check_stock))
    except DatabaseError as error:
        raise StackError(f"the stock cannot be read: {error}") from error
    differences = [
        difference for org_id, check in checks for difference in _differences(org_id, check)
    ]
    counts = {
        "organizations": len(checks),
        "levels": sum(check.levels for _, check in checks),
        "movements": sum(check.movements for _, check in checks),
        "work_order_parts": sum(check.order_parts for _, check in checks),
        "lots": sum(check.lots for _, check in checks),
    }
    if as_json:
        print(json.dumps(counts | {"differences": differences}))
    else:
        _print_rows(differences)
        compared = (
            f"{counts['levels']} levels, {counts['movements']} movements,"
            f" {counts['work_order_parts']} parts of work orders, {counts['lots']} lots"
        )
        print(f"{compared}: {len(differences)} differ")
    if differences:
        raise typer.Exit(1)


async def _check_stock(connection: Connection, org_id: UUID) -> StockCheck:
    async with connection.transaction():
        await begin_snapshot(connection)
        await _act_for(connection, org_id)
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


@verify.command("hours")
def hours(
    organization: OneOrganization = None,
    write: Annotated[
        bool, typer.Option("--write", help="Store shifts that differ, but for approved ones.")
    ] = False,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Compare shifts, and approved timesheets, with the punches; exit code 1 on differences.

    Both are worked out anew: shifts by the rules of now, timesheets by those of their approval.
    What is approved is listed, never changed.
    """
    try:
        checks = asyncio.run(
            _check_organizations(data, organization, partial(_check_hours, writes=write))
        )
    except DatabaseError as error:
        raise StackError(f"the hours cannot be read: {error}") from error
    shifts = [
        _described_shift(org_id, difference, write)
        for org_id, check in checks
        for difference in check[1]
    ]
    sheets = [sheet for _, check in checks for sheet in check[3]]
    counts = {
        "organizations": len(checks),
        "shifts": sum(check.shifts for _, check in checks),
        "approved_timesheets": sum(check.timesheets for _, check in checks),
    }
    if as_json:
        print(json.dumps(counts | {"shift_differences": shifts, "timesheet_differences": sheets}))
    else:
        _print_rows([*shifts, *sheets])
        print(
            f"{counts['shifts']} shifts: {len(shifts)} differ;"
            f" {counts['approved_timesheets']} approved timesheets: {len(sheets)} would change"
        )
    if sheets or any(not shift["is_written"] for shift in shifts):
        raise typer.Exit(1)


class _HoursCheck(NamedTuple):
    """The check of an organization. shifts, timesheets: how many were compared."""

    shifts: int
    shift_differences: Sequence[ShiftDifference]
    timesheets: int
    timesheet_differences: Sequence[dict[str, Any]]


async def _check_hours(connection: Connection, org_id: UUID, *, writes: bool) -> _HoursCheck:
    """Check an organization, employee by employee: each waits for no more than its own punches."""
    async with connection.transaction():
        await _act_for(connection, org_id)
        employees = await employees_who_punched(connection)
        cursor = await connection.execute(_APPROVED, (list(KEEPING),))
        row_ids = [row_id for (row_id,) in await cursor.fetchall()]
    checks: list[ShiftCheck] = []
    for employee_id in employees:
        async with connection.transaction():
            await _act_for(connection, org_id)
            checks.append(await check_shifts(connection, employee_id, writes=writes))
    changed: list[TimesheetRow] = []
    for row_id in row_ids:
        async with connection.transaction():
            await _act_for(connection, org_id)
            row = await timesheets.get(connection, row_id)
            if await _would_change(connection, org_id, row):
                changed.append(row)
    return _HoursCheck(
        sum(check.shifts for check in checks),
        [difference for check in checks for difference in check.differences],
        len(row_ids),
        [_described_sheet(org_id, row) for row in changed],
    )


async def _would_change(connection: Connection, org_id: UUID, row: TimesheetRow) -> bool:
    try:
        count = await counted(connection, org_id, row)
    except Problem:
        return True  # it has more punches than a timesheet is counted from
    return would_change(row, count.figures) is True


def _described_shift(org_id: UUID, difference: ShiftDifference, writes: bool) -> dict[str, Any]:
    return {
        "organization_id": format_id("org", org_id),
        "employee_id": format_id("emp", difference.employee_id),
        "opened_by": format_id("pun", difference.opened_by),
        "stored": _hours_of(difference.stored),
        "worked_out": _hours_of(difference.worked_out),
        "is_approved": difference.is_approved,
        "is_written": writes and not difference.is_approved,
    }


def _hours_of(row: ShiftRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "started_at": row.started_at.isoformat(),
        "ended_at": None if row.ended_at is None else row.ended_at.isoformat(),
        "worked_s": row.worked_s,
        "flags": [flag["name"] for flag in row.flags],
    }


def _described_sheet(org_id: UUID, row: TimesheetRow) -> dict[str, Any]:
    return {
        "organization_id": format_id("org", org_id),
        "timesheet_id": format_id("tms", row.id),
        "employee": row.employee_name,
        "first_day": row.first_day.isoformat(),
        "last_day": row.last_day.isoformat(),
        "state": row.state,
    }


@verify.command("quotes")
def quotes(
    organization: OneOrganization = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Compare sums of quotes with their lines, and list amounts that an admin has to confirm; exit
    code 1 on differences, and where such a quote is not sent or not accepted yet.
    """
    try:
        checks = asyncio.run(_check_organizations(data, organization, _check_quotes))
    except DatabaseError as error:
        raise StackError(f"the quotes cannot be read: {error}") from error
    different = [
        _described_sums(org_id, difference)
        for org_id, check in checks
        for difference in check.differences
    ]
    unconfirmed = [
        _described_unconfirmed(org_id, quote)
        for org_id, check in checks
        for quote in check.unconfirmed
    ]
    number = sum(check.quotes for _, check in checks)
    if as_json:
        counts = {"organizations": len(checks), "quotes": number}
        print(json.dumps(counts | {"differences": different, "unconfirmed": unconfirmed}))
    else:
        _print_rows([*different, *unconfirmed])
        print(
            f"{number} quotes: {len(different)} differ;"
            f" {len(unconfirmed)} have amounts that an admin has not confirmed"
        )
    if different or any(quote["waits"] for quote in unconfirmed):
        raise typer.Exit(1)


async def _check_quotes(connection: Connection, org_id: UUID) -> QuotesCheck:
    async with connection.transaction():
        await _act_for(connection, org_id)
        return await check_quotes(connection)


def _described_sums(org_id: UUID, difference: SumsDifference) -> dict[str, Any]:
    return {
        "organization_id": format_id("org", org_id),
        "quote_id": format_id("quo", difference.id),
        "label": quote_label(difference.number, difference.revision),
        "stored": difference.stored,
        "worked_out": difference.worked_out,
    }


def _described_unconfirmed(org_id: UUID, quote: UnconfirmedQuote) -> dict[str, Any]:
    return {
        "organization_id": format_id("org", org_id),
        "quote_id": format_id("quo", quote.id),
        "label": quote_label(quote.number, quote.revision),
        "status": quote.state,
        "was": f"{quote.currency} {money_text(quote.total_cents, USUAL_DIGITS)}",
        "is": f"{quote.currency} {money_text(quote.total_cents, minor_digits(quote.currency))}",
        "waits": quote.waits,
    }


# All ----------------------------------------------------------------------------------------------


def _print_rows(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()))


async def _check_organizations(
    data_dir: Path, organization: str | None, check: Callable[[Connection, UUID], Awaitable[_CHECK]]
) -> list[tuple[UUID, _CHECK]]:
    """Check one organization, or all of them, as opsc_owner."""
    async with await connect(database_url(data_dir), "opsc verify") as connection:
        if organization is None:
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE opsc_owner")
                org_ids = [row.id for row in await listing(connection)]
        else:
            org_ids = [read_org_id(organization)]
        return [(org_id, await check(connection, org_id)) for org_id in org_ids]


async def _act_for(connection: Connection, org_id: UUID) -> None:
    await connection.execute("SET LOCAL ROLE opsc_owner")
    await act_for(connection, org_id)
    if await organization_removal.name_of(connection) is None:
        raise StackError("there is no such organization")
