"""Stacks of modems, as their traces have them: what they send again, and what they hear.

While ingest is frozen nothing commits, so that what a device sends again comes before the first
answer. MARK is the packet id of a last message: answers come in order, so that no other answer can
come after its PUBACK.
"""

import json
from collections.abc import Iterator

import pytest

from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.listener.registering import registered
from tests.listener.running import System, running
from tests.listener.wire import (
    CONNACK,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBREC,
    Wire,
    connect,
    packet,
    publish,
)
from tests.servers import DatabaseUnderTest

MARK = 60_000
each_version = pytest.mark.parametrize("version", [3, 4, 5])


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    with running(database) as running_system:
        yield running_system


def message(
    vehicle: Vehicle,
    number: int,
    packet_id: int = 1,
    *,
    version: int,
    qos: int = 1,
    is_again: bool = False,
) -> bytes:
    """Return a PUBLISH of the fix with that number."""
    payload = json.dumps(fix(soon(0).replace(microsecond=0), 13.4, 52.5, seq=number)).encode()
    topic = f"trackers/{vehicle.name}/fixes"
    return publish(topic, payload, packet_id, version=version, qos=qos, is_again=is_again)


def answers(wire: Wire, until: int = MARK) -> list[tuple[int, int]]:
    """Return answers as (type, packet id), up to the PUBACK of `until`."""
    found: list[tuple[int, int]] = []
    while not found or found[-1] != (PUBACK, until):
        read = wire.read()
        assert read is not None, "the connection ended"
        found.append((read[0], int.from_bytes(read[1][:2], "big")))
    return found


def is_present(wire: Wire) -> bool:
    """Read CONNACK: whether the device has a session, so that it keeps what is unacknowledged."""
    read = wire.read()
    assert read is not None
    assert (read[0], read[1][1]) == (CONNACK, 0)
    return bool(read[1][0])


def wait_until_read(wire: Wire) -> None:
    """Return once the listener has looked at all that was sent."""
    wire.send(PINGREQ)
    assert wire.read() == (PINGRESP, b"")


def forwarded(system: System) -> float:
    """Count the messages that ingest has answered."""
    lines = system.listener.page("/metrics").splitlines()
    (line,) = [line for line in lines if line.startswith("opsc_listener_messages_total ")]
    return float(line.split()[1])


def seqs(tenant: Tenant) -> list[int]:
    """Return the numbers of the stored fixes."""
    return sorted(seq for (seq,) in tenant.rows("SELECT seq FROM gps_events"))


@each_version
@pytest.mark.parametrize("is_again", [True, False], ids=["DUP", "without DUP"])
async def test_a_message_that_is_sent_again_before_its_commit_has_one_puback(
    system: System, tenant: Tenant, version: int, is_again: bool
) -> None:
    vehicle = await registered(tenant)
    first = message(vehicle, 1, version=version)
    again = bytes((first[0] | is_again << 3,)) + first[1:]
    before = forwarded(system)
    with Wire.signed_in(system.port, vehicle.name, version=version) as wire:
        system.ingest.freeze()
        try:
            wire.send(first)
            for _ in range(3):
                wire.send(again)
                wait_until_read(wire)
        finally:
            system.ingest.thaw()
        wire.send(message(vehicle, 2, MARK, version=version))
        assert answers(wire) == [(PUBACK, 1), (PUBACK, MARK)]
    assert forwarded(system) == before + 2
    assert seqs(tenant) == [1, 2]


@each_version
async def test_a_stack_whose_packet_id_is_always_1_goes_on_after_each_puback(
    system: System, tenant: Tenant, version: int
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name, version=version) as wire:
        for number in range(1, 6):
            sent = message(vehicle, number, version=version)
            system.ingest.freeze()
            try:
                wire.send(sent + sent)
                wait_until_read(wire)
            finally:
                system.ingest.thaw()
            assert answers(wire, until=1) == [(PUBACK, 1)]
        wire.send(message(vehicle, 6, MARK, version=version))
        assert answers(wire) == [(PUBACK, MARK)]
    assert seqs(tenant) == [1, 2, 3, 4, 5, 6]


