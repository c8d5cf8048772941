"""One simulated run from registration to result: make it known, send it, see what came of it.

outcome = await simulate(scenario, wanted, target, shown, stop)
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from device_sim.crew import CrewPlan
from device_sim.devices import Qos, Version
from device_sim.faults import Faults
from device_sim.fleet import FleetProgress, RunResult, Stage, run_fleet
from device_sim.ledger import Ledger
from device_sim.payloads import PayloadFormat
from device_sim.plan import MAX_CONNECTIONS, FleetPlan
from mqtt import BrokerAddress
from stack.scenario.api_client import ApiClient, ApiError
from stack.scenario.registration import Registered, Shortcut, known_to_broker, register
from stack.scenario.scenario import Scenario
from stack.sim.crew import Crew, hire
from stack.sim.edits import Editor, Sending
from stack.sim.figures import writing_figures
from stack.sim.outcome import RunOutcome
from stack.sim.progress import Shown
from stack.sim.stored_latency import StoredSampler
from stack.sim.webhook_latency import webhook_latencies
from stack.verify.comparison import Comparison
from stack.verify.expectation import stored_fixes
from stack.verify.fix_fates import Arrived, fates
from stack.verify.punches import compare_crew, event_count, read_crew
from stack.verify.run_history import RunHistory
from stack.verify.shared_organization import SharedOrganization, newest_seq, read_settings
from stack.verify.verify import Totals, VerifiedRun, read_totals, verify, wait_until_drained
from stack.verify.webhook_receiver import WebhookReceiver

_TOTALS_EVERY_S = 2.0
_UNPROCESSABLE = 422


@dataclass(frozen=True, slots=True)
class Target:
    """A system to send to; the client is signed in.

    is_shared: others may be at work in the organization. hooks: how webhooks reach us.
    """

    client: ApiClient
    broker: BrokerAddress
    shortcut: Shortcut | None = None
    is_shared: bool = False
    hooks: "Hooks" = field(default_factory=lambda: Hooks())


@dataclass(frozen=True, slots=True)
class Hooks:
    """The receiver of webhooks: the loopback port where it listens, a free one for 0.

    url: under which the system reaches it, unless on loopback; is_reachable: whether it does.
    delay_s: before each answer.
    """

    port: int = 0
    url: str | None = None
    is_reachable: bool = True
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The manner in which a scenario is sent, and whether what comes out is held against it.

    edits: how many edits are made meanwhile. interval_s: least time between fixes of a tracker.
    connections, receipts_s, faults, seed, connects_when_due, qos, version: see
    `device_sim.plan.FleetPlan`.
    figures: a file that gets the figures of each second. crew: employees who punch meanwhile.
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
    connects_when_due: bool = False
    figures: Path | None = None
    qos: Qos = Qos.AT_LEAST_ONCE
    version: Version = Version.V5
    crew: CrewPlan | None = None

    @property
    def is_json(self) -> bool:
        return self.payload_format is PayloadFormat.JSON


async def simulate(
    scenario: Scenario, wanted: Wanted, target: Target, shown: Shown, stop: asyncio.Event
) -> RunOutcome:
    """Run it until its end or `stop`. Raises stack.scenario.api_client.ApiError,
    device_sim.fleet.FleetError.
    """
    async with writing_figures(wanted.figures, shown):
        if wanted.verify:
            outcome = await _verified(scenario, wanted, target, shown, stop)
        else:
            outcome = await _unverified(scenario, wanted, target, shown, stop)
    return replace(outcome, interrupted=stop.is_set())


async def _verified(
    scenario: Scenario, wanted: Wanted, target: Target, shown: Shown, stop: asyncio.Event
) -> RunOutcome:
    async with _receiver(target) as (receiver, check):
        run = await _prepared(scenario, wanted, target, shown, receiver)
        result, edit_delays_s = await _send_and_edit(run, shown, stop)
        shown.update(stage="draining")
        punched = run.crew.sent if run.crew else []
        sent = VerifiedRun(
            run.ledger, run.history, receiver, wanted.is_json, run.shared, event_count(punched)
        )
        verified = await verify(
            target.client,
            sent,
            drain_s=wanted.drain_s,
            on_totals=lambda totals: _show_totals(run, totals, shown),
            on_drained=lambda: shown.update(stage="comparing"),
        )
        of_crew = await _compared_crew(run)
        fixes = verified.comparisons[0]
        lost, duplicate = fixes.counts["lost"], fixes.counts["stored twice"]
        shown.update(stage="done", lost=lost, duplicate=duplicate)
        received = [] if receiver is None else receiver.received
        return RunOutcome(
            result.final,
            fixes.found,
            lost,
            duplicate,
            [*verified.comparisons, *of_crew],
            check,
            edit_delays_s,
            verified.timer_delays_s,
            sent,
            run.sampler.latencies,
            webhook_latencies(received, run.ledger, run.history),
            [] if receiver else ["webhooks, since the system cannot reach this machine"],
            assets=verified.assets,
            whole=verified.whole,
        )


async def _unverified(
    scenario: Scenario, wanted: Wanted, target: Target, shown: Shown, stop: asyncio.Event
) -> RunOutcome:
    run = await _prepared(scenario, wanted, target, shown, None)
    result, edit_delays_s = await _send_and_edit(run, shown, stop)
    outcome = await _counted(run, result, shown)
    return replace(outcome, edit_delays_s=edit_delays_s, to_stored=run.sampler.latencies)


async def _compared_crew(run: "_Run") -> list[Comparison]:
    crew, receiver = run.crew, run.receiver
    if crew is None:
        return []
    tracker_ids = [phone.tracker_id for phone in crew.phones]
    webhook_ids = None if receiver is None else receiver.ids
    stored = await read_crew(run.target.client)
    return compare_crew(crew.sent, crew.employee_ids, tracker_ids, stored, webhook_ids)


@contextlib.asynccontextmanager
async def _receiver(target: Target) -> AsyncIterator[tuple[WebhookReceiver | None, str]]:
    """Provide an endpoint of the organization, and the name of what checks its signatures."""
    if not target.hooks.is_reachable:
        yield None, ""
        return
    async with WebhookReceiver(port=target.hooks.port, delay_s=target.hooks.delay_s) as receiver:
        endpoint = {"url": target.hooks.url or receiver.url, "types": ["*"]}
        try:
            made = await target.client.post("/v1/webhook-endpoints", endpoint)
        except ApiError as error:
            if error.status != _UNPROCESSABLE or target.hooks.url is not None:
                raise
            made = None  # the system posts to no loopback address
        if made is None:
            yield None, ""
        else:
            yield receiver, receiver.expect(made["secret"])


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that is about to be sent."""

    scenario: Scenario
    wanted: Wanted
    target: Target
    registered: Registered
    history: RunHistory
    receiver: WebhookReceiver | None
    shared: SharedOrganization | None
    ledger: Ledger
    sampler: StoredSampler
    crew: Crew | None


