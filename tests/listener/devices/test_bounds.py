"""Who has to wait or is not let in, by a clock that is an argument."""

from ipaddress import ip_network
from uuid import UUID

import pytest

from db.core.ids import new_id
from listener.devices.bounds import FAILURE_MEMORY_S, MOST_BUCKETS, Addresses, TokenBuckets

RATE, BURST = 10.0, 10
"""Messages a second, and those at once."""


def buckets() -> TokenBuckets:
    return TokenBuckets(RATE, 1_000_000.0)


def test_a_tracker_has_no_new_burst_by_connecting_again() -> None:
    tracker, known = new_id(), buckets()
    known.of(tracker, 0.0).spend(BURST + 50, 0, 0.0)
    again = known.of(tracker, 1.0)
    assert again.is_empty(1.0)
    assert again.is_empty(4.9)
    assert not again.is_empty(5.1)
    assert not known.of(new_id(), 1.0).is_empty(1.0)


def test_buckets_are_bounded_and_those_that_were_asked_for_last_are_kept() -> None:
    first, second, known = new_id(), new_id(), buckets()
    for tracker in (first, second):
        known.of(tracker, 0.0).spend(BURST + 50, 0, 0.0)
    for number in range(MOST_BUCKETS - 2):
        known.of(UUID(int=number), 0.0)
    assert known.of(first, 0.0).is_empty(0.0)
    known.of(new_id(), 0.0)
    assert len(known) == MOST_BUCKETS
    assert known.of(first, 0.0).is_empty(0.0)
    assert not known.of(second, 0.0).is_empty(0.0)


@pytest.mark.parametrize(
    ("failed", "asking", "is_refused"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),  # as a socket of both families writes it
        ("2001:db8::1", "2001:db8::ffff:9", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.1.2.3", "10.1.2.3", False),
        ("fd00::1", "fd00::1", False),
        ("", "", False),  # a unix socket
    ],
)
def test_failures_count_by_address_and_by_64_bits_of_ipv6_but_for_exempt_networks(
    failed: str, asking: str, is_refused: bool
) -> None:
    addresses = Addresses(100, 3, [ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    for number in range(3):
        assert addresses.refusal(asking, 1_000.0 + number) is None
        addresses.failed(failed, 1_000.0 + number)
    assert addresses.refusal(asking, 1_010.0) == ("failures" if is_refused else None)
    assert addresses.refusal(asking, 1_000.0 + FAILURE_MEMORY_S) is None
