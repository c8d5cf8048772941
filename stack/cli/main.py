"""The ``opsc`` command: exit code 0 good, 1 the work failed, 2 wrong usage.

Each command's body is a function (or, for a group, a Typer) of the same name in a module of its
own. Only the one that is called is imported, so that ``opsc --help`` is quick.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NamedTuple

import typer

from stack.errors import StackError


class Entry(NamedTuple):
    """A command: where its body is, and its line in the list of commands."""

    module: str
    summary: str


_TENANTS, _SAFEKEEPING = "stack.cli.organizations", "stack.cli.safekeeping"
_OFFLINE = "stack.cli.offline"

COMMANDS = {
    "up": Entry("stack.cli.up", "Run the whole system on this machine until Ctrl-C."),
    "demo": Entry("stack.cli.demo", "Run the system with moving trackers, zones and alerts."),
    "status": Entry(
        "stack.cli.status", "Show what runs on a data folder or a server, and its health."
    ),
    "doctor": Entry("stack.cli.doctor", "Check a server, or this machine before `opsc up`."),
    "org": Entry(f"{_TENANTS}.org", "Organizations: list, create, set plan and retention, delete."),
    "user": Entry(f"{_TENANTS}.user", "Users of an organization: list, reset a password."),
    "quarantine": Entry(
        f"{_TENANTS}.quarantine", "Rejected messages from unknown trackers: list, release."
    ),
    "work": Entry(f"{_TENANTS}.work", "Background work that fails: list, release."),
    "devices": Entry(
        f"{_TENANTS}.devices", "Devices without a secret: claims of IMEIs, confirm, release."
    ),
    "events": Entry("stack.cli.events", "Follow the events of an organization as they happen."),
    "export": Entry("stack.cli.export", "Save fixes, visits, trips or stops as a file."),
    "verify": Entry("stack.cli.verify", "Work stored results out anew, and compare: stock, hours."),
    "migrate": Entry("stack.cli.migrate", "Bring the database schema up to date."),
    "backup": Entry(f"{_SAFEKEEPING}.backup", "Write a running system's database into a folder."),
    "restore": Entry(
        f"{_SAFEKEEPING}.restore", "Load a backup into an empty system, and compare it."
    ),
    "keys": Entry(f"{_SAFEKEEPING}.keys", "Secret keys: make, rotate, drop older ones."),
    "listen": Entry("stack.cli.roles", "Run one role: devices connect to it over MQTT."),
    "ingest": Entry("stack.cli.roles", "Run one role: store the fixes that listeners receive."),
    "api": Entry("stack.cli.roles", "Run one role: the HTTP API."),
    "deliver": Entry("stack.cli.roles", "Run one role: number events and deliver webhooks."),
    "plan": Entry(f"{_OFFLINE}.plan", "Work out the hardware for a fleet, by measured figures."),
    "sim": Entry("stack.cli.sim", "Simulate trackers over real MQTT."),
    "decode": Entry(f"{_OFFLINE}.decode", "Show what a payload of a device says, field by field."),
    "replay": Entry(f"{_OFFLINE}.replay", "Judge a trace file by a zone file, without a server."),
}


def build(called: str | None) -> typer.Typer:
    """Return the application, with the body of the called command only."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, entry in COMMANDS.items():
        if name != called:
            app.command(name, help=entry.summary)(_not_called)
            continue
        body = getattr(importlib.import_module(entry.module), name)
        if isinstance(body, typer.Typer):
            app.add_typer(body, name=name)
        else:
            app.command(name)(body)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"opsc {version('ops-companion')} from {sys.prefix}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Run OPS Companion: GPS telemetry and geofences."""


def _not_called() -> None:
    """Stand for a command that this call does not run."""


def main() -> None:
    called = next((word for word in _words() if not word.startswith("-")), None)
    try:
        build(called)()
    except StackError as error:
        print(f"opsc: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        advice = "make room and try again; `opsc doctor` says how much is free"
        print(f"opsc: the disk is full{where}: {advice}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)


def _words() -> Sequence[str]:
    """Return the arguments; while a shell completes a line, those that stand there already."""
    if "_OPSC_COMPLETE" not in os.environ:
        return sys.argv[1:]
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    return line.split()[1:]
