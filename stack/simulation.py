"""One simulated run from registration to result: make it known, send it, see what came of it.

outcome = await simulate(scenario, wanted, target, shown, stop)
"""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgspec

from device_sim.faults import Faults
from device_sim.fleet import Progress, RunResult, Stage, run_fleet
from device_sim.ledger import Ledger
from device_sim.payloads import PayloadFormat
from device_sim.plan import MAX_CONNECTIONS, FleetPlan
from mqtt import BrokerAddress
from stack.client import ApiClient, ApiError
from stack.comparison import Comparison
from stack.edits import Editor, Sending
from stack.expectation import stored_fixes
from stack.fates import Arrived, fates
from stack.receiver import WebhookReceiver
from stack.registration import Registered, Shortcut, register
from stack.run_history import RunHistory
from stack.run_view import RunState, Shown
from stack.scenario import Scenario
from stack.sign_in import known_to_broker
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
    shortcut: Shortcut | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a scenario is sent, and whether what comes out is held against it.

    edits: how many edits are made meanwhile. interval_s: least time between fixes of a tracker.
    connections, receipts_s, faults, seed: see `device_sim.plan.FleetPlan`.
    """

    payload_format: PayloadFormat
    fixes_per_message: int
    verify: bool
    drain_s: float
    edits: int = 0
    interval_s: float = 0.0
    connections: int = MAX_CONNECTIONS
    receipts_s: float | None = None
    faults: Faults = field(default_factory=Faults)
    seed: int = 0

    @property
    def is_json(self) -> bool:
        return self.payload_format is PayloadFormat.JSON


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run; stored, lost and duplicate are fixes.

    edit_delays_s: from each edit until its visits were seen. timer_delays_s: from each deadline
    until its event was created. run: what was verified.
    """

    final: Progress
    stored: int
    lost: int
    duplicate: int
    comparisons: list[Comparison] = field(default_factory=list)
    signature_check: str = ""
    edit_delays_s: list[float] = field(default_factory=list[float])
    timer_delays_s: list[float] = field(default_factory=list[float])
    run: VerifiedRun | None = field(default=None, repr=False)

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
            "edits_seen_after_s": _summary(self.edit_delays_s),
            "timers_told_after_s": _summary(self.timer_delays_s),
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
        for what, delays_s in (
            ("edits seen", self.edit_delays_s),
            ("deadlines told", self.timer_delays_s),
        ):
            if delays_s:
                told = ", ".join(f"{name} {value:g}" for name, value in _summary(delays_s).items())
                lines.append(f"{what} after seconds: {told}")
        return "\n".join([*lines, "", "good" if self.is_good else "NOT GOOD"])


def _summary(delays_s: Sequence[float]) -> dict[str, float]:
    """How many, the middle one and the greatest, seconds."""
    if not delays_s:
        return {"count": 0}
    middle, greatest = statistics.median(delays_s), max(delays_s)
    return {"count": len(delays_s), "median": round(middle, 3), "greatest": round(greatest, 3)}


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
        return await _unverified(scenario, wanted, target, shown, stop)
    async with WebhookReceiver() as receiver:
        endpoint = {"url": receiver.url, "types": ["*"]}
        made = await target.client.post("/v1/webhook-endpoints", endpoint)
        check = receiver.expect(made["secret"])
        registered = await _registered(scenario, wanted, target, shown)
        history = RunHistory.of(registered, scenario.zones)
        run = _Run(scenario, wanted, target, registered, history, receiver)
        result, edit_delays_s = await _send_and_edit(run, shown, stop)
        shown.update(stage="draining")
        sent = VerifiedRun(_ledger(result), history, receiver, wanted.is_json)
        verified = await verify(
            target.client,
            sent,
            drain_s=wanted.drain_s,
            on_totals=lambda totals: shown.update(totals=totals),
            on_drained=lambda: shown.update(stage="comparing"),
        )
        fixes = verified.comparisons[0]
        lost, duplicate = fixes.counts["lost"], fixes.counts["stored twice"]
        shown.update(stage="done", lost=lost, duplicate=duplicate)
        return Outcome(
            result.final,
            fixes.found,
            lost,
            duplicate,
            verified.comparisons,
            check,
            edit_delays_s,
            verified.timer_delays_s,
            sent,
        )


async def _unverified(
    scenario: Scenario, wanted: Wanted, target: Target, shown: Shown, stop: asyncio.Event
) -> Outcome:
    registered = await _registered(scenario, wanted, target, shown)
    history = RunHistory.of(registered, scenario.zones)
    run = _Run(scenario, wanted, target, registered, history, None)
    result, edit_delays_s = await _send_and_edit(run, shown, stop)
    outcome = await _counted(target.client, wanted, history, result, shown)
    return replace(outcome, edit_delays_s=edit_delays_s)


async def _registered(
    scenario: Scenario, wanted: Wanted, target: Target, shown: Shown
) -> Registered:
    things = f"{len(scenario.devices):,} trackers, {len(scenario.zones):,} zones"
    shown.update(stage=f"registering {things}", fixes=scenario.fixes)
    receipts = wanted.receipts_s is not None
    registered = await register(
        target.client, scenario, receipts=receipts, shortcut=target.shortcut
    )
    if registered.newest is not None:
        await known_to_broker(target.broker, registered.newest)
    return registered


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that is about to be sent."""

    scenario: Scenario
    wanted: Wanted
    target: Target
    registered: Registered
    history: RunHistory
    receiver: WebhookReceiver | None


async def _send_and_edit(
    run: _Run, shown: Shown, stop: asyncio.Event
) -> tuple[RunResult, list[float]]:
    """Sends everything and makes the edits meanwhile. Gives the delays of these, too."""
    sending = Sending(run.wanted.interval_s)
    editor = Editor(run.target.client, run.history, sending)
    async with _watching(run.target.client, run.receiver, shown), asyncio.TaskGroup() as group:
        sent = group.create_task(_send(run, sending, shown, stop))
        group.create_task(editor.make(run.wanted.edits, stop))
    return sent.result(), editor.delays_s


async def _send(run: _Run, sending: Sending, shown: Shown, stop: asyncio.Event) -> RunResult:
    wanted = run.wanted
    plan = FleetPlan(
        run.registered.trackers,
        run.scenario.schedule,
        wanted.payload_format,
        wanted.fixes_per_message,
        connections=wanted.connections,
        receipts_s=wanted.receipts_s,
        faults=wanted.faults,
        seed=wanted.seed,
    )

    def on_progress(progress: Progress) -> None:
        if progress.stage is not Stage.CONNECTING:
            sending.has_begun.set()
        stage = "sent" if progress.stage is Stage.DONE else progress.stage.value
        shown.update(stage=stage, progress=progress)

    try:
        return await run_fleet(plan, run.target.broker, on_progress=on_progress, stop=stop)
    finally:
        sending.has_begun.set()
        sending.is_over.set()


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
    client: ApiClient, wanted: Wanted, history: RunHistory, result: RunResult, shown: Shown
) -> Outcome:
    """The result without --verify: lost and duplicate by number alone."""
    shown.update(stage="draining")
    ledger = _ledger(result)
    arrived = Arrived.from_ledger(ledger, ledger.acknowledged_fixes(), is_json=wanted.is_json)
    distinct = len(stored_fixes(await asyncio.to_thread(fates, arrived), history))
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
