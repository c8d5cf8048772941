"""Figures of each second: counts and latencies of that second alone."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from device_sim.fleet import FleetProgress, Stage
from device_sim.latency import Latencies
from stack.errors import StackError
from stack.sim.figures import COLUMNS, RunFigures, writing_figures
from stack.sim.progress import RunState, Shown
from stack.verify.verify import Totals
from tests.waiting import until

NOTHING = FleetProgress(
    stage=Stage.SENDING,
    elapsed_s=0.0,
    trackers=3,
    connected=1,
    sent=0,
    acknowledged=0,
    failed=0,
    rate_hz=0.0,
)


class NoView:
    """A view that shows nothing."""

    def show(self, state: RunState) -> None:
        pass


def recorded(*latencies_s: float) -> Latencies:
    latencies = Latencies()
    for latency_s in latencies_s:
        latencies.record(latency_s)
    return latencies


def states() -> list[RunState]:
    first = replace(NOTHING, sent=10, acknowledged=9, latencies=recorded(0.5))
    second = replace(first, sent=14, acknowledged=14, connected=3, latencies=recorded(0.5, 0.002))
    return [
        RunState("registering 3 trackers, 2 zones"),
        RunState("sending", 100, first, Totals(7, 1, 0)),
        RunState("sending", 100, second, Totals(9, 1, 1), to_stored=recorded(0.040)),
    ]


@pytest.mark.parametrize("as_csv", [True, False])
def test_a_row_has_what_that_second_brought(as_csv: bool) -> None:
    file = StringIO()
    figures = RunFigures(file, as_csv=as_csv)
    for state in states():
        figures.note(state)
    lines = file.getvalue().splitlines()
    rows = list(csv.DictReader(lines)) if as_csv else [json.loads(line) for line in lines]
    assert all(tuple(row) == COLUMNS for row in rows)
    told = [{name: str(value) for name, value in row.items()} for row in rows]
    assert [row["second"] for row in told] == ["0", "1", "2"]
    assert [row["stage"] for row in told] == ["registering", "sending", "sending"]
    assert told[0]["sent"] == ("" if as_csv else "None")
    assert [row["sent"] for row in told[1:]] == ["10", "4"]
    assert [row["acknowledged"] for row in told[1:]] == ["9", "5"]
    assert [row["stored"] for row in told[1:]] == ["7", "2"]
    assert [row["webhooks"] for row in told[1:]] == ["0", "1"]
    assert float(told[1]["to_acknowledged_p50_ms"]) == 500
    assert float(told[2]["to_acknowledged_max_ms"]) == pytest.approx(2, rel=0.06)
    assert float(told[2]["to_stored_p50_ms"]) == pytest.approx(40, rel=0.06)


async def test_the_file_is_written_while_the_run_goes_on_and_has_its_end(tmp_path: Path) -> None:
    path = tmp_path / "run.ndjson"
    shown = Shown(NoView())
    async with writing_figures(path, shown):
        shown.state = states()[1]
        await until(path.read_text)
        shown.state = replace(states()[2], stage="done")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(row["sent"] for row in rows) == 14
    assert len(rows) > 1
    assert rows[-1]["stage"] == "done"


async def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "run.csv"
    with pytest.raises(StackError, match=r"cannot write .*nowhere/run\.csv: No such file"):
        async with writing_figures(path, Shown(NoView())):
            pass
