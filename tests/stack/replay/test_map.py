"""The map of a replay: what is in the page, that it is well-formed, and that its script runs."""

import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from geofence.model.policy import BREACH
from geofence.shapes.geojson import ZoneFeature
from stack.cli.main import build
from stack.replay.input.trace_rows import TRACE_DTYPE
from stack.replay.output.formats import TransitionRows
from stack.replay.output.map_page import MAX_ZONES, map_page
from stack.replay.output.map_sample import MapSample
from tests.clients.node import NODE

HOSTILE = "</script><script>alert(1)</script><!--"
RUN = Path(__file__).with_name("map_page_in_a_page.js")


class Page(HTMLParser):
    """The elements of a page and the text in each script; fails where tags do not close."""

    VOID = frozenset({"meta", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.title = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] == "title":
            self.title += data

    @property
    def data(self) -> dict:
        return json.loads(self.scripts[0])


def zone(zone_id: str, kind: str, coordinates: list, **measures: float) -> ZoneFeature:
    return ZoneFeature(
        zone_id=zone_id,
        name=f"name of {zone_id}",
        geometry={"type": kind, "coordinates": coordinates},
        radius_m=measures.get("radius_m"),
        properties={"kind": "yard"},
        width_m=measures.get("width_m"),
    )


SQUARE = [[[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]]]
ZONES = [
    zone(HOSTILE, "Polygon", SQUARE),
    zone("circle", "Point", [175, 5], radius_m=5_000),
    zone("road", "LineString", [[179, 1], [-179, 2]], width_m=50),
    zone("both", "MultiPolygon", [SQUARE, SQUARE]),
]


def rows_of(trackers: list[int], lon: list[float], lat: list[float]) -> np.ndarray:
    rows = np.zeros(len(trackers), TRACE_DTYPE)
    rows["tracker"], rows["lon"], rows["lat"] = trackers, lon, lat
    rows["time_us"] = np.arange(len(trackers)) * 1_000_000
    return rows


def transitions_of(device_id: str, zone_id: str, count: int = 1) -> TransitionRows:
    return TransitionRows(
        device_id=[device_id] * count,
        time_us=np.arange(count) * 1_000_000,
        zone_id=[zone_id] * count,
        transition=["enter"] * count,
        lat=np.full(count, 1.5),
        lon=np.full(count, -179.5),
        cause=["moved"] * count,
        inferred=["segment"] * count,
        dwell_s=np.full(count, np.nan),
        event=[BREACH] * count,
    )


def sample_of(device_id: str, zone_id: str) -> MapSample:
    sample = MapSample()
    rows = rows_of([0, 0, 0, 1], [178, 179.5, -179.5, 5], [1, 1, 1.5, 5])
    sample.add_fixes(rows, [device_id, "alone"])
    sample.add_transitions(transitions_of(device_id, zone_id))
    return sample


def test_a_page_holds_zones_tracks_and_transitions() -> None:
    page = Page(map_page("a & b <c>", ZONES, sample_of("cab", "circle"), "4 fixes"))
    assert page.title == "a & b <c>"
    data = page.data
    assert data["summary"] == "4 fixes"
    assert data["tracks"] == [
        {"id": "alone", "points": [5.0, 5.0], "times": [3000]},
        {"id": "cab", "points": [178.0, 1.0, 179.5, 1.0, 180.5, 1.5], "times": [0, 1000, 1000]},
    ]
    told = ["moved", "segment", BREACH]
    enter = ["cab", 0, "1970-01-01T00:00:00Z", "circle", "enter", -179.5, 1.5, *told]
    assert data["transitions"] == [enter]
    assert [len(zone["lines"]) for zone in data["zones"]] == [1, 1, 1, 2]
    assert data["zones"][0]["lines"][0][:4] == [170.0, 0.0, 190.0, 0.0]
    assert data["zones"][2]["lines"] == [[179.0, 1.0, 181.0, 2.0]]
    assert (data["zones"][1]["radius_m"], data["zones"][2]["width_m"]) == (5_000, 50)
    assert [zone["breaches"] for zone in data["zones"]] == [0, 1, 0, 0]


def test_a_zone_round_the_pole_is_closed_by_way_of_it() -> None:
    ring = [[0, -60], [120, -70], [-120, -70], [0, -60]]
    line = Page(map_page("x", [zone("ice", "Polygon", [ring])], MapSample(), "")).data["zones"][0]
    assert line["lines"][0] == [0, -60, 120, -70, 240, -70, 360, -60, 360, -90, 0, -90]


def test_a_page_needs_nothing_from_elsewhere() -> None:
    page = Page(map_page("x", ZONES, sample_of("cab", "circle"), ""))
    for _, attributes in page.attributes:
        assert attributes.keys().isdisjoint({"src", "href"})
    assert not any("http" in script for script in page.scripts)
    assert any("default-src 'none'" in (a.get("content") or "") for _, a in page.attributes)


@given(st.text(max_size=30), st.text(max_size=30))
def test_ids_and_names_never_become_markup(device_id: str, title: str) -> None:
    plain = Page(map_page("x", ZONES, sample_of("cab", "circle"), ""))
    for text in (HOSTILE, device_id + "</script>", title + "<!--<script>@@DATA@@"):
        page = Page(map_page(text, ZONES, sample_of(text, HOSTILE), text))
        assert [tag for tag, _ in page.attributes] == [tag for tag, _ in plain.attributes]
        assert page.data["transitions"][0][:4:3] == [text, HOSTILE]
        assert page.scripts[1] == plain.scripts[1]


def test_a_long_replay_is_thinned_and_the_page_says_so() -> None:
    sample = MapSample(max_points=100, max_transitions=10)
    for start in range(0, 1000, 100):
        lat = [(start + i) / 1000 for i in range(100)]
        sample.add_fixes(rows_of([0] * 100, [0] * 100, lat), ["cab"])
    sample.add_transitions(transitions_of("cab", "z", 15))
    sample.add_transitions(transitions_of("cab", "z", 10))
    data = Page(map_page("x", [], sample, "")).data
    assert data["notes"] == [
        "63 of 1,000 fixes are drawn, one in 16",
        "7 of 25 transitions are drawn, one in 4",
    ]
    assert sorted(data["tracks"][0]["points"][1::2]) == [i * 16 / 1000 for i in range(63)]
    assert len(data["transitions"]) == 7


def test_breaches_are_counted_before_transitions_are_thinned() -> None:
    sample = MapSample(max_transitions=10)
    sample.add_transitions(transitions_of("cab", "circle", 25))
    data = Page(map_page("x", ZONES, sample, "")).data
    assert [zone["breaches"] for zone in data["zones"]] == [0, 25, 0, 0]


def test_a_chosen_device_is_not_thinned() -> None:
    sample = MapSample(max_points=100, max_transitions=10, chosen="cab")
    for start in range(0, 1000, 100):
        lat = [(start + i) / 1000 for i in range(100)]
        sample.add_fixes(rows_of([0, 1] * 50, [0] * 100, lat), ["bus", "cab"])
    sample.add_transitions(transitions_of("bus", "z", 25))
    sample.add_transitions(transitions_of("cab", "z", 10))
    data = Page(map_page("x", [], sample, "")).data
    assert data["notes"] == [
        "63 of 500 fixes of the other devices are drawn, one in 8",
        "7 of 25 transitions of the other devices are drawn, one in 4",
    ]
    bus, cab = data["tracks"]
    assert (len(bus["points"]), len(cab["points"])) == (2 * 63, 2 * 500)
    assert sorted(cab["points"][1::2]) == [i / 1000 for i in range(1, 1000, 2)]
    assert [found[0] for found in data["transitions"]] == ["bus"] * 7 + ["cab"] * 10


def test_a_chosen_device_beyond_all_bounds_is_thinned_and_the_page_says_so() -> None:
    sample = MapSample(chosen="cab", max_chosen_points=100)
    sample.add_fixes(rows_of([0] * 150, [0] * 150, [0] * 150), ["cab"])
    assert sample.knows_chosen
    assert sample.notes() == ["75 of 150 fixes of cab are drawn, one in 2"]


def test_too_many_zones_are_left_out_and_the_page_says_so() -> None:
    zones = [zone(f"z{i}", "Point", [0, 0], radius_m=1) for i in range(MAX_ZONES + 1)]
    data = Page(map_page("x", zones, MapSample(), "")).data
    assert (len(data["zones"]), data["notes"]) == (5_000, ["5,000 of 5,001 zones are drawn"])


def run_script(page: str, folder: Path) -> dict:
    file = folder / "page.html"
    file.write_text(page, "utf-8")
    done = subprocess.run([NODE, RUN, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_script_draws_and_tells_of_a_transition(tmp_path: Path) -> None:
    page = map_page("x", ZONES, sample_of(HOSTILE, HOSTILE), "")
    seen = run_script(page, tmp_path)
    assert seen["told"] == [
        f"{HOSTILE}\n1970-01-01T00:00:00Z\nenter {HOSTILE} (name of {HOSTILE})\n"
        f"kind: yard\nmoved, segment\n{BREACH}"
    ]
    assert seen["devices"] == [HOSTILE, "alone"]
    assert seen["drawn"]["ellipse"] == 1
    assert seen["only"] == [HOSTILE]


def test_the_view_holds_all_tracks_and_all_zones(tmp_path: Path) -> None:
    seen = run_script(map_page("x", ZONES, sample_of("cab", "circle"), ""), tmp_path)
    assert seen["everything"] == [5, 0, 190, 10]


def test_zones_are_named_with_their_breaches(tmp_path: Path) -> None:
    far = zone("far", "Polygon", [[[0, 20], [9, 20], [9, 29], [0, 29], [0, 20]]])
    seen = run_script(map_page("x", [*ZONES, far], sample_of("cab", "both"), ""), tmp_path)
    assert {"name of both (1)", "name of far"} <= set(seen["names"])


def test_a_corridor_is_named_halfway_along_it(tmp_path: Path) -> None:
    bent = zone("bent", "LineString", [[0, 0], [4, 0], [4, 0], [4, 0.5], [4, 8]], width_m=50)
    point = zone("point", "LineString", [[1, 1], [1, 1]], width_m=50)
    square = zone("square", "Polygon", [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]])
    page = map_page("x", [bent, point, square], MapSample(), "")
    assert run_script(page, tmp_path)["middles"] == [[4, 2], [1, 1], [1, 1]]


def test_a_name_leaves_the_middle_of_a_high_zone_free(tmp_path: Path) -> None:
    high = zone("high", "Polygon", [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]])
    flat = zone("flat", "Polygon", [[[3, 0], [9, 0], [9, 0.01], [3, 0.01], [3, 0]]])
    seen = run_script(map_page("x", [high, flat], MapSample(), ""), tmp_path)
    heights = dict(zip(seen["names"], seen["nameHeights"], strict=True))
    middle_of_high, middle_of_flat = seen["middleHeights"]
    assert heights["name of high"] < middle_of_high - 12
    assert heights["name of flat"] == middle_of_flat


def test_no_track_has_the_colour_of_a_breach(tmp_path: Path) -> None:
    sample = MapSample()
    sample.add_fixes(rows_of(list(range(100)), [5] * 100, [5] * 100), [f"d{i}" for i in range(100)])
    hues = run_script(map_page("x", [], sample, ""), tmp_path)["hues"]
    assert len(set(hues)) > 90
    assert all(40 <= hue <= 340 for hue in hues)


@pytest.mark.parametrize(("devices", "is_open"), [(12, True), (13, False)])
def test_a_short_list_of_devices_is_open(tmp_path: Path, devices: int, is_open: bool) -> None:
    sample = MapSample()
    names = [f"d{i}" for i in range(devices)]
    sample.add_fixes(rows_of(list(range(devices)), [5] * devices, [5] * devices), names)
    assert run_script(map_page("x", [], sample, ""), tmp_path)["isListOpen"] is is_open


def test_the_slider_shows_what_was_until_then(tmp_path: Path) -> None:
    seen = run_script(map_page("x", ZONES, sample_of("cab", "circle"), ""), tmp_path)
    # instant, transitions, fixes of "alone" (at 3 s) and "cab" (at 0, 1 and 2 s)
    assert seen["times"] == [
        ["1970-01-01T00:00:00Z", 1, [0, 1]],
        ["1970-01-01T00:00:01Z", 1, [0, 2]],
        ["1970-01-01T00:00:03Z", 1, [1, 3]],
        ["1970-01-01T00:00:03Z", 0, [1, 0]],
    ]
    assert seen["hasSlider"]


def test_without_two_times_there_is_no_slider(tmp_path: Path) -> None:
    seen = run_script(map_page("x", ZONES, MapSample(), ""), tmp_path)
    assert not seen["hasSlider"]


def test_the_script_tells_the_scale(tmp_path: Path) -> None:
    seen = run_script(map_page("x", ZONES, sample_of("cab", "circle"), ""), tmp_path)
    assert seen["scale"].endswith("km")


@pytest.mark.parametrize("zones", [[], ZONES[1:2]])
def test_the_script_draws_a_replay_without_fixes(tmp_path: Path, zones: list[ZoneFeature]) -> None:
    assert run_script(map_page("x", zones, MapSample(), ""), tmp_path)["told"] == []


def test_replay_draws_a_map(tmp_path: Path) -> None:
    ring = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "id": "z", "properties": {}, "geometry": geometry}
    zones, trace, out = (tmp_path / name for name in ("z.geojson", "t.csv", "map.html"))
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    trace.write_text("device_id,time,lat,lon\na,2026-01-01T00:00:00Z,1,1\n")
    options = ["--zones", str(zones), "--fixes", str(trace), "--map", str(out)]
    result = CliRunner().invoke(build("replay"), ["replay", *options])
    assert result.exit_code == 0
    page = Page(out.read_text("utf-8"))
    assert page.title == "t.csv"
    assert "1 fixes of 1 devices" in page.data["summary"]
    assert [found[:5] for found in page.data["transitions"]] == [
        ["a", 1_767_225_600_000, "2026-01-01T00:00:00Z", "z", "enter"]
    ]
