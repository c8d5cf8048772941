"""An exception that nobody foresaw ends the term and never the process. What comes back with the
same messages costs those of one message: it stands alone in quarantine, and all others are stored.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from ingest import leader, pipeline, transaction
from ingest.leader import run
from ingest.planning import plan
from ingest.planning.decoded_batch import DecodedBatch, decode_batch
from ingest.planning.poison_messages import NOT_ABOUT_MESSAGES
from ingest.recovery import recover
from ingest.splitting import MOST_BLAMED, MOST_ENDED, blame, decode_in_parts
from ingest.transaction import LeaderTerm
from telemetry.fix import FixBatch
from telemetry.rejection import Reason
from telemetry.topics import fixes_topic
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.seam import DeviceMessage, now_us, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

PLACE = (13.4, 52.5)
POISON = 666
START = soon(-3600)
FIXES = "SELECT count(*) FROM gps_events"
REFUSED = "SELECT reason, detail, payload IS NOT NULL FROM quarantine"


class Unforeseen(TypeError):
    """A fault of ours that comes with some messages."""


def check(is_poisoned: bool) -> None:
    if is_poisoned:
        raise Unforeseen


def check_messages(messages: Sequence[Any]) -> None:
    check(any(b'"seq": %d' % POISON in message.payload for message in messages))


def check_fixes(batch: FixBatch) -> None:
    check(bool((batch.rows["seq"] == POISON).any()))


def in_decryption(patch: pytest.MonkeyPatch) -> None:
    opened = pipeline.opened_payloads

    async def faulty(conn: Any, messages: Sequence[Any], box: Any) -> Mapping[int, bytes]:
        check_messages(messages)
        return await opened(conn, messages, box)

    patch.setattr(pipeline, "opened_payloads", faulty)


def in_decoding(patch: pytest.MonkeyPatch) -> None:
    def faulty(messages: Sequence[Any], *arguments: Any) -> DecodedBatch:
        check_messages(messages)
        return decode_batch(messages, *arguments)

    patch.setattr(pipeline, "decode_batch", faulty)


def in_planning(patch: pytest.MonkeyPatch) -> None:
    accept = plan.accept

    def faulty(arrivals: DecodedBatch, *arguments: Any) -> Any:
        check_fixes(arrivals.decoded.batch)
        return (yield from accept(arrivals, *arguments))

    patch.setattr(plan, "accept", faulty)


def in_the_transaction(patch: pytest.MonkeyPatch) -> None:
    write, is_plain = transaction._write, transaction._is_plain

    async def faulty(term: Any, written: plan.WritePlan, *arguments: Any) -> Any:
        check_fixes(written.new)
        return await write(term, written, *arguments)

    def never(term: Any, written: plan.WritePlan, arrivals: DecodedBatch) -> bool:
        return POISON not in written.new.rows["seq"] and is_plain(term, written, arrivals)

    patch.setattr(transaction, "_write", faulty)
    patch.setattr(transaction, "_is_plain", never)


async def drive(device: Device, vehicle: Vehicle, first: int, last: int, poison: int = -1) -> None:
    """Send a fix a second; that of the number `poison` has a seq of its own."""
    for number in range(first, last):
        seq = POISON if number == poison else 0
        await device.send(vehicle, fix(START + timedelta(seconds=number), *PLACE, seq=seq))


@pytest.mark.parametrize("place", [in_decoding, in_planning, in_the_transaction])
async def test_a_message_that_ends_terms_stands_alone_in_quarantine_and_all_others_are_stored(
    place: Callable[[pytest.MonkeyPatch], None],
    tenant: Tenant,
    device: Device,
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = await Tenant.create(database)
    vehicle, second, victim = [await each.vehicle() for each in (tenant, tenant, other)]
    ingest = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    async with running(ingest):
        with monkeypatch.context() as patch:
            place(patch)
            await drive(device, vehicle, 0, 20, poison=7)
            for each in (second, victim):
                await drive(device, each, 0, 20)
            await until(lambda: tenant.rows(REFUSED) != [])
            await until(lambda: tenant.rows(FIXES) == [(39,)])
            await until(lambda: other.rows(FIXES) == [(20,)])
            assert tenant.rows(REFUSED) == [
                (
                    "refused_by_database",
                    "Unforeseen: a fault on our side, which the log of ingest has",
                    True,
                )
            ]
            assert other.rows(REFUSED) == []
            terms = ingest.metrics.registry.get_sample_value("opsc_ingest_terms_total")
            assert terms == 1 + MOST_ENDED
            await drive(device, victim, 20, 30)
            await drive(device, second, 20, 30, poison=25)  # it is known by now
            await until(lambda: other.rows(FIXES) == [(30,)])
            await until(lambda: len(tenant.rows(REFUSED)) == 2)
            await until(lambda: tenant.rows(FIXES) == [(48,)])
        for (row_id,) in tenant.rows("SELECT id FROM quarantine"):
            assert await tenant.release(row_id) == "released"
        await until(lambda: tenant.rows(FIXES) == [(50,)])
        assert ingest.metrics.registry.get_sample_value("opsc_ingest_terms_total") == terms


async def test_what_cannot_be_decrypted_is_refused_like_any_other_encrypted_message(
    tenant: Tenant,
    device: Device,
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message in the clear, as here, needs no key, and is stored."""
    vehicle = await tenant.vehicle()
    in_decryption(monkeypatch)
    ingest = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    async with running(ingest):
        await drive(device, vehicle, 0, 20, poison=7)
        await until(lambda: tenant.rows(FIXES) == [(20,)])


