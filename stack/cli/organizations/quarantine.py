"""``opsc quarantine``: the operator's view of messages that belong to no organization.

Those of an organization are its own business, through the API.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer

from db.core.connect import Connection
from db.history import quarantine_list
from db.history.quarantine_list import QuarantinedMessage, QuarantineFilter
from stack.cli.options import DataDir
from stack.cli.organizations.as_owner import run_as_owner
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR
from telemetry.ids import IdError, format_id, parse_id
from telemetry.rejection import Reason

_FAILED = "the quarantine cannot be reached"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RowId = Annotated[str, typer.Argument(metavar="ID", help="qua_...")]

quarantine = typer.Typer(
    help="Inspect or re-process rejected messages from unknown trackers.", no_args_is_help=True
)


@quarantine.command("list")
def show_list(
    reason: Annotated[
        Reason | None, typer.Option(help="List only messages rejected for this reason.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most messages to list.")] = 50,
    offset: Annotated[
        int, typer.Option(min=0, help="Leave out this many of the first messages.")
    ] = 0,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List rejected messages, the last received first."""
    wanted = QuarantineFilter(reason=reason)

    async def work(conn: Connection) -> list[QuarantinedMessage]:
        return await quarantine_list.MESSAGES.listing(
            conn, wanted, after=None, limit=limit, offset=offset
        )

    rows = run_as_owner(data, work, _FAILED)
    if as_json:
        print(json.dumps([_described(row) for row in rows]))
        return
    for row in rows:
        seen = row.last_received_at.isoformat(timespec="seconds")
        print(f"{format_id('qua', row.id)}  {seen}  {row.reason}  x{row.seen}  {row.topic!r}")
    if not rows:
        print("no rejected messages from unknown trackers")


@quarantine.command("show")
def show(
    row_id: RowId,
    payload: Annotated[
        bool, typer.Option("--payload", help="Write the message alone, as it came.")
    ] = False,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show one message, and why it was rejected."""
    wanted = _parsed(row_id)

    async def work(conn: Connection) -> tuple[QuarantinedMessage | None, bytes | None]:
        message = await quarantine_list.find(conn, wanted)
        return message, await quarantine_list.payload(conn, wanted)

    row, kept = run_as_owner(data, work, _FAILED)
    if row is None:
        _fail(row_id, "not found")
    if payload:
        if kept is None:
            _fail(row_id, "not kept")
        sys.stdout.buffer.write(kept)
        return
    described = _described(row)
    if as_json:
        print(json.dumps(described))
    else:
        print("\n".join(f"{name}: {value}" for name, value in described.items()))


@quarantine.command("release")
def release(row_id: RowId, data: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Release a message: ingest judges it again, as if it arrived now."""
    wanted = _parsed(row_id)
    _report(
        row_id,
        run_as_owner(data, lambda conn: quarantine_list.release(conn, wanted), _FAILED),
        as_json,
    )


@quarantine.command("drop")
def drop(row_id: RowId, data: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Remove a message for ever."""
    wanted = _parsed(row_id)
    _report(
        row_id,
        run_as_owner(data, lambda conn: quarantine_list.drop(conn, wanted), _FAILED),
        as_json,
    )


def _parsed(row_id: str) -> UUID:
    try:
        return parse_id("qua", row_id)
    except IdError as error:
        raise typer.BadParameter(str(error), param_hint="ID") from None


def _report(row_id: str, result: str, as_json: bool) -> None:
    if result not in ("released", "dropped"):
        _fail(row_id, result)
    print(json.dumps({"id": row_id, "result": result}) if as_json else f"{row_id}: {result}")


def _fail(row_id: str, result: str) -> NoReturn:
    why = {
        "not found": "there is no such message without an organization",
        "waiting": "it is released already and waits for ingest",
        "not kept": "its payload is not kept",
    }
    raise StackError(f"{row_id}: {why[result]}")


def _described(row: QuarantinedMessage) -> dict[str, Any]:
    described = row._asdict()
    described["id"] = format_id("qua", row.id)
    described["tracker_id"] = None if row.tracker_id is None else format_id("trk", row.tracker_id)
    described["payload_sha256"] = row.payload_sha256.hex()
    for name in ("released_at", "first_received_at", "last_received_at"):
        at = described[name]
        described[name] = None if at is None else at.isoformat()
    return described
