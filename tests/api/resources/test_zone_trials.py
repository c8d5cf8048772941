"""Zones that are tried over stored fixes, through HTTP."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.resources.zones import trial
from geofence.judging.evaluator import evaluate
from geofence.judging.state import State
from geofence.model.rules import Rules
from geofence.model.transitions import CAUSE_WORDS, INFERRED_WORDS, TRANSITION_WORDS
from geofence.shapes.geojson import read_shape
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows
from telemetry.ids import parse_id
from telemetry.times import to_datetime, to_us
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import point, square
from tests.api.stored import Carried, carried, minute, text

ZONE: dict[str, Any] = {"name": "Quarry", "geometry": square(8, 47)}
INSIDE, OUTSIDE, FAR = (8.005, 47.005), (8.015, 47.005), (9.0, 48.0)
Fix = tuple[float, tuple[float, float]]
"""The minute of a fix, and its place."""


def store(api: RunningApi, org: Organization, who: Carried, *fixes: Fix, **columns: Any) -> None:
    """Store fixes of a machine."""
    values = {"speed_mps": None, "accuracy_m": 5.0, **columns}
    for at, (lon, lat) in fixes:
        api.sql(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, flags,"
            " speed_mps, accuracy_m) VALUES (%s, %s, %s, 0, %s, %s, %s, 0, %s, %s)",
            *(org.org_id, parse_id("trk", who.tracker_id), minute(at), minute(at), lat, lon),
            *values.values(),
        )


async def tried(org: Organization, **body: Any) -> Answer:
    span = {"from": text(minute(-60)), "to": text(minute(600))}
    return await org.dispatcher.post("/v1/zones/try", ZONE | span | body)


async def found(org: Organization, **body: Any) -> dict[str, Any]:
    answer = await tried(org, **body)
    assert answer.status == 200, answer.json
    return answer.json


def told(answer: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Return the machine, the transition and the event of each."""
    rows = answer["data"]
    return [(row["asset_id"], row["transition"], row["event_type"]) for row in rows]


async def test_a_visit_and_a_passing_through_are_told_and_nothing_is_made(
    api: RunningApi, org: Organization
) -> None:
    stays, passes = await carried(org, "Stays"), await carried(org, "Passes")
    store(api, org, stays, (0, OUTSIDE), (5, INSIDE), (6, INSIDE), (9, OUTSIDE), (10, OUTSIDE))
    store(api, org, passes, (20, (7.995, 47.005)), (21, OUTSIDE))
    before = (await org.admin.get("/v1/audit-events")).json["data"]
    answer = await found(org, kind="allowed", dwell_seconds=60)
    assert [(row["asset_id"], row["transition"], row["inferred"]) for row in answer["data"]] == [
        (stays.asset_id, "enter", None),
        (stays.asset_id, "dwell", "timer"),
        (stays.asset_id, "exit", None),
        (passes.asset_id, "enter", "segment"),
        (passes.asset_id, "exit", "segment"),
    ]
    assert [row["occurred_at"] for row in answer["data"][:3]] == [
        text(minute(at)) for at in (5, 6, 9)
    ]
    assert [row["event_type"] for row in answer["data"]] == [
        *(None, "asset.geofence_dwell", "asset.geofence_breach"),
        *(None, None),  # an allowed zone says nothing of who passes through
    ]
    counts = {"enter": 2, "exit": 2, "dwell": 1, "overspeed": 0, "pass_through": 1, "alerts": 2}
    assert (answer["counts"], answer["fixes"], answer["is_cut"]) == (counts, 7, False)
    assert {row["judged_to"] for row in answer["assets"]} == {text(minute(600))}
    assert (await org.admin.get("/v1/zones")).json["total"] == 0
    assert (await org.admin.get("/v1/visits")).json["total"] == 0
    assert (await org.admin.get("/v1/audit-events")).json["data"] == before


