"""The removal of old rows of quarantine, in small steps, by whoever owns ingest."""

import asyncio
from datetime import UTC, datetime, timedelta

from db.core.connect import Connection
from db.history import quarantine

STEP_ROWS = 200  # few: the connection also reads the inbox, and a row may have 64 KiB
PAUSE_S = 60.0
SHORT_PAUSE_S = 0.25  # while there is more


async def tidy(conn: Connection, quarantine_days: int) -> None:
    """Remove what has aged, for ever; raises psycopg.Error."""
    while True:
        before = datetime.now(UTC) - timedelta(days=quarantine_days)
        removed = await quarantine.remove_older(conn, before, STEP_ROWS)
        await asyncio.sleep(SHORT_PAUSE_S if removed == STEP_ROWS else PAUSE_S)
