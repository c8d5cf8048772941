"""The outbox: order, credit and what happens when a link breaks."""

from collections import defaultdict
from typing import NamedTuple
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given

from listener.link.outbox import (
    CONTENDED_BYTES,
    CONTENDED_FOR_MESSAGES,
    CONTENDED_MESSAGES,
    MESSAGE_OVERHEAD_BYTES,
    HeldMessage,
    Origin,
    Outbox,
)
from telemetry.link import FrameError


class _Message(NamedTuple):
    number: int
    topic: str = "t"
    payload: bytes = b""
    correlation_data: bytes | None = None
    oversize_bytes: int = 0
    qos: int = 1


def _origin(number: int, organization: int = 0) -> Origin:
    ids = (UUID(int=number), UUID(int=organization))
    return Origin(number, organization, *ids, "", 0, lambda *_: None, lambda *_: None)


def _outbox(messages: int = 1_000, size: int = 1 << 30) -> Outbox:
    outbox = Outbox()
    outbox.begin_again(messages, size)
    return outbox


def _numbers(taken: list[HeldMessage]) -> list[int]:
    return [held.message.number for held in taken]


def test_messages_are_numbered_in_order() -> None:
    outbox, origin = _outbox(), _origin(1)
    for number in range(3):
        outbox.put(origin, _Message(number))
    first, taken = outbox.next_block()
    assert (first, _numbers(taken)) == (0, [0, 1, 2])
    outbox.put(origin, _Message(3))
    assert outbox.next_block()[0] == 3


def test_before_there_is_a_link_everything_waits() -> None:
    outbox, origin = Outbox(), _origin(1)
    outbox.put(origin, _Message(0))
    assert outbox.next_block() == (0, [])
    outbox.begin_again(10, 10_000)
    assert _numbers(outbox.next_block()[1]) == [0]


def test_an_organization_alone_has_half_of_the_credit() -> None:
    outbox, origin = _outbox(messages=100), _origin(1)
    for number in range(200):
        outbox.put(origin, _Message(number))
    assert len(outbox.next_block()[1]) == 50


def test_a_flood_leaves_room_for_others() -> None:
    outbox = _outbox(messages=100)
    for number in range(10_000):
        outbox.put(_origin(1, organization=1), _Message(number))
    outbox.next_block()
    quiet = _origin(2, organization=2)
    outbox.put(quiet, _Message(7))
    (held,) = outbox.next_block()[1]
    assert held.origin is quiet


def test_who_floods_beside_others_has_little_at_ingest_that_they_wait_behind() -> None:
    outbox, flood, quiet = _outbox(65_536), _origin(1, 1), _origin(2, 2)
    outbox.put(quiet, _Message(0))
    for number in range(10_000):
        outbox.put(flood, _Message(number))
    first, taken = outbox.next_block()
    assert len(taken) == 1 + CONTENDED_MESSAGES
    list(outbox.answered(first, 101))
    outbox.refill()
    assert _numbers(outbox.next_block()[1]) == list(range(256, 356))


