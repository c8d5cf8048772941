"""The order in which messages arrived that were sent again."""

from collections import Counter

from stack.verify.doubtful import in_order_of_receipt
from stack.verify.expectation import expect
from stack.verify.fix_fates import Fates
from tests.stack.small_runs import (
    INSIDE,
    OUTSIDE,
    RUN_S,
    ZONES,
    an_id,
    at_us,
    history_of,
    sent,
)


def test_a_message_that_arrived_when_it_was_sent_again_is_judged_in_that_place() -> None:
    """The fix at 5 s was sent first, lost, and sent again after the others."""
    rows = sent((0, 5, INSIDE), (0, 0, OUTSIDE), (0, 10, OUTSIDE), (0, 20, OUTSIDE))
    received_us = {(an_id("trk", 0), at_us(after), 0): at_us(after) for after in (0, 10, 20)}
    received_us[an_id("trk", 0), at_us(5), 0] = at_us(30)
    history = history_of(*ZONES)
    as_sent = Fates(rows, Counter())
    arrived = in_order_of_receipt(as_sent, history, received_us)
    assert [(time_us - at_us(0)) // 1_000_000 for time_us in arrived.stored["time_us"]] == [
        *(0, 10, 20, 5),
    ]
    late = [event.late for event in expect(arrived, history, at_us(RUN_S), at_us(RUN_S)).events]
    assert late
    assert all(late)


def test_what_was_received_together_stays_in_order_of_sending() -> None:
    rows = sent((0, 5, INSIDE), (1, 7, INSIDE), (0, 0, OUTSIDE), (1, 3, OUTSIDE))
    received_us = {(an_id("trk", 0), at_us(after), 0): at_us(9) for after in (0, 5)}
    arrived = in_order_of_receipt(Fates(rows, Counter()), history_of(), received_us)
    assert (arrived.stored == rows).all()
