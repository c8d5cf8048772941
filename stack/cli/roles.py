"""``opsc listen``, ``ingest``, ``api``, ``deliver``: one role each, set by ``OPSC_*`` variables."""

from __future__ import annotations

import typer


def listen() -> None:
    """Let devices connect over MQTT (docs/settings.md lists the variables)."""
    from listener.__main__ import main

    raise typer.Exit(main())


def ingest() -> None:
    """Take fixes of devices into the database (docs/settings.md lists the variables)."""
    from ingest.__main__ import main

    raise typer.Exit(main())


def api() -> None:
    """Serve the HTTP API (docs/settings.md lists the variables)."""
    from api.__main__ import main

    raise typer.Exit(main())


def deliver() -> None:
    """Number events and deliver webhooks (docs/settings.md lists the variables)."""
    from webhooks.__main__ import main

    raise typer.Exit(main())