async def test_it_is_what_the_engine_says(api: RunningApi, org: Organization) -> None:
    chance = random.Random(4711)
    fleet = [await carried(org, f"Truck {number}") for number in range(3)]
    rows: list[tuple[int, float, float, float, float]] = []
    for number, who in enumerate(fleet):
        lon, lat = 8.005, 47.005
        for step in range(120):
            lon += chance.uniform(-0.004, 0.004) - (lon - 8.005) * 0.1
            lat += chance.uniform(-0.004, 0.004) - (lat - 47.005) * 0.1
            accuracy_m = float(chance.choice((5, 20, 80)))
            store(api, org, who, (step, (lon, lat)), accuracy_m=accuracy_m)
            rows.append((number, step, lon, lat, accuracy_m))
    rules = {"exit_buffer_m": 20, "enter_confirm_fixes": 2, "dwell_seconds": 300}
    answer = await found(org, **rules, asset_ids=[who.asset_id for who in fleet])
    expected = _judged(rows, Rules(**rules))
    assert len(expected) > 20
    numbers = {who.asset_id: number for number, who in enumerate(fleet)}
    names = ("transition", "cause", "inferred", "lat", "lon")
    shown = [
        (numbers[row["asset_id"]], row["occurred_at"], *(row[name] for name in names))
        for row in answer["data"]
    ]
    assert sorted(shown, key=str) == sorted(expected, key=str)
    times = [row["occurred_at"] for row in answer["data"]]
    assert times == sorted(times)


def _judged(rows: list[tuple[int, float, float, float, float]], rules: Rules) -> list[Any]:
    """Return what the engine finds, as the answer has it."""
    fixes = blank_rows(len(rows))
    for name, place in (("asset", 0), ("lon", 2), ("lat", 3), ("accuracy_m", 4)):
        fixes[name] = [row[place] for row in rows]
    fixes["tracker"], fixes["organization"], fixes["known"] = fixes["asset"], 0, Known.ACCURACY
    fixes["time_us"] = [to_us(minute(row[1])) for row in rows]
    shape = read_shape(ZONE["geometry"])
    index = ZoneIndex([ZoneVersion(0, 1, 0, shape, rules=rules)])
    transitions = evaluate(FixBatch(fixes), State(), index, to_us(minute(600))).transitions
    return [
        (
            int(one["asset"]),
            _written(to_datetime(int(one["time_us"]))),
            TRANSITION_WORDS[one["transition"]],
            CAUSE_WORDS[one["cause"]],
            INFERRED_WORDS[one["inferred"]],
            float(one["lat"]),
            float(one["lon"]),
        )
        for one in transitions
    ]


