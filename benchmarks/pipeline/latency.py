"""The latency from the moment a message is handed to the kernel to its PUBACK, or to the commit of
its fix.

A fix and the event that it gives are committed in one transaction, so all fixes tell of both. The
load generator writes when it sent what and when that was acknowledged; the database knows when each
row was committed. A listener acknowledges after COMMIT, a broker at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import rows as setup_rows

SAMPLED = 2_000  # trackers, spread over the connections

Sent = dict[tuple[int, int], int]  # number of the tracker, time of the fix -> sent, both in us


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds. flush_ms: what writing the log took on average; it is part of the others."""

    p50_ms: float
    p99_ms: float
    most_ms: float
    flush_ms: float
    messages: int

    @classmethod
    def of(cls, taken_ms: NDArray[np.float64], flush_ms: float) -> Self:
        p50, p99, most = np.percentile(taken_ms, [50, 99, 100]) + flush_ms
        rounded = (round(float(value), 2) for value in (p50, p99, most, flush_ms))
        return cls(*rounded, messages=len(taken_ms))


def sampled(trackers: int) -> range:
    """Return the trackers whose messages are looked at."""
    return range(0, trackers, max(1, trackers // SAMPLED))


def acknowledged_ms(times: Path, from_s: float, to_s: float) -> NDArray[np.float64]:
    """Return how long each message sent between two instants waited for its PUBACK, ms."""
    waited: list[NDArray[np.int64]] = []
    with np.load(times) as by_connection:
        for sent, acknowledged in _pairs(by_connection):
            sent_ns = np.repeat(sent[:, 1], sent[:, 0])
            waited_ns = np.repeat(acknowledged[:, 1], acknowledged[:, 0]) - sent_ns
            waited.append(waited_ns[(sent_ns >= from_s * 1e9) & (sent_ns <= to_s * 1e9)])
    return np.concatenate(waited) / 1e6


def _pairs(
    by_connection: "np.lib.npyio.NpzFile",
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    parts = iter(by_connection.values())
    return zip(parts, parts, strict=True)


def sent_times(stream: Path, times: Path, chosen: range) -> Sent:
    """Return when the first fix of each message of the chosen trackers was sent."""
    with np.load(stream / "stream.npz") as head:
        span_us = int(head["span_us"])
    found: Sent = {}
    with np.load(times) as by_connection:
        for number, (stretches, _) in enumerate(_pairs(by_connection)):
            with np.load(stream / f"{number:03}.npz") as share:
                found |= _of_connection(share, stretches, span_us, chosen)
    return found


def _of_connection(
    share: "np.lib.npyio.NpzFile", stretches: NDArray[np.int64], span_us: int, chosen: range
) -> Sent:
    trackers, times_us = share["trackers"], share["times_us"]
    passes, place = np.divmod(np.arange(int(stretches[:, 0].sum())), len(trackers))
    fix_us = times_us.reshape(len(trackers), -1)[place, 0] + passes * span_us
    sent_us = np.repeat(stretches[:, 1] // 1000, stretches[:, 0])
    wanted = np.isin(trackers[place], np.array(chosen))
    keys = zip(trackers[place][wanted].tolist(), fix_us[wanted].tolist(), strict=True)
    return dict(zip(keys, sent_us[wanted].tolist(), strict=True))


def taken_ms(
    admin: setup_rows.Admin, sent: Sent, chosen: range, from_s: float, to_s: float
) -> NDArray[np.float64]:
    """Return how long each message sent between two instants (seconds since 1970) took, ms."""
    number_of = {setup_rows.tracker_uuid(number): number for number in chosen}
    taken_us = [
        committed_us - at_us
        for tracker, fix_us, committed_us in setup_rows.commit_times(admin, list(number_of))
        if (at_us := sent.get((number_of[tracker], fix_us))) is not None
        and from_s <= at_us / 1e6 <= to_s
    ]
    return np.array(taken_us) / 1e3
