"""A replay from file to file: the transitions are the same, in memory, streamed or from disk."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geofence.model.rules import Gates, Rules
from geofence.shapes.geojson import ZoneFeature
from stack.errors import StackError
from stack.replay.input.trace_file import TraceFile
from stack.replay.input.trace_rows import TRACE_DTYPE
from stack.replay.judge import Judge
from stack.replay.output.files import transition_file
from stack.replay.output.order import judge_by_device
from stack.replay.progress import NoView
from stack.replay.run import ReplayPlan, run_replay
from stack.replay.tally import Tally
from stack.replay.zones import ZoneSet, zone_set_of
from telemetry.times import format_time, parse_time_us

START_US = 1_767_225_600_000_000
SQUARES = [
    ZoneFeature(
        zone_id=name,
        name=None,
        geometry={
            "type": "Polygon",
            "coordinates": [[[w, 0], [w + 2, 0], [w + 2, 2], [w, 2], [w, 0]]],
        },
        radius_m=None,
        properties={},
    )
    for name, w in (("west", 0), ("east", 1))
]
RAW = zone_set_of(SQUARES, lambda text: None, Rules.raw(), raw=True)
RULED = zone_set_of(
    SQUARES,
    lambda text: None,
    Rules(exit_confirm_fixes=3, dwell_seconds=2, close_after_silence_seconds=4),
)

fixes = st.tuples(st.sampled_from("cab"), st.integers(0, 8), st.sampled_from([0.5, 1.5, 2.5, 9.0]))
traces = st.lists(fixes, max_size=40)
MIXED = [(device, time, 0.5 + time % 3) for time in range(12) for device in "acb"]
BREAKS = [("a", time, 0.5 + time % 3) for time in range(20)] + [("b", 0, 1.5), ("a", 25, 9.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


def replayed(
    folder: Path, trace: list[tuple[str, int, float]], zones: ZoneSet, **how: object
) -> list[str]:
    lines = [f"{d},{format_time(START_US + t * 1_000_000)},1,{lon}" for d, t, lon in trace]
    file, out = folder / "trace.csv", folder / "out.csv"
    file.write_text("\n".join(["device_id,time,lat,lon", *lines]))
    plan = ReplayPlan(
        TraceFile.of(file), zones, Gates.open(), now_us=START_US + 60_000_000, raw=zones is RAW,
        **how,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    done = run_replay(plan, lambda: transition_file(out, plain=False), NoView(), with_sample=True)
    assert done.tally.fixes == len(trace) == done.tally.judged + done.tally.repeated
    found = out.read_text().splitlines()[1:]
    assert done.tally.transitions.total() == len(found)
    assert done.sample is not None
    assert len(done.sample.transitions()) == len(found)
    assert sorted(path.name for path in folder.iterdir()) == ["out.csv", "trace.csv"]
    return found


@given(trace=traces)
@example(trace=MIXED)
@example(trace=BREAKS)
@example(trace=sorted(MIXED))
@pytest.mark.parametrize("zones", [RAW, RULED], ids=["raw", "ruled"])
def test_a_long_trace_gives_what_a_short_one_gives(folder, zones, trace):
    in_memory = replayed(folder, trace, zones)
    assert replayed(folder, trace, zones, run_rows=1) == in_memory
    assert sorted(replayed(folder, trace, zones, run_rows=1, by_device=False)) == sorted(in_memory)


@given(trace=traces)
def test_transitions_come_in_order_however_late_they_are_known(folder, trace):
    lines = [line.split(",") for line in replayed(folder, trace, RULED)]
    keys = [(device, parse_time_us(time)) for device, time, *_ in lines]
    assert keys == sorted(keys)
    for key in set(keys):
        at_once = [(line[3], line[2]) for line, own in zip(lines, keys, strict=True) if own == key]
        exits = [zone for kind, zone in at_once if kind == "exit"]
        assert at_once[: len(exits)] == [("exit", zone) for zone in sorted(exits)]


def test_each_visit_has_one_enter_then_one_dwell_then_one_exit(folder):
    trace = [("a", 0, 0.5), ("a", 1, 0.5), ("a", 3, -9.0), ("a", 4, -9.0), ("a", 5, -9.0)]
    silent = [("b", 1, 2.5)]
    found = [line.split(",") for line in replayed(folder, trace + silent, RULED)]
    assert [(f[0], f[1][17:19], *f[2:4], *f[6:9]) for f in found] == [
        ("a", "00", "west", "enter", "initial", "", ""),
        ("a", "02", "west", "dwell", "moved", "timer", "2"),
        ("a", "03", "west", "exit", "moved", "", "3"),
        ("b", "01", "east", "enter", "initial", "", ""),
        ("b", "03", "east", "dwell", "moved", "timer", "2"),
        ("b", "05", "east", "exit", "silence", "timer", "4"),
    ]


@pytest.mark.parametrize("max_held", [1, 10, 1_000])
def test_of_too_many_transitions_of_one_device_the_older_go_first(max_held):
    rows = np.zeros(60, TRACE_DTYPE)
    rows["time_us"], rows["lat"], rows["lon"] = np.arange(60), 1, np.arange(60) % 4 + 0.5
    rows["tracker"] = np.arange(60) >= 50
    judge = Judge(RAW, ["a", "b"], Gates.open(), START_US, Tally())
    portions = (rows[place : place + 1] for place in range(60))
    found = list(judge_by_device(judge, portions, ["a", "b"], max_held))
    assert max(map(len, found)) <= max(max_held, 30)
    times = np.concatenate(found)["time_us"].tolist()
    assert len(times) == 60
    assert times == sorted(times)


def test_a_failure_leaves_neither_transitions_nor_a_part_of_them(tmp_path):
    trace, out = tmp_path / "trace.csv", tmp_path / "out.csv"
    good = "".join(f"a,{format_time(START_US + t)},1,{t % 3}\n" for t in range(50_000))
    trace.write_text("device_id,time,lat,lon\n" + good + "a,never,1,1\n")
    plan = ReplayPlan(
        TraceFile.of(trace), RAW, Gates.open(), now_us=START_US, raw=True, run_rows=99
    )
    with pytest.raises(StackError, match="line 50002"):
        run_replay(plan, lambda: transition_file(out, plain=True), NoView(), with_sample=False)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.csv"]
