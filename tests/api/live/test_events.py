"""Events over WebSocket: each once, in order, whatever the reader and the database do."""

import asyncio
import random
import resource
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import websockets

from api.live.feeds import event_feed
from tests.api.live.reading import BREACH, emit, signed_in, stalled, subscribed
from tests.api.running import Organization, RunningApi
from tests.waiting import until

DWELL = "asset.geofence_dwell"
ORDERED = "work_order.created"


async def test_events_come_as_they_happen(api: RunningApi, north: Organization) -> None:
    async with subscribed(api.url, north.viewer) as reader:
        seqs = emit(api, north, 3, zone_name="Hof ä")
        first = await reader.next()
        shown = await north.viewer.get(f"/v1/events/{first['event']['id']}")
        assert first == {"op": "event", "event": shown.json}
        assert [first["event"]["seq"], *await reader.seqs(2)] == seqs


async def test_a_backlog_and_what_happens_meanwhile_are_one_sequence(
    api: RunningApi, south: Organization
) -> None:
    last = emit(api, south, 1)[-1]
    wanted = emit(api, south, 3 * event_feed.PAGE_ROWS, text="x" * 300)
    async with AsyncExitStack() as opened:
        readers = [
            await opened.enter_async_context(subscribed(api.url, south.viewer, after=last))
            for _ in range(5)
        ]
        for _ in range(20):
            wanted += await asyncio.to_thread(emit, api, south, random.randint(1, 30))
        for reader in readers:
            assert await reader.seqs(len(wanted)) == wanted


async def test_a_reader_without_after_begins_now_and_with_0_at_the_oldest(
    api: RunningApi, north: Organization
) -> None:
    before = emit(api, north, 2)
    async with (
        subscribed(api.url, north.viewer) as now,
        subscribed(api.url, north.viewer, after=0) as all_,
    ):
        (seq,) = emit(api, north)
        assert await now.seqs(1) == [seq]
        assert await all_.seqs(seq) == list(range(1, seq + 1))
        assert before[-1] < seq


async def test_a_reader_gets_the_types_that_it_wants(api: RunningApi, north: Organization) -> None:
    dwell, other, breach = (emit(api, north, 2, kind) for kind in (DWELL, ORDERED, BREACH))
    last = dwell[0] - 1
    async with (
        subscribed(api.url, north.viewer, after=last, types=["asset.*"]) as group,
        subscribed(api.url, north.viewer, after=last, types=[ORDERED, DWELL]) as two,
        subscribed(api.url, north.viewer, after=last, types=["*"]) as all_,
    ):
        later_other, later = emit(api, north, 2, ORDERED), emit(api, north, 2, DWELL)
        assert await group.seqs(6) == dwell + breach + later
        assert await two.seqs(8) == dwell + other + later_other + later
        assert await all_.seqs(10) == dwell + other + breach + later_other + later


async def test_a_rare_type_is_found_far_behind(
    api: RunningApi, north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "SPAN", 100)
    last = emit(api, north, 1)[-1]
    emit(api, north, 450)
    rare = emit(api, north, 1, ORDERED)
    async with subscribed(api.url, north.viewer, after=last, types=[ORDERED]) as reader:
        assert await reader.seqs(1) == rare


async def test_nobody_gets_events_of_another_organization(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    async with (
        subscribed(api.url, north.viewer, after=0) as ours,
        subscribed(api.url, south.viewer, after=0) as theirs,
    ):
        emit(api, north, 3, whose="north")
        emit(api, south, 3, whose="south")
        for reader, org in ((ours, north), (theirs, south)):
            newest = api.sql("SELECT event_seq FROM organizations WHERE org_id = %s", org.org_id)[
                0
            ][0]
            for _ in range(newest):
                assert (await reader.next())["event"]["organization_id"] == org.id


async def test_events_that_are_gone_are_an_error_and_not_a_gap(api: RunningApi) -> None:
    org = api.organization("Acme")
    seqs = emit(api, org, 5)
    api.sql("DELETE FROM events WHERE org_id = %s AND seq <= %s", org.org_id, seqs[2])
    async with signed_in(api.url, org.viewer) as reader:
        answer = await reader.ask("subscribe", id=1, channel="events", after=seqs[1])
        assert answer["code"] == "events_gone"
        assert f"after={seqs[2]}" in answer["detail"]
        answer = await reader.ask("subscribe", id=1, channel="events", after=seqs[2])
        assert answer["op"] == "subscribed"
        assert await reader.seqs(2) == seqs[3:]


async def test_events_that_go_while_they_are_read_end_the_connection(api: RunningApi) -> None:
    org = api.organization("Acme")
    seqs = emit(api, org, 2_000, text="x" * 2_000)
    async with subscribed(api.url, org.viewer, after=seqs[0] - 1, **narrow()) as reader:
        first = await reader.seqs(1)
        api.sql("DELETE FROM events WHERE org_id = %s AND seq < %s", org.org_id, seqs[-1])
        code, reason = await reader.closed()
    assert first == seqs[:1]
    assert (code, reason["code"]) == (4010, "events_gone")
    assert seqs[0] <= reason["seq"] < seqs[-1]


def resident_kib() -> int:
    """Return the memory that this process has now: API and clients."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def narrow() -> dict[str, Any]:
    """Return options of a client with little room for what it does not read."""
    return {"max_queue": 1}


async def test_a_reader_that_cannot_keep_up_is_told_where_to_go_on(
    api: RunningApi, south: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as opened:
        slow = await stalled(api, opened, south)
        quick = await opened.enter_async_context(subscribed(api.url, south.viewer))
        seqs = emit(api, south, 1_000, text="x" * 2_000)
        assert await quick.seqs(1_000) == seqs
        with monkeypatch.context() as patched:
            patched.setattr(api.live, "limits", replace(api.live.limits, stuck_s=0))
            await until(lambda: api.live.events.subscriptions == 1)
        slow.socket.transport.resume_reading()
        read: list[int] = []
        with suppress(websockets.ConnectionClosed):
            while True:
                read += await slow.seqs(1)
        code, reason = await slow.closed()
        assert (code, reason["code"]) == (4008, "too_slow")
        assert read == seqs[: len(read)]
        assert reason["seq"] == read[-1]
        again = await opened.enter_async_context(
            subscribed(api.url, south.viewer, after=reason["seq"])
        )
        assert await again.seqs(1_000 - len(read)) == seqs[len(read) :]


@pytest.mark.usefixtures("impatient")
async def test_slow_readers_cost_little_memory(api: RunningApi, south: Organization) -> None:
    async with AsyncExitStack() as opened:
        slow = [await stalled(api, opened, south) for _ in range(40)]
        before = resident_kib()
        for _ in range(10):
            emit(api, south, 500, text="x" * 4_000)  # 2 MB
        await until(lambda: api.live.events.subscriptions == 0)
        grown_kib = resident_kib() - before
        for reader in slow:
            reader.socket.transport.abort()
    assert grown_kib < 40 * 500  # of 800 MB that were to be sent


async def test_the_feed_survives_the_database(api: RunningApi, north: Organization) -> None:
    async with subscribed(api.url, north.viewer) as reader:
        (first,) = emit(api, north)
        assert await reader.seqs(1) == [first]
        api.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'test-api' AND datname = current_database()"
        )
        seqs = emit(api, north, 3)
        assert await reader.seqs(3) == seqs
