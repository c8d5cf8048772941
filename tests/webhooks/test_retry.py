"""When an attempt that failed is repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.retry import ATTEMPTS_MAX, DELAYS_S, JITTER, Answer, retry_delay_s

FAILED = Answer(500, None)


@pytest.mark.parametrize(
    ("status", "accepted"),
    [(200, True), (204, True), (299, True), (301, False), (400, False), (410, False), (500, False)],
)
def test_only_2xx_is_acceptance(status, accepted):
    assert Answer(status, None).accepted == accepted


def test_no_answer_is_not_acceptance():
    assert not Answer(None, "no answer within 15 s").accepted


@given(attempts=st.integers(1, len(DELAYS_S)), chance=st.floats(0, 1, exclude_max=True))
def test_a_delay_lies_within_its_jitter(attempts, chance):
    delay_s = retry_delay_s(FAILED, attempts, chance)
    nominal_s = DELAYS_S[attempts - 1]
    assert delay_s is not None
    assert nominal_s * (1 - JITTER) <= delay_s <= nominal_s * (1 + JITTER)


@given(chance=st.floats(0, 1, exclude_max=True), next_chance=st.floats(0, 1, exclude_max=True))
def test_each_delay_is_longer_than_the_one_before(chance, next_chance):
    for attempts in range(1, len(DELAYS_S)):
        first = retry_delay_s(FAILED, attempts, chance)
        second = retry_delay_s(FAILED, attempts + 1, next_chance)
        assert first is not None
        assert second is not None
        assert first < second


def test_after_the_last_attempt_it_is_given_up():
    assert retry_delay_s(FAILED, ATTEMPTS_MAX, 0.5) is None


def test_a_receiver_that_is_gone_is_given_up_at_once():
    assert retry_delay_s(Answer(410, None), 1, 0.5) is None
