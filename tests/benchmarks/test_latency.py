"""When which message was sent, from what the load generator writes down."""

from pathlib import Path

import numpy as np

from benchmarks.common.payloads import Form
from benchmarks.common.stream import write_stream
from benchmarks.common.workload import START_US, Plan, rows_in_order_of_sending, span_us, tracks
from benchmarks.pipeline.latency import Latency, acknowledged_ms, sent_times

SPAN_US = span_us(4)
INTERVAL_US = 5_000_000


def _sent(tmp_path: Path, stretches: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return two trackers on one connection, two messages of two fixes each in a pass."""
    messages = rows_in_order_of_sending(tracks(Plan(trackers=2, zones=1), 4), 2)
    write_stream(tmp_path / "stream", messages, Form.JSON, 1, SPAN_US)
    np.savez(tmp_path / "times.npz", np.array(stretches), np.array([(0, 0)]))
    return sent_times(tmp_path / "stream", tmp_path / "times.npz", range(1, 2))


def test_each_message_is_known_by_its_first_fix(tmp_path: Path) -> None:
    sent = _sent(tmp_path, [(2, 7_000), (2, 9_000)])
    assert sent == {(1, START_US): 7, (1, START_US + 2 * INTERVAL_US): 9}


def test_a_second_pass_has_later_fixes(tmp_path: Path) -> None:
    sent = _sent(tmp_path, [(4, 7_000), (2, 9_000)])
    assert sent[1, START_US + SPAN_US] == 9


def test_what_the_flush_took_is_part_of_it() -> None:
    latency = Latency.of(np.arange(101.0), flush_ms=0.5)
    assert latency == Latency(50.5, 99.5, 100.5, 0.5, messages=101)


def test_pubacks_are_told_to_messages_in_order(tmp_path: Path) -> None:
    ms = 1_000_000
    sent = np.array([(2, 1_000 * ms), (1, 3_000 * ms)])
    acknowledged = np.array([(1, 1_010 * ms), (2, 3_040 * ms)])
    np.savez(tmp_path / "times.npz", sent, acknowledged)
    assert acknowledged_ms(tmp_path / "times.npz", 0, 10).tolist() == [10, 2_040, 40]
    assert acknowledged_ms(tmp_path / "times.npz", 2, 10).tolist() == [40]
