"""A measurement under load: a subscriber is loaded, and its rate read between two instants.

The broker acknowledges a publisher at once, so a load generator left alone would pile up a backlog
that costs the broker memory and processor time. `Drive` lets it run ahead of the subscriber by
about a second's work: enough to keep everyone busy, for slow and fast subscribers alike.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.common.gauges import Cell, Gauges
from benchmarks.common.load import IN_FLIGHT

POLL_S = 0.1  # each look costs the subscriber a millisecond or two
LEAST_AHEAD = 2_000  # messages
AHEAD_S = 1.0
START_TIMEOUT_S = 60.0
DRAIN_TIMEOUT_S = 120.0

Mark = TypeVar("Mark")


class DriveFailed(Exception):
    """The load did not run as planned."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds before the first instant, and between the two."""

    warm_up_s: float
    window_s: float


@dataclass(frozen=True, slots=True)
class Sending:
    """The manner of sending. in_flight: of each connection, without an acknowledgement.

    is_signed_in: as the tracker whose messages they are. ca: with TLS, trusting this certificate.
    """

    port: int
    in_flight: int = IN_FLIGHT
    is_signed_in: bool = False
    ca: Path | None = None

    def arguments(self) -> list[str]:
        """Return the arguments of the load generator."""
        signed_in = ["--signed-in"] if self.is_signed_in else []
        tls = [] if self.ca is None else ["--ca", str(self.ca)]
        return [str(self.port), "--in-flight", str(self.in_flight), *signed_in, *tls]


class Drive:
    """One load generator against one subscriber.

    done: how many messages the subscriber has finished so far. rate: messages a second, where not
    as many as the subscriber takes. times: where the generator writes what was sent and
    acknowledged when.
    """

    def __init__(
        self,
        stream: Path,
        gauges: Path,
        sending: Sending,
        done: Callable[[], int],
        rate: float | None = None,
        times: Path | None = None,
    ) -> None:
        self._gauges = Gauges(gauges)
        self._gauges[Cell.RATE] = round(rate or 0)
        self._done = done
        self._seen: list[tuple[float, int]] = []
        arguments = [str(stream), str(gauges), *sending.arguments()]
        arguments += [] if times is None else ["--times", str(times)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.common.load", *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def load_pid(self) -> int:
        return self._process.pid

    def measure(self, timing: Timing, mark: Callable[[], Mark]) -> tuple[Mark, Mark]:
        """`mark()` at the beginning and at the end of the window."""
        self._wait_for_first_message()
        self._pace(timing.warm_up_s)
        first = mark()
        self._pace(timing.window_s)
        return first, mark()

    def finish(self) -> int:
        """End the load, wait until the subscriber has finished all of it; messages sent."""
        self._gauges[Cell.STOP] = 1
        output, _ = self._process.communicate(timeout=DRAIN_TIMEOUT_S)
        if self._process.returncode != 0:
            raise DriveFailed(f"the load generator failed: {output or 'see above'}")
        sent = int(json.loads(output)["sent"])
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while (done := self._done()) < sent:
            if time.monotonic() > deadline:
                raise DriveFailed(f"{done} of {sent} messages were finished")
            time.sleep(POLL_S)
        return sent

    def abandon(self) -> None:
        """End the load generator whatever it does."""
        self._process.kill()
        self._process.wait()

    def _wait_for_first_message(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._done():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DriveFailed("no message arrived")
            self._gauges[Cell.LIMIT] = LEAST_AHEAD
            time.sleep(POLL_S)

    def _pace(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if self._process.poll() is not None:
                raise DriveFailed("the load generator ended early")
            done = self._done()
            self._seen = [*self._seen[-10:], (now, done)]
            self._gauges[Cell.LIMIT] = done + max(LEAST_AHEAD, round(self._rate() * AHEAD_S))
            time.sleep(POLL_S)

    def _rate(self) -> float:
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start else 0.0
