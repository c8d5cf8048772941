"""Punches judged again, beside the batches: what late fixes and corrected job sites make others.

A punch that fails waits, and so do all of an organization whose job sites were corrected; the
others go on (`service.work.row_guard`).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import structlog

from db.core.connect import Connection
from db.core.errors import DatabaseError
from db.core.wakeups import WakeUp
from db.punches import amendments
from ingest.metrics import IngestMetrics
from service.exceptions import message
from service.work.row_guard import RowGuard, WorkRow
from use_cases.punches.amend import (
    MOST_PUNCHES,
    AmendedPunches,
    amend_correction,
    amend_outdated,
)

_LOOK_S = 1.0  # between two looks for punches to judge again
_RETRY_S = 5.0

_log = structlog.get_logger("ingest")


async def amend_punches(
    connection: Callable[[], AbstractAsyncContextManager[Connection]],
    send: Callable[[Iterable[WakeUp]], None],
    guard: RowGuard,
    metrics: IngestMetrics,
) -> None:
    """Judge punches again until cancelled. A failure is no reason to stop storing fixes: what is
    noted waits for the next try. send: sends wake-ups after COMMIT.
    """
    while True:
        try:
            async with connection() as conn:
                while True:
                    done = await amend_some(conn, guard)
                    send(conn.pop_wake_ups())
                    metrics.amended.inc(done.amended)
                    await asyncio.sleep(0 if done.judged else _LOOK_S)
        except (DatabaseError, OSError) as error:
            facts = {"error": type(error).__name__, "detail": message(error)}
            _log.warning("punches wait to be judged again", **facts)
            metrics.failures.labels(type(error).__name__).inc()
        await asyncio.sleep(_RETRY_S)


async def amend_some(conn: Connection, guard: RowGuard) -> AmendedPunches:
    """Judge up to MOST_PUNCHES again that a late fix bears on, else punches of the organization
    whose turn it is, of which job sites were corrected.
    """
    done: list[AmendedPunches] = []
    keys = await amendments.outdated(conn, MOST_PUNCHES)
    if keys:

        async def outdated(rows: Sequence[WorkRow]) -> None:
            wanted = [(row.org_id, UUID(row.key)) for row in rows if row.org_id is not None]
            done.append(await amend_outdated(conn, wanted))

        rows = [WorkRow(amendments.KIND, str(key), org_id) for org_id, key in keys]
        await guard.bulk(rows, outdated, is_due=True)
    elif (org_id := await amendments.next_correction(conn)) is not None:

        async def correction() -> None:
            done.append(await amend_correction(conn, org_id))

        row = WorkRow(amendments.CORRECTION_KIND, str(org_id), org_id)
        await guard.run(row, correction, is_due=True)
    return AmendedPunches(*map(sum, zip((0, 0), *done, strict=True)))
