"""Punches judged again, beside the batches: what late fixes and corrected job sites make others."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

import structlog

from db.core.connect import Connection
from db.core.errors import DatabaseError
from db.core.wakeups import WakeUp
from ingest.metrics import IngestMetrics
from service.exceptions import message
from use_cases.punches.amend import amend_some

_LOOK_S = 1.0  # between two looks for punches to judge again
_RETRY_S = 5.0

_log = structlog.get_logger("ingest")


async def amend_punches(
    connection: Callable[[], AbstractAsyncContextManager[Connection]],
    send: Callable[[Iterable[WakeUp]], None],
    metrics: IngestMetrics,
) -> None:
    """Judge punches again until cancelled. A failure is no reason to stop storing fixes: what is
    noted waits for the next try. send: sends wake-ups after COMMIT.
    """
    while True:
        try:
            async with connection() as conn:
                while True:
                    done = await amend_some(conn)
                    send(conn.pop_wake_ups())
                    metrics.amended.inc(done.amended)
                    await asyncio.sleep(0 if done.judged else _LOOK_S)
        except (DatabaseError, OSError) as error:
            facts = {"error": type(error).__name__, "detail": message(error)}
            _log.warning("punches wait to be judged again", **facts)
            metrics.failures.labels(type(error).__name__).inc()
        await asyncio.sleep(_RETRY_S)
