"""A message that the database refuses for ever holds up no other."""

import secrets
from collections.abc import Sequence

import psycopg
import pytest

from ingest.batcher import BatchLimits
from ingest.condemned import ATTEMPTS, MOST, Condemned
from mqtt import Message
from tests.ingest.conftest import Device, fix, ownership, running, until
from tests.ingest.tenants import Tenant, soon
from tests.servers import BrokerUnderTest, DatabaseUnderTest

PLACE = (13.4, 52.5)


def _messages(*payloads: bytes) -> list[Message]:
    return [Message("t", payload, 1, 0, False, False, None, None) for payload in payloads]


def _failed(condemned: Condemned, messages: Sequence[Message], times: int) -> None:
    for _ in range(times):
        condemned.failed(messages, psycopg.errors.CheckViolation())


def test_a_message_is_condemned_when_it_has_failed_alone_often_enough() -> None:
    condemned, one = Condemned(), _messages(b"a")
    _failed(condemned, one, ATTEMPTS - 1)
    assert condemned.among(one) == {}
    _failed(condemned, one, 1)
    assert condemned.among(_messages(b"b", b"a", b"a")) == {
        1: "CheckViolation, SQLSTATE 23514",
        2: "CheckViolation, SQLSTATE 23514",
    }


def test_a_batch_that_fails_condemns_none_of_its_messages() -> None:
    condemned, two = Condemned(), _messages(b"a", b"b")
    _failed(condemned, two, 10)
    _failed(condemned, [], 10)
    assert condemned.among(two) == {}


def test_failures_of_several_messages_do_not_add_up() -> None:
    condemned = Condemned()
    for number in range(10):
        _failed(condemned, _messages(b"%d" % number), ATTEMPTS - 1)
    assert condemned.among(_messages(*(b"%d" % number for number in range(10)))) == {}


def test_a_message_that_fails_although_condemned_is_judged_anew() -> None:
    condemned, one = Condemned(), _messages(b"a")
    _failed(condemned, one, ATTEMPTS + 1)
    assert condemned.among(one) == {}


def test_what_was_stored_as_refused_is_tried_anew_when_it_comes_again() -> None:
    condemned, two = Condemned(), _messages(b"a", b"a")
    _failed(condemned, two[:1], ATTEMPTS)
    condemned.settled(_messages(b"b"))
    assert len(condemned.among(two)) == 2
    condemned.settled(two)
    assert condemned.among(two) == {}


def test_what_is_condemned_is_bounded() -> None:
    condemned = Condemned()
    all_of_them = _messages(*(b"%d" % number for number in range(MOST + 10)))
    for message in all_of_them:
        _failed(condemned, [message], ATTEMPTS)
    assert list(condemned.among(all_of_them)) == list(range(10, MOST + 10))


@pytest.fixture
def picky(database: DatabaseUnderTest) -> DatabaseUnderTest:
    """A database that does not take one seq."""
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("ALTER TABLE gps_events ADD CONSTRAINT picky CHECK (seq <> 666)")
    return database


async def test_it_goes_into_quarantine_and_the_others_are_stored(
    tenant: Tenant, device: Device, picky: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    vehicle, other = await tenant.vehicle(), await tenant.vehicle()
    client_id = f"ingest-{secrets.token_hex(4)}"
    owner = ownership(picky.url("opsc_ingest"), broker.url, client_id)
    owner.limits = BatchLimits(messages=4, bytes=1_000_000, age_ms=2)
    async with running(owner):
        for number in range(-20, -10):
            await device.send(other, fix(soon(number), *PLACE))
            if number == -15:
                await device.send(vehicle, fix(soon(-9), *PLACE), fix(soon(-8), *PLACE, seq=666))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 10)
        await until(lambda: len(tenant.rows("SELECT FROM quarantine")) == 1)
        ((row_id, reason, positions, detail),) = tenant.rows(
            "SELECT id, reason, positions, detail FROM quarantine"
        )
        with psycopg.connect(picky.url("admin")) as conn:
            conn.execute("ALTER TABLE gps_events DROP CONSTRAINT picky")
        assert await tenant.release(row_id) == "released"
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 12)
    assert (reason, positions) == ("refused_by_database", [])
    assert detail == "CheckViolation, SQLSTATE 23514"
    assert 'error="CheckViolation"' in owner.metrics.page().decode()
