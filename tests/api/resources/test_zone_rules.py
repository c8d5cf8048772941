"""What a zone asks for beyond its shape: rules, hours, and the assets that it is for."""

import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from api.resources.zones.options import RuleFields
from db.core.ids import new_id
from geofence.model.rules import Rules
from telemetry.ids import format_id
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square

DEFAULTS = asdict(Rules())
NIGHTS = {
    "timezone": "Europe/Zurich",
    "windows": [{"days": ["mon", "fri"], "from": "18:00", "to": "06:00"}],
}
# Each rule with its least and its greatest value, and one below and one above them.
LIMITS: dict[str, tuple[float, float, float, float]] = {
    "exit_buffer_m": (0, 10_000, -0.1, 10_000.1),
    "accuracy_clamp_m": (0, 10_000, -0.1, 10_000.1),
    "coarse_accuracy_m": (0, 100_000_000, -0.1, 100_000_000.1),
    "enter_confirm_fixes": (1, 1_000, 0, 1_001),
    "exit_confirm_fixes": (1, 1_000, 0, 1_001),
    "enter_confirm_seconds": (0, 86_400, -1, 86_400.5),
    "exit_confirm_seconds": (0, 86_400, -1, 86_400.5),
    "max_gap_seconds": (0, 86_400, -1, 86_400.5),
    "pass_min_m": (0, 1_000_000, -1, 1_000_001),
    "dwell_seconds": (math.ulp(0.0), 366 * 86_400, 0, 366 * 86_400 + 1),
    "close_after_silence_seconds": (math.ulp(0.0), 366 * 86_400, 0, 366 * 86_400 + 1),
    "speed_limit_mps": (math.ulp(0.0), 10_000, 0, 10_000.1),
}


async def new_zone(org: Organization, **more: Any) -> dict[str, Any]:
    made = await org.dispatcher.post("/v1/zones", {"name": "Yard", "geometry": square()} | more)
    assert made.status == 201, made.content
    return made.json


async def change(org: Organization, zone: dict[str, Any], **more: Any) -> dict[str, Any]:
    changed = await org.dispatcher.patch(f"/v1/zones/{zone['id']}", more)
    assert changed.status == 200, changed.content
    return changed.json


async def refused(org: Organization, **more: Any) -> list[str]:
    """Return where the faults are of a body that neither makes nor changes a zone."""
    zone = await new_zone(org)
    places: list[list[str]] = []
    for answer in (
        await org.dispatcher.post("/v1/zones", {"name": "x", "geometry": square()} | more),
        await org.dispatcher.patch(f"/v1/zones/{zone['id']}", more),
    ):
        assert answer.status == 422, answer.content
        places.append([fault["pointer"] for fault in answer.json["errors"]])
    assert (await org.viewer.get(f"/v1/zones/{zone['id']}")).json == zone
    assert places[0] == places[1]
    return places[0]


def test_every_rule_of_the_engine_can_be_given() -> None:
    assert list(RuleFields.model_fields) == list(DEFAULTS) == list(LIMITS)


async def test_a_zone_without_rules_shows_each_as_null(north: Organization) -> None:
    zone = await new_zone(north)
    assert {name: zone[name] for name in DEFAULTS} == dict.fromkeys(DEFAULTS)
    assert (zone["schedule"], zone["assets"], zone["width_m"]) == (None, None, None)


@pytest.mark.parametrize("bound", [0, 1])
async def test_rules_at_their_limits_are_taken_and_read_back(
    api: RunningApi, north: Organization, bound: int
) -> None:
    rules = {name: limits[bound] for name, limits in LIMITS.items()}
    Rules(**rules)  # pyright: ignore[reportArgumentType]  (the engine takes them too)
    zone = await new_zone(north, **rules)
    assert {name: zone[name] for name in rules} == rules
    assert (await north.viewer.get(f"/v1/zones/{zone['id']}")).json == zone
    assert zone in (await north.viewer.get("/v1/zones", limit=1000)).json["data"]


@pytest.mark.parametrize("name", LIMITS)
async def test_a_rule_beyond_its_limits_is_refused_here_as_by_the_engine(
    north: Organization, name: str
) -> None:
    for value in LIMITS[name][2:]:
        with pytest.raises(ValueError, match=name):
            Rules(**{name: value})  # pyright: ignore[reportArgumentType]
        assert await refused(north, **{name: value}) == [f"/{name}"]


@pytest.mark.parametrize("value", [True, "5", [5], 1.5])
async def test_a_rule_that_counts_fixes_is_a_whole_number(north: Organization, value: Any) -> None:
    assert await refused(north, exit_confirm_fixes=value) == ["/exit_confirm_fixes"]


async def test_only_the_rules_that_were_given_are_stored(
    api: RunningApi, north: Organization
) -> None:
    await new_zone(north, external_id="few", dwell_seconds=600, pass_min_m=None)
    stored = api.sql(
        "SELECT rules FROM zone_versions v JOIN zones z ON z.id = zone_id WHERE external_id = 'few'"
    )
    assert stored == [({"dwell_seconds": 600},)]


async def test_how_far_from_a_zone_a_punch_counts_is_kept_by_version(north: Organization) -> None:
    zone = await new_zone(north, punch_tolerance_m=40)
    assert await change(north, zone, punch_tolerance_m=40) == zone
    assert (await change(north, zone, punch_tolerance_m=None))["punch_tolerance_m"] is None
    versions = (await north.viewer.get(f"/v1/zones/{zone['id']}/versions")).json["data"]
    assert [one["punch_tolerance_m"] for one in versions] == [None, 40]
    assert await refused(north, punch_tolerance_m=-1) == ["/punch_tolerance_m"]


