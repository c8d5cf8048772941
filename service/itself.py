"""Metrics that every role has of its own process: memory, open files, processor time, and how late
its event loop is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

_EVERY_S = 1.0
_LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@asynccontextmanager
async def watching_itself(registry: CollectorRegistry) -> AsyncIterator[None]:
    """Add the metrics of this process to `registry`; measures its loop while the block runs."""
    ProcessCollector(registry=registry)
    lag_s = Histogram(
        "opsc_loop_lag_seconds",
        "How late the event loop does what is due, asked once a second.",
        buckets=_LAG_BUCKETS_S,
        registry=registry,
    )
    measuring = asyncio.create_task(_measure(lag_s))
    try:
        yield
    finally:
        measuring.cancel()


async def _measure(lag_s: Histogram) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        lag_s.observe(max(0.0, loop.time() - due_s))
