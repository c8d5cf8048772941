"""Notes for the database are written in batches, and one that fails keeps no other from it."""

import asyncio

import pytest

from db.core.connect import Connection
from listener.stored.writes import MOST_NOTES, OUTAGES, Notes, keep_written
from tests.servers import DatabaseUnderTest
from tests.waiting import until


def test_of_each_key_the_newest_note_is_kept_and_what_is_noted_meanwhile_is_not_lost() -> None:
    notes = Notes[int, str]()
    notes.note(1, "old")
    notes.note(2, "two")
    notes.note(1, "new")
    batch = notes.oldest()
    assert batch == {2: "two", 1: "new"}
    notes.note(1, "newer")
    notes.written(batch)
    assert notes.oldest() == {1: "newer"}


def test_notes_are_bounded_and_the_oldest_are_lost() -> None:
    notes = Notes[int, int]()
    for number in range(MOST_NOTES + 5):
        notes.note(number, number)
    assert len(notes) == MOST_NOTES
    assert min(notes.oldest()) == 5


async def test_a_note_that_cannot_be_written_is_left_out_and_the_others_are_written() -> None:
    notes, stored = Notes[int, str](), dict[int, str]()

    async def store(batch: dict[int, str]) -> None:
        if 2 in batch:
            raise TypeError("nobody foresaw this")
        stored.update(batch)

    for number in range(4):
        notes.note(number, "note")
    await notes.write(store)
    assert stored == dict.fromkeys((0, 1, 3), "note")
    assert len(notes) == 0


async def test_notes_that_all_fail_are_kept_since_no_note_is_the_cause() -> None:
    notes = Notes[int, str]()

    async def store(_: dict[int, str]) -> None:
        raise TypeError("nobody foresaw this")

    for number in range(4):
        notes.note(number, "note")
    with pytest.raises(TypeError):
        await notes.write(store)
    assert len(notes) == 4


@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_leaves_notes_as_they_are(outage: type[Exception]) -> None:
    notes = Notes[int, str]()

    async def store(_: dict[int, str]) -> None:
        raise outage

    notes.note(1, "note")
    with pytest.raises(outage):
        await notes.write(store)
    assert notes.oldest() == {1: "note"}


async def test_a_writer_that_fails_keeps_no_other_from_writing(database: DatabaseUnderTest) -> None:
    written, stopping = list[str](), asyncio.Event()

    async def broken(_: Connection) -> None:
        written.append("broken")
        raise TypeError("nobody foresaw this")

    async def refused(conn: Connection) -> None:
        written.append("refused")
        await conn.execute("SELECT 1 / 0")

    async def good(_: Connection) -> None:
        written.append("good")

    writers = [broken, refused, good]
    writing = asyncio.create_task(keep_written(database.url("opsc_listen"), writers, stopping))
    await until(lambda: len(written) >= 6)
    stopping.set()
    await writing
    assert written[:6] == ["broken", "refused", "good"] * 2
