"""Failing rows as the database keeps them."""

import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest

from db.core.connect import Connection, connect, pool
from db.core.ids import new_id
from db.history import failing_work
from db.history.failing_work import FailingWork, WorkKind
from service.background.row_guard import WorkRow
from tests.servers import DatabaseUnderTest

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def admin(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    """An administrator of a database in which nothing fails."""
    async with await connect(database.url("admin"), "test") as conn:
        await conn.execute("TRUNCATE failing_work")
        yield conn


@pytest.fixture
async def store(admin: Connection, database: DatabaseUnderTest) -> AsyncIterator[FailingWork]:
    async with pool(database.url("opsc_deliver"), "test", max_size=1) as connections:
        yield FailingWork(connections.connection)


async def noted(
    store: FailingWork, row: WorkRow, most_tries: int | None = 5
) -> tuple[int, float] | None:
    return await store.note(row, "TypeError: \0", first_s=10, most_s=60, most_tries=most_tries)


async def test_waits_double_and_the_last_try_sets_a_row_aside(store: FailingWork) -> None:
    row = WorkRow("letter", "1")
    waits = [await noted(store, row) for _ in range(5)]
    assert waits == [(1, 10), (2, 20), (3, 40), (4, 60), (5, math.inf)]
    ((kind, key, wait_s),) = await store.failing()
    assert (kind, key, wait_s) == ("letter", "1", math.inf)


async def test_without_a_limit_no_row_is_set_aside(store: FailingWork) -> None:
    row = WorkRow("loop", "mail")
    waits = [await noted(store, row, None) for _ in range(40)]
    assert waits[-1] == (40, 60)


async def test_failures_a_day_apart_are_counted_anew(admin: Connection, store: FailingWork) -> None:
    row = WorkRow("letter", "1")
    for _ in range(4):
        await noted(store, row)
    await admin.execute("UPDATE failing_work SET failed_at = now() - interval '25 hours'")
    assert await noted(store, row) == (1, 10)  # and it is not the fifth, which sets it aside
    assert await noted(store, row) == (2, 20)


async def test_a_row_that_is_let_go_is_due_at_once_and_has_all_its_tries(
    admin: Connection, store: FailingWork
) -> None:
    rows = [WorkRow("letter", "1"), WorkRow("letter", "2"), WorkRow("job", "1")]
    for row in rows:
        await noted(store, row, 1)
        await noted(store, row, 1)
    assert await failing_work.release(admin, "letter", "1") == 1
    waits = {row[:2]: row.wait_s for row in await store.failing()}
    assert waits == {("letter", "1"): 0, ("letter", "2"): math.inf, ("job", "1"): math.inf}
    assert await noted(store, rows[0]) == (1, 10)
    shown = await failing_work.listing(admin, 10)
    assert sorted((row.kind, row.key, row.retry_at is None) for row in shown) == [
        ("job", "1", True),
        ("letter", "1", False),
        ("letter", "2", True),
    ]


async def test_a_row_of_an_organization_that_is_gone_is_not_noted(store: FailingWork) -> None:
    assert await noted(store, WorkRow("letter", "1", new_id())) is None
    assert await store.failing() == []


async def test_what_was_done_and_what_has_not_failed_for_a_day_is_removed(
    admin: Connection, store: FailingWork
) -> None:
    done, old, aside = (WorkRow("letter", key) for key in ("done", "old", "aside"))
    for row in (done, old, aside, aside):
        await noted(store, row, 2)
    await store.forget(done)
    await admin.execute(
        "UPDATE failing_work SET failed_at = now() - interval '2 days', retry_at = CASE"
        " WHEN retry_at < 'infinity' THEN now() - interval '1 day' ELSE retry_at END"
    )
    assert await failing_work.remove_old(admin, 10) == 1
    assert [row.key for row in await store.failing()] == ["aside"]


def test_the_page_for_operators_says_what_each_kind_is() -> None:
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## Background work that fails")
    table, _, _ = section.partition("\n## ")
    named = re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)))
    assert sorted(named) == sorted(get_args(WorkKind))
