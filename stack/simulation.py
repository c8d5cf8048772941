"""One simulated run from registration to result: make it known, send it, see what came of it.

outcome = await simulate(scenario, wanted, target, shown, stop)
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from device_sim.fleet import FleetPlan, Progress, RunResult, Stage, run_fleet
from device_sim.ledger import Ledger
from device_sim.payloads import PayloadFormat
from mqtt import BrokerAddress
from stack.client import ApiClient, ApiError
from stack.comparison import Comparison
from stack.expectation import stored_fixes
from stack.receiver import WebhookReceiver
from stack.registration import Registered, register
from stack.run_view import RunState, Shown
from stack.scenario import Scenario
from stack.verify import (
    Totals,
    VerifiedRun,
    as_text,
    read_totals,
    verify,
    wait_until_drained,
)

_TOTALS_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """A system to send to; the client is signed in."""

    client: ApiClient
    broker: BrokerAddress


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a scenario is sent, and whether what comes out is held against it."""

    payload_format: PayloadFormat
    fixes_per_message: int
    verify: bool
    drain_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run; stored, lost and duplicate are fixes."""

    final: Progress
    stored: int
    lost: int
    duplicate: int
    comparisons: list[Comparison] = field(default_factory=list)
    signature_check: str = ""

    @property
    def is_good(self) -> bool:
        all_acknowledged = 0 < self.final.sent == self.final.acknowledged
        as_expected = all(one.good for one in self.comparisons)
        return all_acknowledged and as_expected and self.lost == self.duplicate == 0

    def as_json(self) -> str:
        sent = {k: v for k, v in asdict(self.final).items() if k not in ("stage", "connected")}
        result: dict[str, Any] = {
            **sent,
            "stored": self.stored,
            "lost": self.lost,
            "duplicate": self.duplicate,
            "good": self.is_good,
        }
        if self.comparisons:
            result["signature_check"] = self.signature_check
            result["verify"] = {one.what: _as_mapping(one) for one in self.comparisons}
        return msgspec.json.encode(result).decode()

    def as_text(self) -> str:
        totals = Totals(self.stored, 0, 0)
        state = RunState(
            progress=self.final, totals=totals, lost=self.lost, duplicate=self.duplicate
        )
        hidden = ("stage", "connected", "events", "webhooks")
        lines = [f"{name:<14}{value}" for name, value in state.rows().items() if name not in hidden]
        if self.comparisons:
            lines += ["", as_text(self.comparisons, self.signature_check)]
        return "\n".join([*lines, "", "good" if self.is_good else "NOT GOOD"])


def _as_mapping(one: Comparison) -> Mapping[str, object]:
    return {
        "expected": one.expected,
        "found": one.found,
        "differences": one.counts,
        "examples": one.examples,
        "allowed": one.notes,
    }


async def simulate(
    scenario: Scenario, wanted: Wanted, target: Target, shown: Shown, stop: asyncio.Event
) -> Outcome:
    """Run it until its end or `stop`. Raises stack.client.ApiError, device_sim.fleet.FleetError."""
    if not wanted.verify:
        registered = await _registered(scenario, target.client, shown)
        result = await _send(scenario, wanted, target, registered, None, shown, stop)
        return await _counted(target.client, wanted, registered, result, shown)
    async with WebhookReceiver() as receiver:
        endpoint = {"url": receiver.url, "types": ["*"]}
        made = await target.client.post("/v1/webhook-endpoints", endpoint)
        check = receiver.expect(made["secret"])
        registered = await _registered(scenario, target.client, shown)
        result = await _send(scenario, wanted, target, registered, receiver, shown, stop)
        run = VerifiedRun(_ledger(result), registered, scenario.zones, receiver)
        shown.update(stage="draining")
        comparisons = await verify(
            target.client,
            run,
            drain_s=wanted.drain_s,
            on_totals=lambda totals: shown.update(totals=totals),
            on_drained=lambda: shown.update(stage="comparing"),
        )
        fixes = comparisons[0].counts
        lost, duplicate = fixes["lost"], fixes["stored twice"]
        shown.update(stage="done", lost=lost, duplicate=duplicate)
        return Outcome(result.final, comparisons[0].found, lost, duplicate, comparisons, check)


async def _registered(scenario: Scenario, client: ApiClient, shown: Shown) -> Registered:
    things = f"{len(scenario.devices):,} trackers, {len(scenario.zones):,} zones"
    shown.update(stage=f"registering {things}", fixes=scenario.fixes)
    return await register(client, scenario)


async def _send(
    scenario: Scenario,
    wanted: Wanted,
    target: Target,
    registered: Registered,
    receiver: WebhookReceiver | None,
    shown: Shown,
    stop: asyncio.Event,
) -> RunResult:
    plan = FleetPlan(
        registered.trackers,
        scenario.schedule,
        wanted.payload_format,
        wanted.fixes_per_message,
    )

    def on_progress(progress: Progress) -> None:
        stage = "sent" if progress.stage is Stage.DONE else progress.stage.value
        shown.update(stage=stage, progress=progress)

    async with _watching(target.client, receiver, shown):
        return await run_fleet(plan, target.broker, on_progress=on_progress, stop=stop)


@contextlib.asynccontextmanager
async def _watching(
    client: ApiClient, receiver: WebhookReceiver | None, shown: Shown
) -> AsyncIterator[None]:
    """Show now and then what has come out, as long as the block runs."""

    async def watch() -> None:
        while True:
            with contextlib.suppress(ApiError):  # it may be away for a while
                shown.update(totals=await read_totals(client, receiver))
            await asyncio.sleep(_TOTALS_EVERY_S)

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])


async def _counted(
    client: ApiClient, wanted: Wanted, registered: Registered, result: RunResult, shown: Shown
) -> Outcome:
    """The result without --verify: lost and duplicate by number alone."""
    shown.update(stage="draining")
    distinct = len(stored_fixes(_ledger(result).acknowledged_fixes(), registered, _now_us()))
    newest = Totals(0, 0, 0)

    def on_totals(totals: Totals) -> None:
        nonlocal newest
        newest = totals
        shown.update(totals=totals)

    await wait_until_drained(
        client, None, Totals(distinct, 0, 0), drain_s=wanted.drain_s, on_totals=on_totals
    )
    lost, duplicate = max(0, distinct - newest.stored), max(0, newest.stored - distinct)
    shown.update(stage="done", lost=lost, duplicate=duplicate)
    return Outcome(result.final, newest.stored, lost, duplicate)


def _ledger(result: RunResult) -> Ledger:
    assert result.ledger is not None, "the plan keeps a ledger"
    return result.ledger


def _now_us() -> int:
    return time.time_ns() // 1000
