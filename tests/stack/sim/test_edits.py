"""Edits of a run: what is noted of them is what the API has."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from device_sim.plan import SimTracker
from stack.scenario.api_client import ApiClient
from stack.scenario.registration import Registered
from stack.sim.edits import Editor, EditTiming, Sending
from stack.verify.run_history import RunHistory
from telemetry.times import parse_time_us
from tests.api.running import Organization, RunningApi, running_api
from tests.api.stored import Carried, carried, store_fixes
from tests.servers import DatabaseUnderTest

AT_ONCE = EditTiming(pause_s=0, off_s=0.01, patience_s=0)
ROUND = 5  # edits: drawn, moved away, drawn, a tracker off and on, deleted


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    with running_api(database) as running:
        yield running


def history_of(vehicle: Carried) -> RunHistory:
    tracker = SimTracker(vehicle.tracker_id, "secret")
    return RunHistory.of(Registered([tracker], [vehicle.asset_id], [], 0, [[]]), [])


async def edited(api: RunningApi, org: Organization, history: RunHistory, count: int) -> Editor:
    """Make `count` edits while nobody sends."""
    sending = Sending(interval_s=0.1)
    sending.has_begun.set()
    sending.is_over.set()
    async with ApiClient(api.url, org.admin.token) as client:
        editor = Editor(client, history, sending, AT_ONCE)
        await editor.make(count, asyncio.Event())
    return editor


async def versions(org: Organization, zone_id: str) -> list[dict[str, Any]]:
    """Return the edits, the oldest first."""
    return (await org.viewer.walk(f"/v1/zones/{zone_id}/versions"))[::-1]


async def test_the_versions_that_are_noted_are_those_of_the_api(api: RunningApi) -> None:
    org = api.organization("Acme")
    vehicle = await carried(org)
    store_fixes(api, org, vehicle.tracker_id, [datetime.now(UTC)])
    history = history_of(vehicle)
    await edited(api, org, history, ROUND)
    assert len(history.zone_ids) == 2
    for zone, zone_id in enumerate(history.zone_ids):
        noted = [span for span in history.zones if span.zone == zone]
        stored = await versions(org, zone_id)
        assert [span.version for span in noted] == [one["version"] for one in stored] != []
        for span, one in zip(noted, stored, strict=True):
            assert span.is_like.geometry == one["geometry"]
            assert span.from_us == parse_time_us(one["valid_from"])
            if one["valid_to"] is not None:
                assert span.to_us == parse_time_us(one["valid_to"])


async def test_the_times_without_a_tracker_are_those_of_the_database(api: RunningApi) -> None:
    org = api.organization("Acme")
    vehicle = await carried(org)
    store_fixes(api, org, vehicle.tracker_id, [datetime.now(UTC)])
    history = history_of(vehicle)
    await edited(api, org, history, 2 * ROUND)
    stored = api.sql(
        "SELECT assigned_from, assigned_to FROM tracker_assignments WHERE tracker_id = %s"
        " ORDER BY assigned_from",
        vehicle.tracker,
    )
    noted = [(span.from_us, span.to_us) for span in history.assigned(0)]
    assert [to_us for _, to_us in noted[:2]] == [instant_us(row[1]) for row in stored[:2]]
    assert [from_us for from_us, _ in noted[1:]] == [instant_us(row[0]) for row in stored[1:]]
    assert len(stored) == len(noted) == 3
    assert stored[2][1] is None


def instant_us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


async def test_no_zone_is_drawn_round_a_tracker_that_never_sent(api: RunningApi) -> None:
    org = api.organization("Acme")
    history = history_of(await carried(org))
    editor = await edited(api, org, history, ROUND)
    assert history.zone_ids == editor.delays_s == []


async def test_no_edit_begins_after_the_run_was_stopped(api: RunningApi) -> None:
    org = api.organization("Acme")
    vehicle = await carried(org)
    store_fixes(api, org, vehicle.tracker_id, [datetime.now(UTC)])
    history, sending, stop = history_of(vehicle), Sending(1.0), asyncio.Event()
    sending.has_begun.set()
    stop.set()
    async with ApiClient(api.url, org.admin.token) as client:
        await Editor(client, history, sending, AT_ONCE).make(ROUND, stop)
    assert history.zone_ids == []