async def test_a_changed_rule_makes_a_version_and_leaves_the_others(north: Organization) -> None:
    zone = await new_zone(north, dwell_seconds=600, exit_buffer_m=25)
    second = await change(north, zone, exit_buffer_m=30, pass_min_m=5)
    assert (second["version"], second["dwell_seconds"]) == (2, 600)
    third = await change(north, zone, dwell_seconds=None)
    assert (third["version"], third["dwell_seconds"], third["exit_buffer_m"]) == (3, None, 30)
    assert await change(north, zone, exit_buffer_m=30, dwell_seconds=None) == third
    versions = (await north.viewer.get(f"/v1/zones/{zone['id']}/versions")).json["data"]
    shown = [(one["exit_buffer_m"], one["dwell_seconds"], one["pass_min_m"]) for one in versions]
    assert shown == [(30, None, 5), (30, 600, 5), (25, 600, None)]


async def test_hours_are_kept_as_they_were_given(north: Organization) -> None:
    zone = await new_zone(north, schedule=NIGHTS)
    assert zone["schedule"] == NIGHTS
    assert (await north.viewer.get(f"/v1/zones/{zone['id']}")).json == zone
    assert await change(north, zone, schedule=NIGHTS) == zone
    always = await change(north, zone, schedule=None)
    assert (always["version"], always["schedule"]) == (2, None)


@pytest.mark.parametrize(
    ("schedule", "pointer"),
    [
        ([], "/schedule"),
        ({}, "/schedule"),
        (NIGHTS | {"timezone": "Europe/Zürich"}, "/schedule/timezone"),
        (NIGHTS | {"windows": []}, "/schedule/windows"),
        (NIGHTS | {"holidays": []}, "/schedule/holidays"),
        (
            NIGHTS | {"windows": [{"days": ["mon", "xyz"], "from": "18:00", "to": "06:00"}]},
            "/schedule/windows/0/days/1",
        ),
        (
            NIGHTS | {"windows": [{"days": ["mon"], "from": "18:00", "to": "25:00"}]},
            "/schedule/windows/0/to",
        ),
    ],
)
async def test_hours_that_cannot_be_are_a_422_that_points_at_them(
    north: Organization, schedule: Any, pointer: str
) -> None:
    assert await refused(north, schedule=schedule) == [pointer]


async def test_a_zone_is_for_some_assets_by_id_and_tag(north: Organization) -> None:
    ids = [(await north.admin.post("/v1/assets", {"name": "x"})).json["id"] for _ in range(2)]
    chosen = {"ids": [ids[1], ids[0], ids[1]], "tags": ["spare", "crane", "crane"]}
    zone = await new_zone(north, assets=chosen)
    assert zone["assets"] == {"ids": ids, "tags": ["crane", "spare"]}
    assert (await north.viewer.get(f"/v1/zones/{zone['id']}")).json == zone
    assert await change(north, zone, assets={"tags": ["crane", "spare"], "ids": ids}) == zone
    by_tag = await change(north, zone, assets={"tags": ["crane"]})
    assert (by_tag["version"], by_tag["assets"]) == (2, {"ids": [], "tags": ["crane"]})
    for_all = await change(north, zone, assets=None)
    assert (for_all["version"], for_all["assets"]) == (3, None)


async def test_an_asset_of_another_organization_cannot_be_chosen(
    north: Organization, south: Organization
) -> None:
    own = (await north.admin.post("/v1/assets", {"name": "x"})).json["id"]
    foreign = (await south.admin.post("/v1/assets", {"name": "x"})).json["id"]
    nobodys = format_id("ast", new_id())
    chosen = {"ids": [foreign, own, nobodys], "tags": []}
    assert await refused(north, assets=chosen) == ["/assets/ids/0", "/assets/ids/2"]


@pytest.mark.parametrize(
    ("chosen", "pointer"),
    [
        ({}, "/assets"),
        ({"ids": [], "tags": []}, "/assets"),
        ([], "/assets"),
        ({"ids": ["trk_01h455vb4pex5vsknk084sn02q"]}, "/assets/ids/0"),
        ({"tags": ["Not a tag"]}, "/assets/tags/0"),
        ({"tags": ["x"], "names": []}, "/assets/names"),
        ({"ids": [format_id("ast", new_id())] * 1_001}, "/assets/ids"),
    ],
)
async def test_a_choice_that_cannot_be_is_a_422_that_points_at_it(
    north: Organization, chosen: Any, pointer: str
) -> None:
    assert await refused(north, assets=chosen) == [pointer]


def test_the_written_page_has_every_rule_with_its_default_and_limits() -> None:
    page = (Path(__file__).parents[3] / "docs" / "geofence.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+|none) \| (.*?) to ([\d,]+) \|", page, re.MULTILINE)
    written = {
        name: (default if default == "none" else _number(default), _number(greatest))
        for name, default, _, greatest in rows
    }
    assert written == {
        name: ("none" if DEFAULTS[name] is None else DEFAULTS[name], LIMITS[name][1])
        for name in DEFAULTS
    }


def _number(text: str) -> float:
    return float(text.replace(",", ""))
