"""Fixes become messages: all of them, once, in each tracker's order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.ledger import Ledger
from device_sim.packing import Messages, pack
from device_sim.payloads import PayloadFormat, as_sent, payloads
from device_sim.schedule import Slice
from telemetry.fix import FixBatch, blank_rows
from telemetry.formats.decode import Format, decode


def slices(trackers: list[list[int]]) -> list[Slice]:
    """Return slices of fixes of these trackers; due and seq count all fixes."""
    made: list[Slice] = []
    count = 0
    for part in trackers:
        rows = blank_rows(len(part))
        rows["tracker"] = part
        rows["seq"] = np.arange(count, count + len(part))
        rows["time_us"] = 1_800_000_000_000_000 + rows["seq"].astype(np.int64) * 1_234_567
        rows["lat"] = 50 + rows["seq"] / 3
        rows["lon"] = -rows["seq"] / 7
        made.append(Slice(rows["seq"].astype(float), FixBatch(rows)))
        count += len(part)
    return made


FLEETS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=20), min_size=1, max_size=5)


def one_after_the_other(messages: Messages) -> list[np.ndarray]:
    return np.split(messages.fixes.rows, np.cumsum(messages.lengths)[:-1])


@given(FLEETS.map(slices), st.integers(1, 6))
def test_every_fix_is_in_one_message_in_its_trackers_order(
    given_slices: list[Slice], fixes_per_message: int
) -> None:
    sent: dict[int, list[int]] = {}
    for messages in pack(iter(given_slices), fixes_per_message):
        assert np.all(np.diff(messages.due_s) >= 0)
        for due_s, rows in zip(messages.due_s, one_after_the_other(messages), strict=True):
            assert 1 <= len(rows) <= fixes_per_message
            assert len(set(rows["tracker"].tolist())) == 1
            assert due_s == rows["seq"].max()
            sent.setdefault(int(rows["tracker"][0]), []).extend(rows["seq"].tolist())
    all_rows = np.concatenate([part.fixes.rows for part in given_slices])
    for tracker in set(all_rows["tracker"].tolist()):
        assert sent.pop(tracker) == all_rows["seq"][all_rows["tracker"] == tracker].tolist()
    assert not sent


@given(FLEETS.map(slices), st.integers(2, 6))
def test_only_the_last_message_of_a_tracker_is_short(
    given_slices: list[Slice], fixes_per_message: int
) -> None:
    lengths: dict[int, list[int]] = {}
    for messages in pack(iter(given_slices), fixes_per_message):
        for rows in one_after_the_other(messages):
            lengths.setdefault(int(rows["tracker"][0]), []).append(len(rows))
    for of_tracker in lengths.values():
        assert all(length == fixes_per_message for length in of_tracker[:-1])


@pytest.mark.parametrize("payload_format", PayloadFormat)
@given(given_slices=FLEETS.map(slices), fixes_per_message=st.integers(1, 4))
def test_the_bytes_say_what_the_ledger_notes(
    payload_format: PayloadFormat, given_slices: list[Slice], fixes_per_message: int
) -> None:
    wire = Format.PACKED if payload_format is PayloadFormat.PACKED else Format.NATIVE
    ledger = Ledger()
    read: list[tuple] = []
    for planned in pack(iter(given_slices), fixes_per_message):
        messages = as_sent(planned, payload_format)
        ledger.plan(messages.fixes, messages.lengths)
        contents = payloads(payload_format, messages)
        decoded = decode(contents, [wire] * len(contents))
        assert not decoded.rejections
        read += decoded.batch.rows[["time_us", "lat", "lon", "seq"]].tolist()
    assert read == ledger.fixes[["time_us", "lat", "lon", "seq"]].tolist()


def test_a_ledger_tells_what_arrived_from_what_may_have_and_what_was_never_sent() -> None:
    ledger = Ledger()
    for part in slices([[0, 1, 0, 1, 0]]):
        ledger.plan(part.fixes, np.array([2, 1, 2]))
    ledger.sent(0, 10)
    ledger.sent(1, 20)
    ledger.acknowledged(0, 15)
    assert ledger.acknowledged_fixes()["seq"].tolist() == [0, 1]
    assert ledger.unsettled_fixes()["seq"].tolist() == [2]
    assert ledger.messages["fixes"].tolist() == [2, 1, 2]


def test_a_ledger_grows() -> None:
    ledger = Ledger()
    for _ in range(5):
        for part in slices([[0] * 3000]):
            ledger.plan(part.fixes, np.ones(3000, np.int64))
    assert len(ledger.fixes) == len(ledger.messages) == 15_000
    assert (ledger.fixes["message"] == np.arange(15_000)).all()
