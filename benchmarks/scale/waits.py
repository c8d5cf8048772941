"""A model of the wait for a PUBACK, and how far it is from what was measured.

    python -m benchmarks.scale.waits

One writer takes what has come, in batches. A message waits up to 20 ms for others, unless its
device sends on soon after an answer. A batch of n messages takes `a + b n`. Two figures of the
newest `end-to-end` decide a and b: the most messages of one fix a second, and the p50 at 300 a
second. The model then says p50 and p99 at 3,000 a second and at half of the most, to which it was
not fitted.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.scale.costs import DEVICES
from benchmarks.scale.figures import newest

GATHER_S = 0.02  # OPSC_INGEST_LATENCY_MS
SENDS_ON_S = 0.25
SECONDS = 20.0
STEPS = 40  # of the search for a


class Writer(NamedTuple):
    """Seconds of a batch, and of each message in it."""

    batch_s: float
    message_s: float


def waits_s(rate: float, writer: Writer, devices: int = DEVICES) -> NDArray[np.float64]:
    """Return how long each message waits for its PUBACK, where messages come evenly."""
    gather_s = GATHER_S if devices / rate > SENDS_ON_S else 0.0
    came_s = np.arange(round(rate * SECONDS)) / rate
    waited_s, first, free_s = np.zeros_like(came_s), 0, 0.0
    while first < len(came_s):
        begins_s = max(free_s, came_s[first] + gather_s)
        end = int(np.searchsorted(came_s, begins_s, side="right"))
        free_s = begins_s + writer.batch_s + writer.message_s * (end - first)
        waited_s[first:end] = free_s - came_s[first:end]
        first = end
    return waited_s


def fitted(most_per_s: float, rate: float, p50_s: float, devices: int = DEVICES) -> Writer:
    """Return the writer that takes this many at the most, while half of the devices are in its
    batch, and has this p50 at a rate.
    """
    half = devices / 2
    low, high = 0.0, half / most_per_s
    for _ in range(STEPS):
        batch_s = (low + high) / 2
        writer = Writer(batch_s, 1 / most_per_s - batch_s / half)
        if np.median(waits_s(rate, writer, devices)) < p50_s:
            low = batch_s
        else:
            high = batch_s
    return Writer((low + high) / 2, 1 / most_per_s - (low + high) / 2 / half)


def main() -> int:
    path, facts = newest("end-to-end")
    loads = {name: facts["parts"][f"listener-at-{name}"] for name in ("300", "3000", "half")}
    quiet, most = loads["300"], facts["parts"]["listener-1-json-2000x1"]
    writer = fitted(most["median"], quiet["median"], quiet["puback"][0]["p50_ms"] / 1e3)
    batch_ms, message_us = writer.batch_s * 1e3, writer.message_s * 1e6
    print(f"{path.name}: {batch_ms:.2f} ms a batch, {message_us:.1f} us a message")
    for figure in loads.values():
        modelled = np.percentile(waits_s(figure["median"], writer), [50, 99]) * 1e3
        for percentile, ms in zip(("p50", "p99"), modelled, strict=True):
            measured = figure["puback"][0][f"{percentile}_ms"]
            print(
                f"{figure['median']:,.0f} messages/s: {percentile} {ms:.1f} ms,"
                f" measured {measured:.1f} ms, error {ms / measured - 1:+.0%}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
