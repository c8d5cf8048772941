"""Each message has a result of its own, and a device publishes on its own topics alone."""

import json
from dataclasses import replace
from typing import Any

from db.core.connect import connect
from db.history import inbox
from db.history.quarantine import Bounds, DailyBound
from telemetry.rejection import Reason
from telemetry.result import Result
from telemetry.topics import fixes_topic, packed_topic
from tests.ingest.conftest import fix
from tests.ingest.seam import DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.servers import DatabaseUnderTest

PLACE = (13.4, 52.5)
REFUSED = "SELECT reason, tracker_id, topic, payload_bytes, payload FROM quarantine ORDER BY reason"


def sent(vehicle: Vehicle, *fixes: dict[str, Any], topic: str = "") -> DeviceMessage:
    payload = json.dumps(fixes).encode()
    return DeviceMessage(vehicle.tracker_id, topic or fixes_topic(vehicle.name), payload)


def test_every_reason_has_a_result() -> None:
    codes = [Result.of(reason) for reason in Reason]
    assert codes == [*range(1, len(Reason) + 1)]


async def test_a_message_is_stored_or_has_the_reason_of_its_first_refusal(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    good, ahead, nowhere = fix(soon(-9), *PLACE), fix(soon(900), *PLACE), fix(soon(-8), 0, 0)
    lost = {"time": soon(-7).isoformat()}
    async with term_of(database) as term:
        told = await settle(
            term,
            [
                sent(vehicle, good),
                sent(vehicle, good),
                sent(vehicle, nowhere, good),
                sent(vehicle, ahead, nowhere),
                sent(vehicle, lost, ahead),
                sent(vehicle)._replace(payload=b"hello"),
            ],
        )
        again = await settle(term, [sent(vehicle, good)])
        nothing = await settle(term, [])
    assert told == [
        *[Result.STORED] * 3,
        Result.FUTURE,
        Result.NO_POSITION,
        Result.UNDECODABLE,
    ]
    assert (again, nothing) == ([Result.STORED], [])


async def test_what_quarantine_only_counts_is_beyond_it(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    async with term_of(database) as term:
        narrow = replace(term, bounds=Bounds(of_tracker=DailyBound(1, 1_000)))
        bad = [sent(vehicle)._replace(payload=b"bad %d" % number) for number in range(2)]
        told = [await settle(narrow, bad), await settle(narrow, bad)]
    assert told == [[Result.UNDECODABLE, Result.BEYOND_QUARANTINE]] * 2


async def test_a_topic_that_is_not_the_senders_own_is_its_organizations_refusal(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    sender, other = await tenant.vehicle(), await (await Tenant.create(database)).vehicle()
    topics = [fixes_topic(other.name), f"trackers/{sender.name}/lunches", "$SYS/a/b/c", ""]
    async with term_of(database) as term:
        told = await settle(
            term,
            [
                *(sent(sender, fix(soon(-9), *PLACE), topic=topic or "x") for topic in topics),
                sent(other, fix(soon(-8), *PLACE)),
                sent(sender, topic=packed_topic(sender.name))._replace(payload=b"1"),
            ],
        )
    assert told == [*[Result.WRONG_TOPIC] * 4, Result.STORED, Result.UNDECODABLE]
    rows = [row[:3] for row in tenant.rows(REFUSED) if row[0] == "wrong_topic"]
    assert sorted(rows) == sorted(
        ("wrong_topic", sender.tracker_id, topic or "x") for topic in topics
    )


async def test_equal_messages_on_a_wrong_topic_are_kept_for_each_sender(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    others = await Tenant.create(database)
    senders = [await tenant.vehicle(), await others.vehicle()]
    async with term_of(database) as term:
        await settle(term, [sent(sender, topic="owntracks/a/b") for sender in senders])
    assert len(tenant.rows("SELECT FROM quarantine")) == 1
    assert len(others.rows("SELECT FROM quarantine")) == 1


async def test_a_release_gives_no_fix_to_the_tracker_of_a_wrong_topic(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    sender, other = await tenant.vehicle(), await tenant.vehicle()
    async with term_of(database) as term:
        await settle(term, [sent(sender, fix(soon(-9), *PLACE), topic=fixes_topic(other.name))])
        ((row_id,),) = tenant.rows("SELECT id FROM quarantine")
        assert await tenant.release(row_id) == "released"
        async with await connect(database.url("opsc_ingest"), "test") as conn:
            released = await inbox.waiting(conn, 10, 1_000_000)
        assert await settle(term, released) == [Result.WRONG_TOPIC]
    assert tenant.rows("SELECT FROM gps_events") == []


async def test_a_tracker_that_nobody_registered_and_one_that_was_revoked_say_so(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    revoked, other = await tenant.vehicle(), await tenant.vehicle()
    await tenant.revoke(revoked)
    stranger = sent(other, fix(soon(-9), *PLACE))._replace(identity=tenant.org_id)
    async with term_of(database) as term:
        told = await settle(
            term, [stranger, sent(revoked, fix(soon(-9), *PLACE), topic=fixes_topic(other.name))]
        )
    assert told == [Result.UNKNOWN_TRACKER, Result.REVOKED_TRACKER]


async def test_what_was_cut_because_of_its_size_is_refused_with_its_size(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    whole = sent(vehicle, fix(soon(-9), *PLACE))
    cut = [whole._replace(payload=b"[", oversize_bytes=size) for size in (600_000, 700_000)]
    async with term_of(database) as term:
        told = await settle(term, [cut[0], whole, cut[1]])
    assert told == [Result.OVERSIZE, Result.STORED, Result.OVERSIZE]
    rows = tenant.rows(REFUSED + ", payload_bytes")
    assert [row[3:] for row in rows] == [(600_000, None), (700_000, None)]
    details = tenant.rows("SELECT detail FROM quarantine ORDER BY payload_bytes")
    assert details[0] == ("600000 bytes, at most 524288 are allowed",)
