"""A fleet against a real broker: what arrives is what the ledger says, in its order."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.faults.proxy import Link
from device_sim.faults import Faults
from device_sim.fleet import FleetError, FleetProgress, RunResult, Stage, run_fleet
from device_sim.motion import StreetPlan
from device_sim.payloads import PayloadFormat
from device_sim.plan import FleetPlan, SimTracker
from mqtt import BrokerAddress, Session, SessionOptions, Subscription
from telemetry.formats.decode import SUBSCRIPTIONS, Format, decode, format_of
from telemetry.topics import ack_topic
from tests.servers import BrokerUnderTest
from tests.waiting import PATIENCE_S, until

FLEET = 5
Fix = tuple[int, float, float, int]  # time_us, lat, lon, seq


def identity(row: np.void) -> Fix:
    return int(row["time_us"]), float(row["lat"]), float(row["lon"]), int(row["seq"])


def trackers() -> list[SimTracker]:
    return [SimTracker(f"trk_{uuid.uuid4().hex}", "secret") for _ in range(FLEET)]


def observer(broker: BrokerUnderTest) -> Session:
    options = SessionOptions(
        client_id=f"observer-{uuid.uuid4().hex}",
        subscriptions=tuple(Subscription(topic) for topic in SUBSCRIPTIONS),
    )
    return Session(BrokerAddress.parse(broker.url), options)


async def arrived(session: Session, tracker_ids: list[str], count: int) -> dict[str, list[Fix]]:
    """Return the fixes of each tracker in order of arrival, until `count` different
    ones are there.
    """
    found: dict[str, list[Fix]] = defaultdict(list)
    while sum(len(set(fixes)) for fixes in found.values()) < count:
        messages = await asyncio.wait_for(session.receive(), PATIENCE_S)
        session.acknowledge(messages)
        topics = [message.topic for message in messages]
        decoded = decode([m.payload for m in messages], [format_of(topic) for topic in topics])
        assert not decoded.rejections
        for row in decoded.batch.rows:
            tracker_id = topics[row["message"]].split("/")[1]
            if tracker_id in tracker_ids:
                found[tracker_id].append(identity(row))
    return found


def planned(result: RunResult, plan: FleetPlan) -> dict[str, list[Fix]]:
    assert result.ledger is not None
    by_tracker: dict[str, list[Fix]] = defaultdict(list)
    for row in result.ledger.acknowledged_fixes():
        tracker_id = plan.trackers[row["tracker"]].tracker_id
        by_tracker[tracker_id].append(identity(row))
    return by_tracker


@pytest.mark.parametrize("payload_format", PayloadFormat)
@pytest.mark.parametrize("fixes_per_message", [1, 7])
async def test_what_arrives_is_what_the_ledger_says(
    broker: BrokerUnderTest, payload_format: PayloadFormat, fixes_per_message: int
) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=100, seconds=0.5, seed=3)
    plan = FleetPlan(trackers(), streets.slices, payload_format, fixes_per_message)
    async with observer(broker) as session:
        await session.connected.wait()
        result = await run_fleet(plan, BrokerAddress.parse(broker.url))
        found = await arrived(session, [t.tracker_id for t in plan.trackers], 50 * FLEET)
    assert result.final.stage is Stage.DONE
    assert result.final.sent == result.final.acknowledged == 50 * FLEET
    assert result.final.failed == result.final.outstanding == 0
    assert found == planned(result, plan)


async def test_cut_connections_lose_nothing_and_keep_the_order(broker: BrokerUnderTest) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=100, seconds=1, seed=4)
    plan = FleetPlan(trackers(), streets.slices)
    ids = [tracker.tracker_id for tracker in plan.trackers]
    async with Link(broker.port) as link, observer(broker) as session:
        await session.connected.wait()
        run = asyncio.create_task(run_fleet(plan, BrokerAddress("127.0.0.1", link.port)))
        for received in (100, 200, 300):
            await until(lambda received=received: session.counters.received >= received)
            link.reset()
        result = await run
        assert result.final.acknowledged == 100 * FLEET
        found = await arrived(session, ids, 100 * FLEET)
    for tracker_id, sent in planned(result, plan).items():
        assert list(dict.fromkeys(found[tracker_id])) == sent


async def test_a_run_ends_when_it_is_told_to(broker: BrokerUnderTest) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=20, seconds=None, seed=5)
    stop = asyncio.Event()
    seen: list[FleetProgress] = []

    def watch(progress: FleetProgress) -> None:
        seen.append(progress)
        if progress.acknowledged:
            stop.set()

    plan = FleetPlan(trackers(), streets.slices, keep_ledger=False)
    result = await run_fleet(plan, BrokerAddress.parse(broker.url), on_progress=watch, stop=stop)
    assert result.ledger is None
    assert result.final.sent == result.final.acknowledged > 0
    assert result.final.latencies.count > 0
    assert seen[0].stage is Stage.CONNECTING
    assert seen[-1].stage is Stage.DONE


@pytest.mark.parametrize(("when_due", "connects"), [(False, FLEET), (True, 2)])
async def test_a_tracker_can_wait_with_its_connection_until_it_has_something_to_send(
    broker: BrokerUnderTest, when_due: bool, connects: int
) -> None:
    of_two = StreetPlan(vehicles=2, rate_hz=20, seconds=0.5, seed=5).slices
    plan = FleetPlan(trackers(), of_two, connects_when_due=when_due)
    result = await run_fleet(plan, BrokerAddress.parse(broker.url))
    assert result.final.connects == connects
    assert result.final.sent == result.final.acknowledged == 20


async def test_no_broker_is_said_with_its_address() -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=1, seconds=1, seed=6)
    plan = FleetPlan(trackers(), streets.slices, connect_timeout_s=0.3)
    with pytest.raises(
        FleetError, match=r"5 of 5 trackers did not connect to mqtt://127\.0\.0\.1:9"
    ):
        await run_fleet(plan, BrokerAddress("127.0.0.1", 9))


@pytest.mark.parametrize("connections", [FLEET, 2])
async def test_trackers_that_are_not_let_in_end_the_run(
    private_broker: Callable[..., BrokerUnderTest], connections: int
) -> None:
    broker = private_broker(allow_anonymous="false")
    streets = StreetPlan(vehicles=FLEET, rate_hz=10, seconds=10, seed=6)
    plan = FleetPlan(trackers(), streets.slices, connections=connections)
    with pytest.raises(FleetError, match="refused the connection"):
        await run_fleet(plan, BrokerAddress.parse(broker.url))


def test_a_plan_without_trackers_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to"):
        FleetPlan([], StreetPlan(1, 1, 1, 1).slices)


# Taking turns, trouble, receipts ------------------------------------------------------------------


async def test_trackers_that_take_turns_at_few_connections_send_all_in_order(
    broker: BrokerUnderTest,
) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=20, seconds=1, seed=7)
    plan = FleetPlan(trackers(), streets.slices, fixes_per_message=2, connections=2)
    open_at_once: list[int] = []
    async with observer(broker) as session:
        await session.connected.wait()
        result = await run_fleet(
            plan,
            BrokerAddress.parse(broker.url),
            on_progress=lambda progress: open_at_once.append(progress.connected),
        )
        found = await arrived(session, [t.tracker_id for t in plan.trackers], 20 * FLEET)
    assert result.final.sent == result.final.acknowledged == 20 * FLEET
    assert result.final.connects > FLEET
    assert max(open_at_once) <= 2
    assert result.final.lags.count > 0
    assert found == planned(result, plan)


async def test_a_storm_of_reconnects_loses_nothing_and_keeps_the_order(
    broker: BrokerUnderTest,
) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=50, seconds=3, seed=8)
    plan = FleetPlan(trackers(), streets.slices, faults=Faults({"reconnect": 1}))
    ids = [tracker.tracker_id for tracker in plan.trackers]
    async with observer(broker) as session:
        await session.connected.wait()
        result = await run_fleet(plan, BrokerAddress.parse(broker.url))
        found = await arrived(session, ids, 150 * FLEET)
    assert result.final.acknowledged == 150 * FLEET
    for tracker_id, sent in planned(result, plan).items():
        assert list(dict.fromkeys(found[tracker_id])) == sent


async def _answer_the_second_time(session: Session, seen: dict[bytes, int]) -> None:
    """Answer as a system that gives a receipt only for what comes again."""
    while True:
        messages = await session.receive()
        session.acknowledge(messages)
        for message in messages:
            data = message.correlation_data
            assert data is not None
            key = message.topic.encode() + data
            seen[key] = seen.get(key, 0) + 1
            if seen[key] >= 2:
                tracker_id = message.topic.split("/")[1]
                session.publish_nowait(ack_topic(tracker_id), b"{}", correlation_data=data)


@pytest.mark.parametrize("connections", [FLEET, 2])
async def test_a_message_without_a_receipt_is_sent_again_and_counts_when_it_has_one(
    broker: BrokerUnderTest, connections: int
) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=20, seconds=0.5, seed=9)
    plan = FleetPlan(trackers(), streets.slices, receipts_s=0.3, connections=connections)
    seen: dict[bytes, int] = {}
    async with observer(broker) as session:
        await session.connected.wait()
        answering = asyncio.create_task(_answer_the_second_time(session, seen))
        result = await run_fleet(plan, BrokerAddress.parse(broker.url))
        answering.cancel()
    assert result.final.sent == result.final.acknowledged == 10 * FLEET
    assert result.final.sent_again >= 10 * FLEET
    assert all(count >= 2 for count in seen.values())


async def test_what_gets_no_receipt_is_not_acknowledged(broker: BrokerUnderTest) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=20, seconds=0.2, seed=10)
    plan = FleetPlan(trackers(), streets.slices, receipts_s=0.2, settle_s=0.5)
    result = await run_fleet(plan, BrokerAddress.parse(broker.url))
    assert result.final.acknowledged == 0
    assert result.final.failed == result.final.sent == 4 * FLEET
    assert result.ledger is not None
    assert len(result.ledger.unsettled_fixes()) == 4 * FLEET


async def test_truncated_messages_are_sent_so_and_noted(broker: BrokerUnderTest) -> None:
    streets = StreetPlan(vehicles=FLEET, rate_hz=100, seconds=0.5, seed=11)
    plan = FleetPlan(trackers(), streets.slices, faults=Faults({"truncated": 0.3}), seed=3)
    async with observer(broker) as session:
        await session.connected.wait()
        result = await run_fleet(plan, BrokerAddress.parse(broker.url))
        payloads: list[bytes] = []
        while len(payloads) < 50 * FLEET:
            messages = await asyncio.wait_for(session.receive(), PATIENCE_S)
            session.acknowledge(messages)
            payloads += [message.payload for message in messages]
    assert result.ledger is not None
    broken = sum(len(decode([content], [Format.NATIVE]).batch) == 0 for content in payloads)
    assert 0 < broken == np.count_nonzero(~result.ledger.messages["is_whole"])