async def _prepared(
    scenario: Scenario,
    wanted: Wanted,
    target: Target,
    shown: Shown,
    receiver: WebhookReceiver | None,
) -> _Run:
    """Register everything that the scenario has with the system."""
    things = f"{len(scenario.devices):,} trackers, {len(scenario.zones):,} zones"
    shown.update(stage=f"registering {things}", fixes=scenario.fixes)
    after_seq = await newest_seq(target.client) if target.is_shared else 0
    receipts = wanted.receipts_s is not None
    registered = await register(
        target.client, scenario, receipts=receipts, shortcut=target.shortcut
    )
    if registered.newest is not None:
        await known_to_broker(target.broker, registered.newest)
    crew = None if wanted.crew is None else await hire(target.client, target.broker, wanted.crew)
    history = RunHistory.of(registered, scenario.zones)
    if target.is_shared:
        history.rules, history.gates = await read_settings(target.client)
    now_us = time.time_ns() // 1000
    shared = SharedOrganization(history, after_seq, now_us) if target.is_shared else None
    ledger = Ledger()
    sampler = StoredSampler(target.client, history, ledger, wanted.is_json)
    return _Run(
        scenario, wanted, target, registered, history, receiver, shared, ledger, sampler, crew
    )


async def _send_and_edit(
    run: _Run, shown: Shown, stop: asyncio.Event
) -> tuple[RunResult, list[float]]:
    """Send everything and make the edits meanwhile. Returns the delays of these, too. Gives the
    delays of these, too.
    """
    sending = Sending(run.wanted.interval_s)
    editor = Editor(run.target.client, run.history, sending)
    async with _watching(run, shown), run.sampler.sampling(), asyncio.TaskGroup() as group:
        sent = group.create_task(_send(run, sending, shown, stop))
        group.create_task(editor.make(run.wanted.edits, stop))
        if run.crew is not None:
            group.create_task(run.crew.punch(run.target.broker, stop))
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
        connects_when_due=wanted.connects_when_due,
        qos=wanted.qos,
        version=wanted.version,
    )

    def on_progress(progress: FleetProgress) -> None:
        if progress.stage is not Stage.CONNECTING:
            sending.has_begun.set()
        stage = "sent" if progress.stage is Stage.DONE else progress.stage.value
        shown.update(stage=stage, progress=progress)

    try:
        return await run_fleet(
            plan, run.target.broker, on_progress=on_progress, stop=stop, ledger=run.ledger
        )
    finally:
        sending.has_begun.set()
        sending.is_over.set()


@contextlib.asynccontextmanager
async def _watching(run: _Run, shown: Shown) -> AsyncIterator[None]:
    """Show now and then what has come out, as long as the block runs."""
    every_s = _TOTALS_EVERY_S if run.wanted.figures is None else 1.0

    async def watch() -> None:
        while True:
            with contextlib.suppress(ApiError):  # it may be away for a while
                totals = await read_totals(run.target.client, run.receiver, run.shared)
                _show_totals(run, totals, shown)
            await asyncio.sleep(every_s)

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])


def _show_totals(run: _Run, totals: Totals, shown: Shown) -> None:
    shown.update(totals=totals, to_stored=run.sampler.latencies.copy())


async def _counted(run: _Run, result: RunResult, shown: Shown) -> RunOutcome:
    """Return the result without --verify: lost and duplicate by number alone."""
    shown.update(stage="draining")
    ledger = run.ledger
    arrived = Arrived.from_ledger(ledger, ledger.acknowledged_fixes(), is_json=run.wanted.is_json)
    distinct = len(stored_fixes(await asyncio.to_thread(fates, arrived), run.history))
    newest = Totals(0, 0, 0)

    def on_totals(totals: Totals) -> None:
        nonlocal newest
        newest = totals
        _show_totals(run, totals, shown)

    await wait_until_drained(
        run.target.client,
        None,
        Totals(distinct, 0, 0),
        run.shared,
        drain_s=run.wanted.drain_s,
        on_totals=on_totals,
    )
    lost = max(0, distinct - newest.stored)
    duplicate = max(0, newest.stored - distinct - result.final.may_be_lost)
    shown.update(stage="done", lost=lost, duplicate=duplicate)
    return RunOutcome(result.final, newest.stored, lost, duplicate)
