"""One row that fails as nobody foresaw waits, longer each time, and no other does."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from structlog.typing import EventDict

from db.core.errors import OperationalError, QueryCanceled
from db.core.leases import LeaseLost
from service.background.row_guard import GuardLimits, GuardMetrics, RowGuard, WorkRow
from tests.waiting import until

LIMITS = GuardLimits(first_s=10, most_s=100, most_tries=6, slow_s=30, refresh_s=0)
PASSING = (OperationalError, LeaseLost)
ORG = uuid4()
BAD, GOOD, OTHER = (WorkRow("letter", key, ORG) for key in ("bad", "good", "other"))


@dataclass
class Store:
    """What `db.history.failing_work` keeps, in memory and without a clock: nothing comes due by
    itself. is_gone: the organizations of all rows are gone.
    """

    tries: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    waits_s: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    noted: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    errors: list[str] = field(default_factory=list[str])
    forgotten: list[WorkRow] = field(default_factory=list[WorkRow])
    is_gone: bool = False
    on_look: Callable[[], Awaitable[object]] | None = None

    async def failing(self) -> Sequence[tuple[str, str, float]]:
        rows = [(*row, wait_s) for row, wait_s in self.waits_s.items()]
        if self.on_look is not None:
            await self.on_look()
        return rows

    async def note(
        self, row: WorkRow, error: str, *, first_s: float, most_s: float, most_tries: int | None
    ) -> tuple[int, float] | None:
        if self.is_gone:
            return None
        tries = self.tries[row[:2]] = self.tries.get(row[:2], 0) + 1
        is_last = most_tries is not None and tries >= most_tries
        wait_s = math.inf if is_last else min(most_s, first_s * 2 ** (tries - 1))
        self.waits_s[row[:2]] = wait_s
        self.noted.append((row.key, wait_s))
        self.errors.append(error)
        return tries, wait_s

    async def forget(self, row: WorkRow) -> None:
        self.forgotten.append(row)
        self.tries.pop(row[:2], None)
        self.waits_s.pop(row[:2], None)

    def let_go(self) -> None:
        """Let all rows go, as an operator does."""
        self.tries = dict.fromkeys(self.tries, 0)
        self.waits_s = dict.fromkeys(self.waits_s, 0)

    def come_due(self) -> None:
        """Let all waits be over but those of rows that are set aside."""
        self.waits_s = {row: s if s == math.inf else 0 for row, s in self.waits_s.items()}


@dataclass
class Work:
    """Work that raises `error` for some rows. done, tried: the keys of rows, in order."""

    error: BaseException = field(default_factory=lambda: TypeError("nobody foresaw this"))
    poisoned: set[str] = field(default_factory=lambda: {"bad"})
    done: list[str] = field(default_factory=list[str])
    tried: list[list[str]] = field(default_factory=list[list[str]])

    async def __call__(self, rows: Sequence[WorkRow]) -> int:
        self.tried.append([row.key for row in rows])
        if not self.poisoned.isdisjoint(row.key for row in rows):
            raise self.error
        self.done += [row.key for row in rows]
        return len(rows)

    def of(self, row: WorkRow) -> Callable[[], Awaitable[int]]:
        return partial(self, [row])


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def guard(store: Store, registry: CollectorRegistry) -> RowGuard:
    return RowGuard(store, PASSING, (QueryCanceled,), GuardMetrics(registry), LIMITS)


@pytest.mark.parametrize(
    "error",
    [OperationalError(), LeaseLost("trips", 3), MemoryError(), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("at_once", [False, True])
async def test_what_is_not_about_a_row_passes_and_is_not_noted(
    guard: RowGuard, store: Store, error: BaseException, at_once: bool
) -> None:
    work = Work(error)
    done = guard.bulk([GOOD, BAD], work) if at_once else guard.run(BAD, work.of(BAD))
    with pytest.raises(type(error)):
        await done
    assert (store.noted, len(work.tried)) == ([], 1)


async def test_waits_double_until_the_row_is_set_aside(
    guard: RowGuard, store: Store, logged: list[EventDict]
) -> None:
    work = Work()
    for _ in range(LIMITS.most_tries + 2):
        assert not await guard.run(BAD, work.of(BAD))
        store.come_due()
    assert [wait_s for _, wait_s in store.noted] == [10, 20, 40, 80, 100, math.inf]
    assert len(work.tried) == LIMITS.most_tries
    assert set(store.errors) == {"TypeError: nobody foresaw this"}
    told = [one for one in logged if one["event"] == "a row of background work failed"]
    assert [one["is_set_aside"] for one in told] == [False] * 5 + [True]
    assert told[0]["organization"] == str(ORG)


async def test_a_row_that_waits_is_not_tried_and_others_are(guard: RowGuard, store: Store) -> None:
    work = Work()
    assert not await guard.run(BAD, work.of(BAD))
    assert guard.waits(BAD)
    assert not await guard.run(BAD, work.of(BAD))
    assert await guard.run(GOOD, work.of(GOOD))
    assert work.tried == [["bad"], ["good"]]


async def test_what_another_process_has_noted_waits_here_too(guard: RowGuard, store: Store) -> None:
    store.waits_s[BAD[:2]] = 50
    work = Work(poisoned=set())
    assert not await guard.run(BAD, work.of(BAD))
    store.let_go()
    assert await guard.run(BAD, work.of(BAD))
    assert store.forgotten == [BAD]


async def test_what_a_statement_has_chosen_is_tried_whatever_is_known_here(
    store: Store, registry: CollectorRegistry
) -> None:
    """An operator has let it go since the last look at the failing rows, a minute ago at most."""
    seldom = GuardLimits(refresh_s=60)
    guard = RowGuard(store, PASSING, (), GuardMetrics(registry), seldom)
    work = Work()
    assert not await guard.run(BAD, work.of(BAD))
    store.let_go()
    assert not await guard.run(BAD, work.of(BAD))
    work.poisoned.clear()
    assert await guard.run(BAD, work.of(BAD), is_due=True)
    assert store.forgotten == [BAD]
    store.waits_s[GOOD[:2]] = 50
    assert (await guard.bulk([GOOD, OTHER], work, is_due=True)).answers == [2]


async def test_a_failure_that_is_noted_during_a_look_is_not_lost(
    store: Store, registry: CollectorRegistry
) -> None:
    limits = GuardLimits(refresh_s=60)
    guard = RowGuard(store, PASSING, (), GuardMetrics(registry), limits)
    store.on_look = lambda: guard.failed(BAD, TypeError())
    assert await guard.run(GOOD, Work().of(GOOD))
    assert guard.waits(BAD)


async def test_success_forgets(guard: RowGuard, store: Store) -> None:
    work = Work()
    assert not await guard.run(BAD, work.of(BAD))
    store.come_due()
    work.poisoned.clear()
    assert await guard.run(BAD, work.of(BAD))
    assert await guard.run(BAD, work.of(BAD))
    assert store.forgotten == [BAD]  # once: what has not failed costs no statement
    work.poisoned.add("bad")
    assert not await guard.run(BAD, work.of(BAD))
    assert store.noted[-1] == ("bad", LIMITS.first_s)


async def test_what_took_too_long_waits_a_while_and_is_never_set_aside(
    guard: RowGuard, store: Store
) -> None:
    work = Work(QueryCanceled())
    for _ in range(3 * LIMITS.most_tries):
        assert not await guard.run(BAD, work.of(BAD))
        store.come_due()
    waits = [wait_s for _, wait_s in store.noted]
    assert waits == [10, 20] + [LIMITS.slow_s] * (3 * LIMITS.most_tries - 2)


async def test_a_row_of_an_organization_that_is_gone_is_not_kept(
    guard: RowGuard, store: Store
) -> None:
    store.is_gone = True
    assert not await guard.run(BAD, Work().of(BAD))
    assert not guard.waits(BAD)
    assert await guard.failed(BAD, TypeError()) == LIMITS.first_s


async def test_what_fails_in_bulk_is_done_row_by_row(guard: RowGuard, store: Store) -> None:
    work = Work()
    done = await guard.bulk([GOOD, BAD, OTHER], work)
    assert (list(done.rows), list(done.answers)) == ([GOOD, OTHER], [1, 1])
    assert work.tried == [["good", "bad", "other"], ["good"], ["bad"], ["other"]]
    assert store.noted == [("bad", LIMITS.first_s)]
    done = await guard.bulk([GOOD, BAD, OTHER], work)  # the one that waits is left out
    assert (list(done.rows), list(done.answers)) == ([GOOD, OTHER], [2])
    assert work.tried[4:] == [["good", "other"]]
    done = await guard.bulk([BAD], work)
    assert (list(done.rows), list(done.answers), work.tried[5:]) == ([], [], [])
    store.let_go()
    work.poisoned.clear()
    assert (await guard.bulk([GOOD, BAD, OTHER], work)).answers == [3]
    assert store.forgotten == [BAD]


async def test_what_takes_too_long_in_bulk_is_done_row_by_row_unless_the_caller_shrinks(
    guard: RowGuard, store: Store
) -> None:
    work = Work(QueryCanceled())
    with pytest.raises(QueryCanceled):
        await guard.bulk([GOOD, BAD, OTHER], work, shrinks=True)
    assert store.noted == []
    done = await guard.bulk([GOOD, BAD, OTHER], work)
    assert (list(done.rows), store.noted) == ([GOOD, OTHER], [("bad", LIMITS.first_s)])


async def test_an_outage_in_the_middle_of_rows_that_are_done_alone_passes(
    guard: RowGuard, store: Store
) -> None:
    async def work(rows: Sequence[WorkRow]) -> None:
        raise TypeError if len(rows) > 1 else OperationalError

    with pytest.raises(OperationalError):
        await guard.bulk([GOOD, BAD], work)
    assert store.noted == []


async def test_metrics_say_what_waits_and_what_is_set_aside(
    guard: RowGuard, store: Store, registry: CollectorRegistry
) -> None:
    def shown(name: str, kind: str) -> float | None:
        return registry.get_sample_value(f"opsc_work_{name}", {"kind": kind})

    await guard.run(BAD, Work().of(BAD))
    assert shown("failures_total", "letter") == 1
    store.waits_s[("job", "1")] = math.inf
    store.waits_s[("job", "2")] = 0.0  # its wait is over
    await guard.run(GOOD, Work().of(GOOD))
    assert (shown("waiting", "letter"), shown("set_aside", "letter")) == (1, None)
    assert (shown("waiting", "job"), shown("set_aside", "job")) == (None, 1)
    store.waits_s.clear()
    await guard.run(GOOD, Work().of(GOOD))
    assert shown("waiting", "letter") is None


# Loops --------------------------------------------------------------------------------------------

QUICK = GuardLimits(first_s=0.001, most_s=100, most_tries=2, slow_s=0.002, refresh_s=0)


@dataclass
class Loop:
    """A loop that fails at its first beginnings."""

    failures: list[BaseException]
    begun: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        self.begun += 1
        if self.failures:
            raise self.failures.pop(0)
        await stop.wait()


@pytest.fixture
def keeper(store: Store, registry: CollectorRegistry) -> RowGuard:
    """A guard that waits for hardly any time."""
    return RowGuard(store, PASSING, (QueryCanceled,), GuardMetrics(registry), QUICK)


async def test_a_loop_that_fails_begins_anew_and_is_never_set_aside(
    keeper: RowGuard, store: Store
) -> None:
    stop, loop = asyncio.Event(), Loop([TypeError(f"{number}") for number in range(5)])
    kept = asyncio.create_task(keeper.keep("mail", loop.run, stop))
    await until(lambda: loop.begun == 6)
    assert store.noted == [("mail", 0.001)] + [("mail", QUICK.slow_s)] * 4
    stop.set()
    await kept
    assert store.forgotten == [WorkRow("loop", "mail")]


async def test_a_loop_that_meets_an_outage_begins_anew_without_a_note(
    keeper: RowGuard, store: Store
) -> None:
    stop, loop = asyncio.Event(), Loop([OperationalError(), LeaseLost("trips", 3)])
    kept = asyncio.create_task(keeper.keep("trips", loop.run, stop))
    await until(lambda: loop.begun == 3)
    stop.set()
    await kept
    assert store.noted == []


@pytest.mark.parametrize("error", [MemoryError(), LeaseLost("ingest", 3)], ids=repr)
async def test_what_is_to_end_a_loop_ends_it(
    keeper: RowGuard, store: Store, error: Exception
) -> None:
    loop = Loop([error])
    with pytest.raises(type(error)):
        await keeper.keep("punches", loop.run, asyncio.Event(), ending=(LeaseLost,))
    assert (loop.begun, store.noted) == (1, [])


async def test_a_loop_that_waits_ends_at_stop_and_at_cancellation(
    store: Store, registry: CollectorRegistry
) -> None:
    slow = GuardLimits(first_s=3_600)
    guard = RowGuard(store, PASSING, (), GuardMetrics(registry), slow)
    stop, stopped, cancelled = asyncio.Event(), Loop([TypeError()]), Loop([TypeError()])
    kept = asyncio.create_task(guard.keep("mail", stopped.run, stop))
    ended = asyncio.create_task(guard.keep("jobs", cancelled.run, asyncio.Event()))
    await until(lambda: len(store.noted) == 2)
    stop.set()
    await kept
    ended.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ended
    assert (stopped.begun, cancelled.begun) == (1, 1)
