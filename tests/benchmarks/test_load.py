"""The load generator and the counting subscriber, against a real broker."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.drive import Drive, DriveFailed, Sending, Timing
from benchmarks.common.gauges import Cell, Gauges
from benchmarks.common.payloads import Form
from benchmarks.common.stream import write_stream
from benchmarks.common.workload import Plan, rows_in_order_of_sending, span_us, tracks
from tests.servers import BrokerUnderTest

PLAN = Plan(trackers=10, zones=1)
FIXES_PER_TRACKER = 60


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    messages = rows_in_order_of_sending(tracks(PLAN, FIXES_PER_TRACKER), 1)
    write_stream(tmp_path / "stream", messages, Form.JSON, 5, span_us(FIXES_PER_TRACKER))
    return tmp_path / "stream"


def test_what_is_sent_is_received(stream: Path, tmp_path: Path, broker: BrokerUnderTest) -> None:
    gauges = Gauges(tmp_path / "gauges", create=True)
    arguments = [str(tmp_path / "gauges"), str(broker.port), "trackers/+/fixes"]
    subscriber = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.pipeline.counting_subscriber", *arguments],
        stdout=subprocess.PIPE,
    )
    assert subscriber.stdout is not None
    with subscriber.stdout as output:
        assert output.readline() == b"subscribed\n"
        sending = Sending(broker.port)
        drive = Drive(stream, tmp_path / "gauges", sending, lambda: gauges[Cell.RECEIVED])
        first, last = drive.measure(Timing(0.1, 0.5), lambda: gauges[Cell.RECEIVED])
        sent = drive.finish()
        subscriber.terminate()
    subscriber.wait()
    assert 0 < first < last <= sent
    assert gauges[Cell.RECEIVED] == sent


def test_a_load_generator_without_a_broker_is_reported(stream: Path, tmp_path: Path) -> None:
    Gauges(tmp_path / "gauges", create=True)
    drive = Drive(stream, tmp_path / "gauges", Sending(port=1), done=lambda: 0)
    with pytest.raises(DriveFailed, match="no message arrived"):
        drive.measure(Timing(0.1, 0.1), lambda: 0)