async def test_a_term_that_cannot_begin_is_tried_again_and_the_process_lives_on(
    tenant: Tenant,
    device: Device,
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = 0

    async def faulty(*arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        check(tries <= 2)
        return await recover(*arguments)

    monkeypatch.setattr(leader, "recover", faulty)
    vehicle = await tenant.vehicle()
    ingest = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    async with running(ingest):
        await drive(device, vehicle, 0, 3)
        await until(lambda: tenant.rows(FIXES) == [(3,)])
    count = ingest.metrics.registry.get_sample_value
    assert count("opsc_ingest_failures_total", {"error": "Unforeseen"}) == 2


async def test_no_memory_ends_the_process(
    database: DatabaseUnderTest, broker: BrokerUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(leader, "recover", faulty)
    ingest = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    with pytest.raises(BaseExceptionGroup) as caught:
        await run(ingest)
    assert caught.group_contains(MemoryError)


@pytest.fixture
async def term(database: DatabaseUnderTest) -> AsyncIterator[LeaderTerm]:
    """A term, whoever held the lease before."""
    database.run("admin", "UPDATE leases SET expires_at = '-infinity'")
    async with term_of(database) as term:
        yield term


@pytest.fixture
def messages() -> list[DeviceMessage]:
    return [
        DeviceMessage(None, fixes_topic("trk_1"), b'{"time": "2026-01-01T00:00:%02dZ"}' % number)
        for number in range(60)
    ]


@pytest.mark.parametrize("poison", [set(), {0}, {59}, {31, 32}, set(range(60))])
async def test_decoding_in_parts_refuses_what_fails_alone_and_decodes_the_rest(
    term: LeaderTerm, messages: list[DeviceMessage], poison: set[int]
) -> None:
    def decode(numbers: Sequence[int]) -> DecodedBatch:
        check(not poison.isdisjoint(numbers))
        return decode_batch([messages[number] for number in numbers], now_us())

    done = decode_in_parts(term, messages, decode)
    assert list(done.messages) == messages
    rejected = {one.message: one.reason for one in done.decoded.rejections}
    assert {
        number for number, why in rejected.items() if why == Reason.REFUSED_BY_DATABASE
    } == poison
    assert set(rejected) == set(range(60))  # the others have no position
    assert not np.isin(done.decoded.batch.rows["message"], list(poison)).any()


@pytest.mark.parametrize("error", NOT_ABOUT_MESSAGES)
async def test_what_is_about_no_message_passes(
    term: LeaderTerm, messages: list[DeviceMessage], error: type[Exception]
) -> None:
    def decode(_: Sequence[int]) -> DecodedBatch:
        raise error("", 0)

    with pytest.raises(error):
        decode_in_parts(term, messages, decode)


async def test_a_message_is_blamed_where_it_was_there_at_three_ends(
    term: LeaderTerm, messages: list[DeviceMessage]
) -> None:
    first, second = messages[:40], messages[20:]
    for batch in (first, second, first):
        with pytest.raises(Unforeseen):
            blame(term, batch, Unforeseen())
    blame(term, second, Unforeseen())  # 20 to 39 were there three times
    with pytest.raises(Unforeseen):
        blame(term, messages[40:], Unforeseen())


async def test_the_messages_that_are_remembered_have_a_bound(
    term: LeaderTerm, messages: list[DeviceMessage]
) -> None:
    term.ended_terms.update({number.to_bytes(4): 1 for number in range(MOST_BLAMED)})
    with pytest.raises(Unforeseen):
        blame(term, messages[:1], Unforeseen())
    assert len(term.ended_terms) == 1
