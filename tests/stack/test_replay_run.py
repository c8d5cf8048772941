"""A replay from file to file: the transitions are the same, in memory, streamed or from disk."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geofence.geojson import ZoneFeature
from geofence.rules import Gates, Rules
from stack.errors import StackError
from stack.replay_run import ReplayPlan, run_replay
from stack.replay_view import NoView
from stack.replay_zones import zone_set_of
from stack.trace_file import TraceFile
from stack.transition_files import transition_file
from telemetry.times import format_time

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
ZONES = zone_set_of(SQUARES, lambda text: None, Rules.raw(), raw=True)

fixes = st.tuples(st.sampled_from("cab"), st.integers(0, 8), st.sampled_from([0.5, 1.5, 2.5, 9.0]))
traces = st.lists(fixes, max_size=40)
MIXED = [(device, time, 0.5 + time % 3) for time in range(12) for device in "acb"]
BREAKS = [("a", time, 0.5 + time % 3) for time in range(20)] + [("b", 0, 1.5), ("a", 25, 9.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


def replayed(folder: Path, trace: list[tuple[str, int, float]], **how: object) -> list[str]:
    lines = [f"{d},{format_time(START_US + t * 1_000_000)},1,{lon}" for d, t, lon in trace]
    file, out = folder / "trace.csv", folder / "out.csv"
    file.write_text("\n".join(["device_id,time,lat,lon", *lines]))
    plan = ReplayPlan(
        TraceFile.of(file), ZONES, Gates.open(), now_us=START_US, raw=True,
        **how,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    done = run_replay(plan, lambda: transition_file(out, plain=True), NoView(), with_sample=True)
    assert done.tally.fixes == len(trace) == done.tally.judged + done.tally.repeated
    found = out.read_text().splitlines()[1:]
    assert done.tally.transitions.total() == len(found)
    assert done.sample is not None
    assert len(done.sample.transitions()) == len(found)
    assert sorted(path.name for path in folder.iterdir()) == ["out.csv", "trace.csv"]
    return found


@settings(max_examples=25)
@given(trace=traces)
@example(trace=MIXED)
@example(trace=BREAKS)
@example(trace=sorted(MIXED))
def test_a_long_trace_gives_what_a_short_one_gives(folder, trace):
    in_memory = replayed(folder, trace)
    assert replayed(folder, trace, run_rows=1) == in_memory
    assert sorted(replayed(folder, trace, run_rows=1, by_device=False)) == sorted(in_memory)


def test_a_failure_leaves_neither_transitions_nor_a_part_of_them(tmp_path):
    trace, out = tmp_path / "trace.csv", tmp_path / "out.csv"
    good = "".join(f"a,{format_time(START_US + t)},1,{t % 3}\n" for t in range(50_000))
    trace.write_text("device_id,time,lat,lon\n" + good + "a,never,1,1\n")
    plan = ReplayPlan(
        TraceFile.of(trace), ZONES, Gates.open(), now_us=START_US, raw=True, run_rows=1
    )
    with pytest.raises(StackError, match="line 50002"):
        run_replay(plan, lambda: transition_file(out, plain=True), NoView(), with_sample=False)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.csv"]
