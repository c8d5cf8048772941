"""The loop that writes the newest positions, beside the batches.

A position is written at most PAUSE_S after the COMMIT of its fix, in bulk; an asset that sends more
often is written once. The loop rests RESTS times as long as it worked, so it takes a bounded share
of the database however many assets move: under such a load positions come less often.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import structlog

from db.core import leases
from db.core.connect import Connection
from db.core.errors import DatabaseError
from db.history import latest_positions
from ingest.metrics import IngestMetrics
from ingest.positions.newest import NewestPositions, as_columns, owners_of
from ingest.registry.registry import Registry
from service.exceptions import message

PAUSE_S = 0.5
RESTS = 2
MOST_WRITTEN = 10_000  # in one transaction
MOST_DERIVED = 500
_RETRY_S = 2.0

_log = structlog.get_logger("ingest")


async def keep_positions(
    connection: Callable[[], AbstractAsyncContextManager[Connection]],
    epoch: int,
    newest: NewestPositions,
    registry: Registry,
    metrics: IngestMetrics,
) -> None:
    """Derive all positions once, and write new ones until cancelled. A failure is no reason to stop
    storing fixes: positions wait for the next try. Raises LeaseLost.
    """
    newest.outdate(range(len(registry.assets)))
    while True:
        try:
            async with connection() as conn:
                await latest_positions.commit_without_wait(conn)  # the next term makes up for it
                while True:
                    started = time.monotonic()
                    written = await write_some(conn, epoch, newest, registry, datetime.now(UTC))
                    metrics.positions.inc(written)
                    spent_s = time.monotonic() - started
                    pause_s = 0 if newest else PAUSE_S - spent_s
                    await asyncio.sleep(max(pause_s, RESTS * spent_s))
        except (DatabaseError, OSError) as error:
            told = {"error": type(error).__name__, "detail": message(error)}
            _log.warning("positions wait to be written", **told)
            metrics.failures.labels(type(error).__name__).inc()
        await asyncio.sleep(_RETRY_S)


async def write_some(
    conn: Connection,
    epoch: int,
    newest: NewestPositions,
    registry: Registry,
    now: datetime,
) -> int:
    """Write positions in one transaction, and return how many. Raises LeaseLost."""
    if not newest:
        return 0
    outdated, waiting = newest.take_outdated(MOST_DERIVED), newest.take_waiting(MOST_WRITTEN)
    try:
        async with conn.transaction():
            await leases.check(conn, leases.INGEST, epoch)
            if outdated:
                await latest_positions.derive(conn, owners_of(outdated, registry), now)
            if len(waiting):
                await latest_positions.write(conn, as_columns(waiting, registry))
    except (DatabaseError, OSError):
        newest.outdate(outdated)
        newest.put_back(waiting)
        raise
    return len(outdated) + len(waiting)
