"""Trials of zones, judged beside the event loop in a process of their own, so that checks of
geometries do not wait for them.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec
import numpy as np

from api.limits.fair_turns import FairTurns
from api.limits.forking_process import ForkingProcess

WAITING_TRIALS = 2
"""A trial beyond, of one organization, does not wait."""

MOST_FOUND = 1_000

FIX_DTYPE = np.dtype(
    [
        ("asset", "<i4"),  # as the asker numbers them, from 0
        ("tracker", "<i4"),
        ("time_us", "<i8"),
        ("seq", "<i4"),
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("accuracy_m", "<f4"),  # NaN: not known
        ("speed_mps", "<f4"),
    ]
)

Word = Literal["enter", "exit", "dwell", "overspeed", "schedule"]


class TrialRequest(msgspec.Struct):
    """A zone, and fixes (FIX_DTYPE) by asset, then time and seq.

    rules: with those of the organization. max_speed_mps: by asset. judged_to_us: by asset, up to
    when its fixes are known. since_us, until_us: the span in which hours begin and deadlines pass.
    """

    wkb: bytes
    radius_m: float | None
    width_m: float | None
    rules: dict[str, Any]
    kind: str
    alert_on: Sequence[str] | None
    schedule: dict[str, Any] | None
    max_speed_mps: list[float]
    max_accuracy_m: float
    since_us: int
    until_us: int
    judged_to_us: list[int]
    fixes: bytes


class FoundTransition(msgspec.Struct, array_like=True):
    """One transition. event_type: of the event that would have been published."""

    asset: int
    transition: Word
    time_us: int
    lat: float
    lon: float
    cause: str
    inferred: str | None
    event_type: str | None


class TrialCounts(msgspec.Struct):
    """Numbers of all transitions. pass_through: of the enters. alerts: those with an event."""

    enter: int
    exit: int
    dwell: int
    overspeed: int
    pass_through: int
    alerts: int


class TrialAnswer(msgspec.Struct):
    """The first MOST_FOUND transitions in order of time, and the number of all."""

    found: list[FoundTransition]
    counts: TrialCounts
    is_cut: bool


class ZoneTrials:
    """A process that judges trials, started when the first one comes.

    One trial's fixes are in memory at a time. Organizations take turns (`FairTurns`).
    """

    def __init__(self) -> None:
        turns = FairTurns(most_of_each=1 + WAITING_TRIALS)
        self._process = ForkingProcess("api.trials.trial_process", turns)

    async def judge(
        self, org_id: UUID, read: Callable[[], Awaitable[TrialRequest]]
    ) -> TrialAnswer | None:
        """Return what was found; None where that took too long. read: is called when the trial is
        next.

        Raises TurnOver, and TooManyOfOne or TooManyOfAll where too many wait.
        """

        async def request() -> bytes:
            return msgspec.msgpack.encode(await read())

        answered = await self._process.ask(org_id, request)
        return msgspec.msgpack.decode(answered, type=TrialAnswer) if answered else None

    async def close(self) -> None:
        """End the process."""
        await self._process.close()
