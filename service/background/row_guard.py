"""Background work, row by row: an exception that nobody foresaw makes its row wait, and no other.

    done = await guard.run(WorkRow("letter", str(letter.id), letter.org_id), work)

A failing row waits longer after each failure. After `most_tries` it is set aside, until an operator
lets it go (`opsc work release`). Work that keeps an order names as its row whatever must wait
together: an organization, whose later rows then wait, too. A loop is a row of its own (`keep`), for
what fails outside of its rows; it is never set aside.

A row that a statement chose among those that do not wait is `is_due`: the database knows better
than this process what an operator or another process has let go.

Failing rows are kept in the database, so all processes know them, and so does the next one. What is
not about a row passes: cancellation, MemoryError, and the exceptions of `passing`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from service.background.pauses import pause
from service.exceptions import message

Answer = TypeVar("Answer")
_log = structlog.get_logger("service")


class WorkRow(NamedTuple):
    """A row of background work. key: unique among rows of the kind."""

    kind: str
    key: str
    org_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Done(Generic[Answer]):
    """The answer of work that was done."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Bulk(Generic[Answer]):
    """The rows of work in bulk that were done, and the answers: one where it was done at once, else
    one for each row.
    """

    rows: Sequence[WorkRow] = ()
    answers: Sequence[Answer] = ()


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Every bound of a guard. The waits double up to `most_s`; a row is set aside after two hours.

    slow_s: the longest wait of a row that only took too long, or of a loop: neither is set aside.
    """

    first_s: float = 10
    most_s: float = 3_600
    most_tries: int = 11
    slow_s: float = 60
    refresh_s: float = 5  # between looks at what other processes and operators have done


class FailingWork(Protocol):
    """The failing rows in the database. Raises what `RowGuard` is told to let pass."""

    async def failing(self) -> Sequence[tuple[str, str, float]]:
        """Return kind and key of rows that have failed, and the seconds until they are tried
        again; infinite: a row is set aside.
        """
        ...

    async def note(
        self, row: WorkRow, error: str, *, first_s: float, most_s: float, most_tries: int | None
    ) -> tuple[int, float] | None:
        """Note a failure; returns how many there are in a row, and the seconds as above. None where
        the row's organization is gone. most_tries: None: the row is never set aside.
        """
        ...

    async def forget(self, row: WorkRow) -> None: ...


class GuardMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "opsc_work_failures",
            "Failures of rows of background work that nobody foresaw, by the kind of work.",
            ["kind"],
            registry=registry,
        )
        self.waiting = Gauge(
            "opsc_work_waiting",
            "Rows of background work that wait after such failures, of all processes.",
            ["kind"],
            registry=registry,
        )
        self.set_aside = Gauge(
            "opsc_work_set_aside",
            "Rows of background work that failed too often: an operator lets them go again.",
            ["kind"],
            registry=registry,
        )

    def show(self, rows: Sequence[tuple[str, str, float]]) -> None:
        """Show rows that fail: kind, key and seconds."""
        self.waiting.clear()
        self.set_aside.clear()
        for kind, _, wait_s in rows:
            if wait_s > 0:
                (self.set_aside if wait_s == math.inf else self.waiting).labels(kind).inc()


class RowGuard:
    """passing: exceptions that are not about a row, such as a database that is away. slow: those of
    them that are, since the row took longer than it may.
    """

    def __init__(
        self,
        failing: FailingWork,
        passing: tuple[type[Exception], ...],
        slow: tuple[type[Exception], ...],
        metrics: GuardMetrics,
        limits: GuardLimits | None = None,
    ) -> None:
        self._failing = failing
        self._passing = (*passing, MemoryError)
        self._slow = slow
        self._metrics = metrics
        self._limits = limits or GuardLimits()
        self._known: dict[tuple[str, str], float] = {}  # until when a row waits; monotonic
        self._noted: dict[tuple[str, str], float] = {}  # of these, since the last look began
        self._refresh_at_s = 0.0

    async def run(
        self, row: WorkRow, work: Callable[[], Awaitable[Answer]], *, is_due: bool = False
    ) -> Done[Answer] | None:
        """Do the work of a row, unless the row waits. Returns None where it was not done, and
        raises what passes.

        is_due: the statement that chose the row has left out those that wait.
        """
        await self.keep_fresh()
        if not is_due and self.waits(row):
            return None
        outcome = await self._attempt(row, work, self._limits.most_tries)
        return outcome if isinstance(outcome, Done) else None

    async def keep(
        self,
        name: str,
        run: Callable[[asyncio.Event], Awaitable[None]],
        stop: asyncio.Event,
        ending: tuple[type[Exception], ...] = (),
    ) -> None:
        """Run a loop until `stop`, and begin it anew where it fails. Raises MemoryError, and those
        of `ending` that pass.
        """
        while not stop.is_set():
            try:
                outcome = await self._attempt(WorkRow("loop", name), partial(run, stop), None)
                wait_s = 0.0 if isinstance(outcome, Done) else outcome
            except (MemoryError, *ending):
                raise
            except self._passing as error:
                _log.warning("a loop begins anew", loop=name, error=message(error))
                wait_s = self._limits.first_s
            await pause(stop, wait_s)

    def waits(self, row: WorkRow) -> bool:
        """Whether a row waits after a failure, as far as it is known here."""
        return monotonic() < self._known.get(row[:2], 0.0)

    async def bulk(
        self,
        rows: Sequence[WorkRow],
        work: Callable[[Sequence[WorkRow]], Awaitable[Answer]],
        *,
        is_due: bool = False,
        shrinks: bool = False,
    ) -> Bulk[Answer]:
        """Do the work of those of the rows that do not wait at once, and where that fails, of each
        by itself. Raises what passes.

        is_due: as in `run`. shrinks: the caller does less at once where it took too long, which is
        raised.
        """
        await self.keep_fresh()
        ready = [row for row in rows if is_due or not self.waits(row)]
        if not ready:
            return Bulk()
        try:
            answer = await work(ready)
        except Exception as error:
            if isinstance(error, self._passing) and (shrinks or not isinstance(error, self._slow)):
                raise
            facts = {"kind": ready[0].kind, "rows": len(ready), "error": message(error)}
            _log.warning("work in bulk failed, each row is tried alone", **facts)
            return await self._one_by_one(ready, work)
        for row in ready:
            await self._well(row)
        return Bulk(ready, [answer])

    async def _one_by_one(
        self, rows: Sequence[WorkRow], work: Callable[[Sequence[WorkRow]], Awaitable[Answer]]
    ) -> Bulk[Answer]:
        well, answers = list[WorkRow](), list[Answer]()
        for row in rows:
            done = await self.run(row, partial(work, [row]), is_due=True)
            if done is not None:
                well.append(row)
                answers.append(done.answer)
        return Bulk(well, answers)

    async def failed(self, row: WorkRow, error: Exception) -> float:
        """Note a failure of a row; in how many seconds it is to be tried again, or infinity."""
        return await self._note(row, error, self._limits.most_tries)

    async def _attempt(
        self, row: WorkRow, work: Callable[[], Awaitable[Answer]], most_tries: int | None
    ) -> Done[Answer] | float:
        """Do the work of a row, or where it fails, return in how many seconds to try again."""
        try:
            answer = await work()
        except self._slow as error:
            return await self._note(row, error, None, self._limits.slow_s)
        except self._passing:
            raise
        except Exception as error:  # noqa: BLE001
            most_s = self._limits.slow_s if most_tries is None else None
            return await self._note(row, error, most_tries, most_s)
        await self._well(row)
        return Done(answer)

    async def _well(self, row: WorkRow) -> None:
        """Forget the failures of a row that was done."""
        self._noted.pop(row[:2], None)
        if self._known.pop(row[:2], None) is not None:
            await self._failing.forget(row)

    async def _note(
        self, row: WorkRow, error: Exception, most_tries: int | None, most_s: float | None = None
    ) -> float:
        limits = self._limits
        self._metrics.failures.labels(row.kind).inc()
        noted = await self._failing.note(
            row,
            f"{type(error).__name__}: {message(error)}",
            first_s=limits.first_s,
            most_s=most_s or limits.most_s,
            most_tries=most_tries,
        )
        facts = {"kind": row.kind, "row": row.key, "organization": row.org_id and str(row.org_id)}
        if noted is None:
            _log.info("work of an organization that is gone", **facts, error=message(error))
            return limits.first_s
        tries, wait_s = noted
        self._known[row[:2]] = self._noted[row[:2]] = monotonic() + wait_s
        _log.error(
            "a row of background work failed",
            **facts,
            tries=tries,
            again_in_s=None if wait_s == math.inf else round(wait_s, 1),
            is_set_aside=wait_s == math.inf,
            exc_info=error,
        )
        return wait_s

    async def keep_fresh(self) -> None:
        """Read now and then what other processes and operators have done, also for the metrics."""
        if monotonic() < self._refresh_at_s:
            return
        self._refresh_at_s = monotonic() + self._limits.refresh_s
        self._noted = {}
        rows = await self._failing.failing()
        now_s = monotonic()
        read = {(kind, key): now_s + wait_s for kind, key, wait_s in rows}
        self._known = read | self._noted  # these may have been noted behind the look
        self._metrics.show(rows)
