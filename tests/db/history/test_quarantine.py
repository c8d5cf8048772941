"""Quarantine ends: old rows are removed in steps; and what has a bound of its own."""

from datetime import UTC, datetime, timedelta

import psycopg

from db.core.connect import connect
from db.core.ids import new_id
from db.history import quarantine
from db.history.quarantine import NO_TRACKER, Bounds, DailyBound, Refusal
from tests.servers import DatabaseUnderTest

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def _refusal(number: int) -> Refusal:
    return Refusal(None, None, "aged", "undecodable", "", (), b"%d" % number)


async def test_old_rows_are_removed_in_steps_and_what_waits_for_its_release_stays(
    database: DatabaseUnderTest,
) -> None:
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        for number in range(10):
            await quarantine.keep(conn, [_refusal(number)], NOW - number * DAY)
        await quarantine.keep(conn, [_refusal(9)], NOW)  # seen again: as if it were new
        with psycopg.connect(database.url("admin")) as admin:
            admin.execute(
                "INSERT INTO inbox (topic, payload, quarantine_id)"
                " SELECT topic, payload, id FROM quarantine WHERE payload = '8'"
            )
        before = NOW - 4.5 * DAY
        removed = [await quarantine.remove_older(conn, before, 2) for _ in range(3)]
        assert removed == [2, 1, 0]
        cursor = await conn.execute(
            "SELECT payload FROM quarantine WHERE topic = 'aged' ORDER BY payload"
        )
        kept = [payload for (payload,) in await cursor.fetchall()]
        assert kept == [b"%d" % number for number in (0, 1, 2, 3, 4, 8, 9)]
        cursor = await conn.execute("SELECT min(day) FROM quarantine_usage")
        assert await cursor.fetchone() == (before.date(),)


async def test_the_same_refusal_within_one_batch_is_one_row(database: DatabaseUnderTest) -> None:
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        payload = new_id().bytes
        refusal = Refusal(None, None, "t\0", "undecodable", "a\0b", (), payload)
        await quarantine.keep(conn, [refusal, refusal], NOW)
        cursor = await conn.execute(
            "SELECT topic, detail, seen FROM quarantine WHERE payload = %s", (payload,)
        )
        assert await cursor.fetchall() == [("t\\0", "a\\0b", 2)]


async def test_of_what_nobody_understands_the_first_is_kept_and_the_others_are_counted(
    database: DatabaseUnderTest,
) -> None:
    topic, other = f"trackers/{new_id()}/gt06", f"trackers/{new_id()}/gt06"

    def strange(number: int, topic: str, alike: str) -> Refusal:
        return Refusal(
            None, None, topic, "undecodable", "", (), b"%d" % number, message=number, alike=alike
        )

    async with await connect(database.url("opsc_ingest"), "test") as conn:
        await quarantine.keep(conn, [strange(0, topic, "94/1"), strange(1, topic, "94/1")], NOW)
        await quarantine.keep(conn, [strange(2, topic, "94/1"), strange(3, topic, "94/2")], NOW)
        await quarantine.keep(conn, [strange(4, topic, "28/1"), strange(5, other, "94/1")], NOW)
        cursor = await conn.execute(
            "SELECT payload, seen FROM quarantine WHERE topic IN (%s, %s) ORDER BY payload",
            (topic, other),
        )
        assert await cursor.fetchall() == [(b"0", 3), (b"3", 1), (b"4", 1), (b"5", 1)]


def test_what_has_no_organization_shares_one_bound() -> None:
    assert _refusal(1).usage_key == NO_TRACKER
    assert Refusal(new_id(), new_id(), "t", "rate", "", (), b"").usage_key != NO_TRACKER


async def test_what_the_database_refused_is_kept_in_full_beside_the_bound_of_its_tracker(
    database: DatabaseUnderTest,
) -> None:
    org_id, tracker_id = new_id(), new_id()
    narrow = Bounds(of_tracker=DailyBound(0, 0), refused_by_database=DailyBound(2, 1_000_000))

    def refusal(reason: str, number: int) -> Refusal:
        payload = b"%d" % number * 100_000
        return Refusal(org_id, tracker_id, "t", reason, "", (), payload)

    refused = [refusal("refused_by_database", number) for number in range(3)]
    async with await connect(database.url("opsc_ingest"), "test") as conn, conn.transaction():
        counted = await quarantine.keep(conn, [refusal("rate", 1), *refused], NOW, narrow)
        cursor = await conn.execute(
            "SELECT length(payload) FROM quarantine WHERE org_id = %s AND NOT counts_only",
            (org_id,),
        )
        assert await cursor.fetchall() == [(100_000,)] * 2
    assert counted == {refusal("rate", 1).digest, refused[2].digest}
