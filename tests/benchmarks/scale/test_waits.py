"""The model of waits: what can be worked out by hand, and that a fit finds what it was made of."""

import numpy as np
import pytest

from benchmarks.scale.waits import GATHER_S, Writer, fitted, waits_s

WRITER = Writer(batch_s=0.005, message_s=0.0)


def test_a_lone_message_waits_for_others_and_for_its_batch() -> None:
    assert waits_s(1.0, WRITER) == pytest.approx(GATHER_S + 0.005)


def test_devices_that_send_on_soon_wait_for_no_others() -> None:
    assert waits_s(100.0, WRITER, devices=10) == pytest.approx(0.005)


def test_a_busy_writer_lets_messages_gather() -> None:
    """A thousand a second, a batch of 50 ms: 50 messages come meanwhile."""
    waited_s = waits_s(1_000.0, Writer(0.05, 0.0), devices=10)[1_000:]
    assert np.median(waited_s) == pytest.approx(0.075, abs=0.002)
    assert waited_s.max() == pytest.approx(0.1, abs=0.002)


def test_a_fit_finds_the_writer() -> None:
    writer = Writer(0.004, 0.00003)
    most_per_s = 1 / (writer.message_s + writer.batch_s / 1_000)
    found = fitted(most_per_s, 300, float(np.median(waits_s(300, writer))))
    assert found.batch_s == pytest.approx(writer.batch_s, rel=0.01)
    assert found.message_s == pytest.approx(writer.message_s, rel=0.01)
