"""The ceiling of the database with one writer: binary COPY of prebuilt buffers, nothing else.

The same rows, in the same order, into the same table with the same indexes as ingest writes them,
as the same role; 20,000 rows a transaction.
"""

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.rows import ORGANIZATION, tracker_uuid
from benchmarks.common.subject import cpu_s
from db.core.connect import connect
from db.history import gps_events
from telemetry.fix import FixBatch

ROWS_PER_TRANSACTION = 20_000


def copy_buffers(messages: NDArray[np.void], span_us: int, rows: int) -> list[bytes]:
    """COPY streams of the first `rows` fixes that a load generator would send.

    messages: one pass in order of sending, shape (messages, fixes_per_message), FIX_DTYPE.
    """
    one_pass = messages.reshape(-1)
    names = [tracker_uuid(n).bytes for n in range(int(one_pass["tracker"].max()) + 1)]
    tracker_ids = np.array(names, "V16")
    return [
        _stream(fixes, tracker_ids)
        for fixes in _transactions(one_pass, span_us, rows - rows % ROWS_PER_TRANSACTION)
    ]


async def copied(url: str, buffers: list[bytes]) -> tuple[float, float]:
    """Write all buffers, one transaction each: rows a second, and cores that the database used."""
    conn = await connect(url, "opsc-bench-copy")
    async with conn:
        server = conn.info.backend_pid
        start, used_s = time.perf_counter(), cpu_s(server)
        for buffer in buffers:
            async with conn.transaction():
                await gps_events.copy_new(conn, buffer)
        elapsed_s, used_s = time.perf_counter() - start, cpu_s(server) - used_s
    return len(buffers) * ROWS_PER_TRANSACTION / elapsed_s, used_s / elapsed_s


def _transactions(
    one_pass: NDArray[np.void], span_us: int, rows: int
) -> Iterator[NDArray[np.void]]:
    for start in range(0, rows, ROWS_PER_TRANSACTION):
        passes, positions = np.divmod(np.arange(start, start + ROWS_PER_TRANSACTION), len(one_pass))
        fixes = one_pass[positions]
        fixes["time_us"] += passes * span_us
        yield fixes


def _stream(fixes: NDArray[np.void], tracker_ids: NDArray[np.void]) -> bytes:
    owners = gps_events.Owners(
        org_id=np.full(len(fixes), np.void(ORGANIZATION.bytes), "V16"),
        tracker_id=tracker_ids[fixes["tracker"]],
        received_us=fixes["time_us"] + 1_000_000,
    )
    return gps_events.copy_stream(FixBatch(fixes), owners)