def test_large_messages_beside_others_are_few() -> None:
    outbox, flood, quiet = _outbox(65_536), _origin(1, 1), _origin(2, 2)
    outbox.put(quiet, _Message(0))
    for number in range(10):
        outbox.put(flood, _Message(number, payload=bytes(CONTENDED_BYTES // 2)))
    outbox.next_block()
    assert outbox.bytes < 2 * CONTENDED_BYTES


def test_others_count_for_a_while_after_their_last_message() -> None:
    outbox, flood, quiet = _outbox(65_536), _origin(1, 1), _origin(2, 2)
    outbox.put(quiet, _Message(0))
    for number in range(CONTENDED_FOR_MESSAGES + 10):
        outbox.put(flood, _Message(number))
    outbox.next_block()
    outbox.refill()
    assert outbox.messages == 1 + 32_768  # alone: a half


def test_bytes_count_like_messages() -> None:
    outbox, origin = _outbox(size=10 * (MESSAGE_OVERHEAD_BYTES + 100)), _origin(1)
    for number in range(10):
        outbox.put(origin, _Message(number, payload=bytes(100)))
    assert len(outbox.next_block()[1]) == 5


def test_answers_let_in_what_waited() -> None:
    outbox, origin = _outbox(messages=10), _origin(1)
    for number in range(12):
        outbox.put(origin, _Message(number))
    outbox.next_block()
    assert _numbers(list(outbox.answered(0, 5))) == [0, 1, 2, 3, 4]
    outbox.refill()
    assert _numbers(outbox.next_block()[1]) == [5, 6, 7, 8, 9]


def test_an_answer_to_what_was_not_sent_is_an_error() -> None:
    with pytest.raises(FrameError, match="was not sent"):
        list(_outbox().answered(0, 1))


def test_what_waits_of_a_connection_that_is_gone_is_dropped_but_for_qos_0() -> None:
    outbox, gone, other = _outbox(messages=2), _origin(1), _origin(2)
    outbox.put(gone, _Message(0))
    for number in range(1, 5):
        outbox.put(gone, _Message(number, qos=number % 2))
        outbox.put(other, _Message(number))
    dropped = outbox.drop_waiting(gone, keeps_qos_0=True)
    assert _numbers(dropped) == [1, 3]
    assert (gone.unanswered, other.unanswered) == (3, 4)
    assert _numbers(outbox.drop_waiting(gone, keeps_qos_0=False)) == [2, 4]
    assert outbox.drop_waiting(gone, keeps_qos_0=False) == []
    assert len(outbox) == 1 + 4


def test_connections_of_an_organization_take_turns() -> None:
    outbox, first, second = _outbox(messages=2), _origin(1), _origin(2)
    for number in range(4):
        outbox.put(first, _Message(number))
    outbox.put(second, _Message(9))
    sent: list[int] = []
    for _ in range(5):
        number, taken = outbox.next_block()
        sent += _numbers(taken)
        list(outbox.answered(number, len(taken)))
        outbox.refill()
    assert sent == [0, 1, 9, 2, 3]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 3)),
            st.tuples(st.just("send"), st.just(0)),
            st.tuples(st.just("answer"), st.integers(1, 5)),
            st.tuples(st.just("late answer"), st.integers(1, 5)),
            st.tuples(st.just("break"), st.integers(0, 12)),
        ),
        max_size=80,
    )
)
def test_nothing_is_lost_and_order_is_kept_whatever_breaks(steps: list[tuple[str, int]]) -> None:
    outbox = _outbox(messages=8)
    origins = [_origin(number, organization=number % 2) for number in range(4)]
    put: dict[int, int] = defaultdict(int)
    done: dict[int, list[int]] = defaultdict(list)
    for what, value in [*steps, ("break", 8)]:
        if what == "put":
            outbox.put(origins[value], _Message(put[value]))
            put[value] += 1
        elif what == "send":
            outbox.next_block()
        elif what == "break":
            outbox.begin_again(value, 1 << 30)
        elif outbox.sent:
            at = 0 if what == "answer" else len(outbox.sent) - 1  # of the last of all, alone
            number = list(outbox.sent)[at]
            for held in outbox.answered(number, 1):
                done[held.origin.id].append(held.message.number)
            outbox.refill()
    while len(outbox):
        _, taken = outbox.next_block()
        sent = [(held.origin.id, held.message.number) for held in taken]
        for origin in origins:  # in order, within what is sent
            own = [number for of, number in sent if of == origin.id]
            assert own == sorted(own)
        for number in list(outbox.sent):
            for held in outbox.answered(number, 1):
                done[held.origin.id].append(held.message.number)
        outbox.refill()
    for origin in origins:
        assert sorted(done[origin.id]) == list(range(put[origin.id]))
        assert origin.unanswered == 0
    assert (outbox.messages, outbox.bytes) == (0, 0)
