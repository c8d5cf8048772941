"""Punches judged again, beside the batches: what late fixes and corrected job sites make others.

A punch that fails waits, and so do all of an organization whose job sites were corrected; the
others go on (`service.background.row_guard`).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from uuid import UUID

import structlog

from db.core.connect import Connection
from db.core.errors import DatabaseError
from db.core.wakeups import WakeUp
from db.punches import amendments
from ingest.metrics import IngestMetrics
from service.background.row_guard import RowGuard, WorkRow
from service.exceptions import message
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
    await guard.keep_fresh()
    keys = await amendments.outdated(conn, MOST_PUNCHES)
    if keys:
        rows = [WorkRow(amendments.KIND, str(key), org_id) for org_id, key in keys]
        done = await guard.bulk(rows, partial(_outdated, conn), is_due=True)
        return AmendedPunches(*map(sum, zip((0, 0), *done.answers, strict=True)))
    org_id = await amendments.next_correction(conn)
    if org_id is None:
        return AmendedPunches(0, 0)
    row = WorkRow(amendments.CORRECTION_KIND, str(org_id), org_id)
    corrected = await guard.run(row, partial(amend_correction, conn, org_id), is_due=True)
    return AmendedPunches(0, 0) if corrected is None else corrected.answer


async def _outdated(conn: Connection, rows: Sequence[WorkRow]) -> AmendedPunches:
    keys = [(row.org_id, UUID(row.key)) for row in rows if row.org_id is not None]
    return await amend_outdated(conn, keys)
