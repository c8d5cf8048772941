"""``opsc ingest``, ``opsc api``, ``opsc deliver``: one role each, set by ``OPSC_*`` variables."""

from __future__ import annotations

import typer


def ingest() -> None:
    """Take fixes from the broker into the database (docs/settings.md lists the variables)."""
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
