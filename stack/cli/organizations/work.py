"""``opsc work``: rows of background work that failed as nobody foresaw, of all organizations."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from db.core.connect import Connection
from db.history import failing_work
from db.history.failing_work import FailingWorkRow
from stack.cli.options import DataDir
from stack.cli.organizations.as_owner import run_as_owner
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR
from telemetry.ids import format_id

_FAILED = "the background work cannot be looked at"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

work = typer.Typer(
    help="Background work that fails: it waits, and is set aside after two hours of tries.",
    no_args_is_help=True,
)


@work.command("list")
def show_list(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most rows to list.")] = 50,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List the rows that wait or are set aside, those that have failed longest first."""
    rows = run_as_owner(data, lambda conn: failing_work.listing(conn, limit), _FAILED)
    if as_json:
        print(json.dumps([_described(row) for row in rows]))
        return
    for row in rows:
        until = "set aside" if row.retry_at is None else f"waits until {_text(row.retry_at)}"
        whose = "-" if row.org_id is None else format_id("org", row.org_id)
        print(
            f"{row.kind} {row.key}  organization {whose}  {row.tries} tries, {until}: {row.error}"
        )
    if not rows:
        print("no background work fails")


@work.command("release")
def release(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="The kind, as the list shows it.")],
    key: Annotated[
        str | None, typer.Argument(metavar="ROW", help="The row; all of the kind without it.")
    ] = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Let a row be tried again at once, as if it had not failed."""

    async def let_go(conn: Connection) -> int:
        return await failing_work.release(conn, kind, key)

    released = run_as_owner(data, let_go, _FAILED)
    if not released:
        raise StackError(f"no row of {kind}{'' if key is None else f' {key}'} waits")
    print(json.dumps({"released": released}) if as_json else f"{released:,} released")


def _described(row: FailingWorkRow) -> dict[str, Any]:
    described = row._asdict()
    org_id = described.pop("org_id")
    described["organization_id"] = None if org_id is None else format_id("org", org_id)
    for name in ("first_failed_at", "failed_at", "retry_at"):
        described[name] = None if described[name] is None else _text(described[name])
    return described


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
