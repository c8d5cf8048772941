"""``opsc keys``: replace the secret key while the system runs.

On a server the ring of keys is OPSC_SECRET_KEY. `opsc up` has its ring in the data folder, where
these commands put a new key in front of it, and take the older ones out.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from db.core.connect import connect
from db.core.errors import DatabaseError
from db.core.secrets import SecretKeyError, SecretKeys, new_secret_key, read_secret_keys
from db.maintenance import sealed
from db.maintenance.sealed import TABLES, SealedRows
from stack.cli.options import DataDir, say
from stack.errors import StackError
from stack.servers.elsewhere import given_database
from stack.servers.runtime import (
    DEFAULT_DATA_DIR,
    keep_secret_key,
    known_secret_key,
    read_stack,
)

MOST_PASSES = 3  # over rows that somebody else held
MAY_GO = (
    "The older keys may go in a day: access tokens live no longer. Cursors and open pages of the"
    " dashboard from before the change end with them; whoever has one begins anew."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

keys = typer.Typer(help="The ring of secret keys.", no_args_is_help=True)


class _System(NamedTuple):
    """A system whose secrets are sealed. is_own: its ring is in a data folder."""

    database_url: str
    secret_keys: SecretKeys
    is_own: bool


@keys.callback()
def _keys() -> None:  # pyright: ignore[reportUnusedFunction]
    """Replace the secret key (OPSC_SECRET_KEY): docs/install.md has the steps."""


@keys.command("new")
def new() -> None:
    """Print a fresh secret key. Nothing uses it yet."""
    print(new_secret_key())


@keys.command("rotate")
def rotate(
    check: Annotated[
        bool, typer.Option("--check", help="Only count; exit code 1 if older keys are needed.")
    ] = False,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Seal what is stored under older keys of the ring under the first one.

    The database is that of OPSC_DATABASE_URL (a superuser's login or that of opsc_owner), with the
    ring of OPSC_SECRET_KEY. Without it, the `opsc up` on this machine: where its ring has one key,
    a new one is put in front of it, for the next start.
    """
    ring = None if os.environ.get("OPSC_DATABASE_URL") else _own_ring(data)
    if ring is not None and "," not in ring and not check:
        keep_secret_key(data, f"{new_secret_key()},{ring}")
        _print({"new_key": True}, "a new secret key is in the data folder", as_json)
        say(
            "End `opsc up` (Ctrl-C) and start it again, so that it uses the new key. Then call"
            " `opsc keys rotate` once more: it seals anew what is stored"
        )
        return
    system = _system(data)
    if len(system.secret_keys) == 1 and not check:
        say("OPSC_SECRET_KEY has one key: put a new one, of `opsc keys new`, in front of it")
    before, after = asyncio.run(_sealed_anew(system, is_check=check))
    _report(before, after, system, as_json=as_json, is_check=check)


@keys.command("drop")
def drop(data: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Take the older keys out of the data folder of an `opsc up`, where none is needed any more."""
    if os.environ.get("OPSC_DATABASE_URL"):
        raise StackError(
            "`opsc keys drop` is for the data folder of an `opsc up`: take the older keys out of"
            " OPSC_SECRET_KEY where it is set, or leave OPSC_DATABASE_URL out"
        )
    ring = _own_ring(data)
    first, _, older = ring.partition(",")
    if not older:
        raise StackError(f"{data} has one secret key: there is no older one")
    system = _system(data)
    _, after = asyncio.run(_sealed_anew(system, is_check=True))
    if any(count.under_older for count in after.values()):
        raise StackError("older keys are still needed: call `opsc keys rotate` first")
    keep_secret_key(data, first)
    _print(
        {"dropped": older.count(",") + 1}, f"older keys dropped: {older.count(',') + 1}", as_json
    )
    say("The next start of `opsc up` is without them")


def _own_ring(data_dir: Path) -> str:
    ring = known_secret_key(data_dir)
    if ring is None:
        raise StackError(
            f"{data_dir} has no secret key yet: the first `opsc up` makes one. Name another data"
            " folder with --data, or a system elsewhere with OPSC_DATABASE_URL and OPSC_SECRET_KEY"
        )
    return ring


def _system(data_dir: Path) -> _System:
    if url := given_database():
        ring = os.environ.get("OPSC_SECRET_KEY")
        if not ring:
            raise StackError(
                "OPSC_SECRET_KEY is missing: set the ring of the system behind OPSC_DATABASE_URL;"
                " for the data folder of an `opsc up`, leave OPSC_DATABASE_URL out"
            )
        return _System(url, _read(ring), is_own=False)
    ring, stack = _read(_own_ring(data_dir)), read_stack(data_dir)
    if _read(stack.secret_key)[0] != ring[0]:
        raise StackError(
            f"the `opsc up` on {data_dir} does not use its new secret key yet: end it (Ctrl-C) and"
            " start it again"
        )
    return _System(stack.database["opsc_owner"], ring, is_own=True)


def _read(ring: str) -> SecretKeys:
    try:
        return read_secret_keys(ring)
    except SecretKeyError as error:
        raise StackError(str(error)) from None


async def _sealed_anew(
    system: _System, *, is_check: bool
) -> tuple[Mapping[str, SealedRows], Mapping[str, SealedRows]]:
    """Return the numbers by the title of each table, before and after."""
    before: dict[str, SealedRows] = {}
    after: dict[str, SealedRows] = {}
    ring = system.secret_keys
    try:
        async with await connect(system.database_url, "opsc keys rotate") as conn:
            for table in TABLES:
                count = await sealed.count(conn, table, ring)
                before[table.title] = after[table.title] = count
                for _ in range(0 if is_check else MOST_PASSES):
                    if after[table.title].under_older == 0:
                        break
                    await sealed.seal_anew(conn, table, ring)
                    after[table.title] = await sealed.count(conn, table, ring)
    except DatabaseError as error:
        raise StackError(f"stored secrets cannot be read or sealed: {error}") from error
    return before, after


def _report(
    before: Mapping[str, SealedRows],
    after: Mapping[str, SealedRows],
    system: _System,
    *,
    as_json: bool,
    is_check: bool,
) -> None:
    """Print the numbers; exit code 1 where an older key, or one that is missing, is needed."""
    anew = {
        title: max(0, count.under_older - after[title].under_older)
        for title, count in before.items()
    }
    left = {title: count.under_older for title, count in after.items()}
    lost = {title: count.lost for title, count in after.items()}
    about = {"sealed_anew": anew, "under_older_keys": left, "lost": lost}
    lines = [] if is_check else [f"sealed anew: {_listed(anew)}"]
    lines.append(f"under older keys: {_listed(left)}")
    _print({"keys": len(system.secret_keys), **about}, "\n".join(lines), as_json)
    if any(lost.values()):
        say(
            f"No key of the ring opens {_listed(lost)}: if you have their key, put it behind the"
            " others and call this again. Without it, rotate the secrets of these endpoints"
            " (POST /v1/webhook-endpoints/{id}/rotate); kept answers end within a day"
        )
    elif any(left.values()) and not is_check:
        say("Some rows were held by others: call this again")
    elif not any(left.values()) and len(system.secret_keys) > 1:
        say(MAY_GO + (" `opsc keys drop` takes them out" if system.is_own else ""))
    if any(lost.values()) or any(left.values()):
        raise typer.Exit(1)


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {title}" for title, number in numbers.items())


def _print(about: Mapping[str, object], text: str, as_json: bool) -> None:
    print(json.dumps(about) if as_json else text)