@each_version
async def test_a_stack_that_gives_up_and_uses_the_packet_id_for_the_next_fix_loses_none(
    system: System, tenant: Tenant, version: int
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name, version=version) as wire:
        system.ingest.freeze()
        try:
            for number in (1, 2, 3):
                wire.send(message(vehicle, number, version=version, is_again=number > 1))
            wait_until_read(wire)
        finally:
            system.ingest.thaw()
        wire.send(message(vehicle, 4, MARK, version=version))
        assert answers(wire) == [(PUBACK, 1), (PUBACK, MARK)]
    assert seqs(tenant) == [1, 2, 3, 4]


@each_version
async def test_a_message_that_crosses_with_its_puback_is_answered_again_and_stored_once(
    system: System, tenant: Tenant, version: int
) -> None:
    vehicle = await registered(tenant)
    sent = message(vehicle, 1, version=version)
    with Wire.signed_in(system.port, vehicle.name, version=version) as wire:
        wire.send(sent)
        assert answers(wire, until=1) == [(PUBACK, 1)]
        wire.send(bytes((sent[0] | 8,)) + sent[1:])
        wire.send(message(vehicle, 2, MARK, version=version))
        assert answers(wire) == [(PUBACK, 1), (PUBACK, MARK)]
    assert seqs(tenant) == [1, 2]


@each_version
async def test_a_qos_2_message_and_its_pubrel_that_come_again_are_answered_again(
    system: System, tenant: Tenant, version: int
) -> None:
    vehicle = await registered(tenant)
    sent = message(vehicle, 1, version=version, qos=2)
    released = packet(0x62, b"\0\1")
    with Wire.signed_in(system.port, vehicle.name, version=version) as wire:
        wire.send(sent)
        assert (wire.read() or (0, b""))[0] == PUBREC
        wire.send(bytes((sent[0] | 8,)) + sent[1:] + released + released)
        wire.send(message(vehicle, 2, MARK, version=version))
        heard = [kind for kind, _ in answers(wire)]
        assert heard == [PUBREC, PUBCOMP, PUBCOMP, PUBACK]
    assert seqs(tenant) == [1, 2]


@each_version
async def test_what_is_sent_again_after_a_reconnection_is_stored_once_and_answered_in_order(
    system: System, tenant: Tenant, version: int
) -> None:
    vehicle, count = await registered(tenant), 10
    sent = [message(vehicle, n, n, version=version) for n in range(1, count + 1)]
    again = [bytes((one[0] | 8,)) + one[1:] for one in sent]
    kept = connect(vehicle.name, version=version, is_clean=False, session_expiry_s=3600)
    with Wire(system.port) as wire:
        wire.send(kept)
        assert not is_present(wire)
        system.ingest.freeze()
        try:
            wire.send(b"".join(sent))
            wait_until_read(wire)
            wire.close()
        finally:
            system.ingest.thaw()
    with Wire(system.port) as wire:
        wire.send(kept)
        assert is_present(wire) is (version > 3)  # 3.1 has no word for it
        wire.send(b"".join(again) + message(vehicle, 11, MARK, version=version))
        expected = [(PUBACK, n) for n in range(1, count + 1)]
        assert answers(wire) == [*expected, (PUBACK, MARK)]
    assert seqs(tenant) == list(range(1, count + 2))


async def test_a_session_ends_with_a_connection_that_asks_for_no_expiry(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    found: list[bool] = []
    for expiry_s in (3600, 0, 0):
        with Wire(system.port) as wire:
            wire.send(connect(vehicle.name, is_clean=False, session_expiry_s=expiry_s))
            found.append(is_present(wire))
    assert found == [False, True, False]