def _written(at: datetime) -> str:
    return text(at) if at.microsecond == 0 else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def test_without_chosen_machines_those_near_the_zone_are_looked_at(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    often, seldom, away = [await carried(org, name) for name in ("Often", "Seldom", "Away")]
    store(api, org, often, *((10.0 * at, INSIDE) for at in range(9)))
    store(api, org, seldom, (0, FAR), (30, OUTSIDE), (60, FAR))
    store(api, org, away, (0, FAR), (10, FAR))
    answer = await found(org)
    assert [row["asset_id"] for row in answer["assets"]] == [often.asset_id, seldom.asset_id]
    assert not answer["is_cut"]
    monkeypatch.setattr(trial, "MOST_ASSETS", 1)
    answer = await found(org)
    assert [row["asset_id"] for row in answer["assets"]] == [often.asset_id]
    assert answer["is_cut"]


async def test_machines_that_the_zone_does_not_bear_on_are_left_out(
    api: RunningApi, org: Organization
) -> None:
    crane, truck = await carried(org, "Crane"), await carried(org, "Truck")
    await org.admin.patch(f"/v1/assets/{crane.asset_id}", {"tags": ["crane"]})
    for who in (crane, truck):
        store(api, org, who, (1, INSIDE))
    both = [crane.asset_id, truck.asset_id]
    for chosen, wanted in (
        ({"tags": ["crane"]}, [crane.asset_id]),
        ({"ids": [truck.asset_id]}, [truck.asset_id]),
        ({"ids": [truck.asset_id], "tags": ["crane"]}, both),
    ):
        for asked in ({}, {"asset_ids": both}):
            answer = await found(org, assets=chosen, **asked)
            assert sorted(row["asset_id"] for row in answer["assets"]) == sorted(wanted)


async def test_settings_of_the_organization_hold(api: RunningApi, org: Organization) -> None:
    truck = await carried(org)
    store(api, org, truck, (1, INSIDE), (2, OUTSIDE), (3, INSIDE))
    assert told(await found(org)) == [(truck.asset_id, "enter", "asset.geofence_breach")]
    changed = await org.admin.patch("/v1/organization", {"exit_confirm_fixes": 1})
    assert changed.status == 200, changed.json
    assert [each for _, each, _ in told(await found(org))] == ["enter", "exit", "enter"]


async def test_the_beginning_of_hours_is_told(api: RunningApi, org: Organization) -> None:
    truck = await carried(org)
    store(api, org, truck, (-10, INSIDE), (200, INSIDE))
    windows = [{"days": ["sun"], "from": "13:00", "to": "14:00"}]  # START is a Sunday, noon
    hours = {"timezone": "UTC", "windows": windows}
    assert told(await found(org, schedule=hours)) == [
        (truck.asset_id, "enter", None),
        (truck.asset_id, "schedule", "asset.geofence_breach"),
    ]


async def test_a_circle_and_the_speed_limit_are_tried(api: RunningApi, org: Organization) -> None:
    truck = await carried(org)
    store(api, org, truck, (1, INSIDE), speed_mps=20.0)
    circle = {"geometry": point(*INSIDE), "radius_m": 100, "speed_limit_mps": 10, "kind": "yard"}
    assert told(await found(org, **circle)) == [
        (truck.asset_id, "enter", None),
        (truck.asset_id, "overspeed", "asset.overspeed"),
    ]


async def test_fixes_beyond_the_bound_are_left_out_and_it_is_said(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = await carried(org, "Few"), await carried(org, "Many")
    store(api, org, few, (0, INSIDE))
    store(api, org, many, *((float(at), INSIDE) for at in range(30)))
    monkeypatch.setattr(trial, "MOST_FIXES", 20)
    monkeypatch.setattr(trial, "_PAGE", 7)
    answer = await found(org, asset_ids=[few.asset_id, many.asset_id])
    assert [(row["fixes"], row["judged_to"]) for row in answer["assets"]] == [
        (1, text(minute(600))),
        (19, text(minute(18))),
    ]
    assert (answer["fixes"], answer["is_cut"]) == (20, True)
    # Whether it stayed on is not known: a machine whose fixes are all known has stayed.
    answer = await found(org, asset_ids=[few.asset_id, many.asset_id], dwell_seconds=3_600)
    assert [who for who, word, _ in told(answer) if word == "dwell"] == [few.asset_id]
    monkeypatch.setattr(trial, "MOST_FIXES", 31)
    answer = await found(org, asset_ids=[few.asset_id, many.asset_id])
    assert (answer["fixes"], answer["is_cut"]) == (31, False)


async def test_what_is_asked_for_has_bounds(org: Organization) -> None:
    late = text(minute(600) + timedelta(hours=14))
    for body, pointer in (
        ({"to": late}, "/to"),
        ({"to": text(minute(-60))}, "/to"),
        ({"asset_ids": [(await carried(org)).asset_id] * 21}, "/asset_ids"),
        ({"asset_ids": []}, "/asset_ids"),
        ({"geometry": point()}, "/geometry/type"),
        ({"schedule": {"timezone": "UTC", "windows": []}}, "/schedule/windows"),
    ):
        answer = await tried(org, **body)
        assert answer.status == 422, body
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_no_more_than_three_wait(api: RunningApi, org: Organization) -> None:
    store(api, org, await carried(org), (1, INSIDE))
    answers = await asyncio.gather(*(tried(org) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 429, 429]
    refused = {answer.json["code"] for answer in answers if answer.status == 429}
    assert refused == {"too_many_requests"}


async def test_machines_of_others_are_not_found_and_viewers_may_not(
    north: Organization, south: Organization
) -> None:
    ours, theirs = await carried(north), await carried(south)
    answer = await tried(north, asset_ids=[ours.asset_id, theirs.asset_id])
    assert answer.status == 404
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/asset_ids/1"]
    span = {"from": text(minute(0)), "to": text(minute(1))}
    for caller in (north.viewer, north.technician):
        assert (await caller.post("/v1/zones/try", ZONE | span)).status == 403
