"""``opsc migrate``: bring the schema up to date, or say whether it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from db.core.errors import DatabaseError
from db.maintenance import migrate as runner
from stack.cli.options import DataDir
from stack.errors import StackError
from stack.servers.elsewhere import given_database
from stack.servers.runtime import DEFAULT_DATA_DIR, read_stack


def migrate(
    data: DataDir = DEFAULT_DATA_DIR,
    check: Annotated[
        bool, typer.Option("--check", help="Only check; exit code 1 if behind.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what is offline while roles are connected.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the schema up to date.

    A migration is online, or offline: then it is refused while roles are connected.

    The database is that of OPSC_DATABASE_URL (a superuser, or a member of opsc_owner where a
    superuser has prepared it), else the one of the `opsc up` that runs on this machine.
    """
    url = owner_url(data)
    try:
        names = runner.pending(url) if check else runner.migrate(url, force=force)
    except (DatabaseError, runner.MigrationError) as error:
        raise StackError(str(error)) from error
    word = "pending" if check else "applied"
    kinds = {migration.name: migration.kind for migration in runner.migrations()}
    if as_json:
        print(json.dumps({word: names, "kinds": [kinds[name] for name in names]}))
    else:
        lines = [f"{word}: {name} ({kinds[name]})" for name in names]
        print("\n".join(lines) or "the schema is up to date")
    if check and names:
        raise typer.Exit(1)


def owner_url(data_dir: Path) -> str:
    """Return a login that may change the schema and make organizations."""
    return given_database() or read_stack(data_dir).database["admin"]
