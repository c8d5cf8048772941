"""A timesheet as plain values: everything that its PDF and its CSV show.

The caller has decided all hours by the rules of `operations`, and fills these classes. Nothing is
worked out here but sums, and how the hours of a day are spread over its lines.

Times are aware, in any time zone: they are shown in that of the document. Durations are whole
seconds. A text may hold any characters. What is out of bounds raises DocumentError.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from geofence.punches.claim import Worth
from operations.hours.timesheet_states import State
from telemetry.punch import PunchKind

MAX_DAYS = 31  # the longest period is a month
MAX_LINES_OF_A_DAY = 100  # shifts, adjustments and punches with a footnote
MAX_LINES = 500  # of all days together: some fifteen pages
MAX_TEXT_LENGTH = 5_000
MAX_TEXT_TOTAL = 100_000
_MOST_S = 40 * 86_400  # longer than any period


class DocumentError(ValueError):
    """A value that no document can have. The caller's fault.

    field: its name. problem: one sentence, the fault and the right values.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class PaidHours(NamedTuple):
    """Seconds by how they are paid."""

    regular_s: int = 0
    overtime_s: int = 0
    double_s: int = 0

    @property
    def total_s(self) -> int:
        """The seconds of all three kinds."""
        return sum(self)


_UNPAID = PaidHours()


class VerdictReason(NamedTuple):
    """A rule that spoke on a punch. figures: by name with unit, such as `distance_m`."""

    rule: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Review:
    """The decision of somebody who looked at a doubtful punch."""

    outcome: Literal["accepted", "rejected"]
    by: str
    at: datetime
    note: str = ""

    def __post_init__(self) -> None:
        _check_texts(by=self.by, note=self.note)
        _check_aware("at", self.at)


@dataclass(frozen=True, slots=True)
class PunchEntry:
    """The entry of a punch by hand."""

    by: str
    at: datetime
    reason: str

    def __post_init__(self) -> None:
        _check_texts(by=self.by, reason=self.reason)
        _check_aware("at", self.at)


@dataclass(frozen=True, slots=True)
class NotedPunch:
    """A punch that is not simply verified, or that somebody entered by hand: a footnote.

    time: the credited one. server_time: the other reading, by what the server saw; None where
    nobody disputes the credited time. flags: such as `not_in`. entry: None: it is the employee's
    own. is_settled: it needs no review.
    """

    kind: PunchKind
    time: datetime
    verdict: Worth
    reasons: tuple[VerdictReason, ...] = ()
    flags: tuple[str, ...] = ()
    server_time: datetime | None = None
    review: Review | None = None
    entry: PunchEntry | None = None
    is_settled: bool = False

    def __post_init__(self) -> None:
        _check_aware("time", self.time)
        _check_aware("server_time", self.server_time)
        _check_count("reasons", len(self.reasons), 20)
        _check_count("flags", len(self.flags), 20)

    @property
    def needs_review(self) -> bool:
        """Somebody should still look at the punch."""
        return self.review is None and not self.is_settled


@dataclass(frozen=True, slots=True)
class ShiftLine:
    """A shift, or the part of a shift that counts to one day.

    ended_at: None while the shift is open. break_s, worked_s: as they were, before rounding.
    verified, unverified, failed: how many of its punches have each verdict, but for settled ones
    that were entered by hand. flags: such as `missing_out`. server_worked_s: the worked seconds by
    what the server saw, where a time is disputed. is_settled: all doubts were reviewed. entries: of
    its punches by hand. noted: its footnotes; of a shift of several days the first part has them.
    """

    started_at: datetime
    ended_at: datetime | None
    break_s: int
    worked_s: int
    site: str = ""
    verified: int = 0
    unverified: int = 0
    failed: int = 0
    flags: tuple[str, ...] = ()
    server_worked_s: int | None = None
    is_settled: bool = False
    entries: tuple[PunchEntry, ...] = ()
    noted: tuple[NotedPunch, ...] = ()

    def __post_init__(self) -> None:
        _check_aware("started_at", self.started_at)
        _check_aware("ended_at", self.ended_at)
        _check_texts(site=self.site)
        _check_count("flags", len(self.flags), 20)
        for field in ("break_s", "worked_s"):
            _check_within(field, getattr(self, field), 0, _MOST_S)

    @property
    def has_doubts(self) -> bool:
        """Something about the shift is, or was, in need of a review."""
        return bool(self.unverified or self.failed or self.flags)

    @property
    def is_doubtful(self) -> bool:
        """Somebody should still look at the shift before its time is paid."""
        return self.has_doubts and not self.is_settled


@dataclass(frozen=True, slots=True)
class AdjustmentLine:
    """Seconds that somebody added to a day, or took off where they are negative. is_own: the hours
    are those of the actor.
    """

    seconds: int
    reason: str
    actor: str
    made_at: datetime
    is_own: bool = False

    def __post_init__(self) -> None:
        _check_within("seconds", self.seconds, -_MOST_S, _MOST_S)
        _check_texts(reason=self.reason, actor=self.actor)
        _check_aware("made_at", self.made_at)


@dataclass(frozen=True, slots=True)
class DocumentDay:
    """A local day. paid: its hours after rounding and adjustments. loose: punches of no shift."""

    day: date
    paid: PaidHours = _UNPAID
    shifts: tuple[ShiftLine, ...] = ()
    adjustments: tuple[AdjustmentLine, ...] = ()
    loose: tuple[NotedPunch, ...] = ()

    def __post_init__(self) -> None:
        _check_count(f"lines of {self.day}", self.line_count, MAX_LINES_OF_A_DAY)
        for field, seconds in self.paid._asdict().items():
            _check_within(field, seconds, 0, _MOST_S)

    @property
    def line_count(self) -> int:
        """The lines that the day takes, with its footnotes."""
        return len(self.shifts) + len(self.adjustments) + sum(1 for _ in self.noted())

    def noted(self) -> Iterator[NotedPunch]:
        """Yield the punches in the order of their footnotes."""
        for shift in self.shifts:
            yield from shift.noted
        yield from self.loose


@dataclass(frozen=True, slots=True)
class TimesheetDecision:
    """The approval or rejection of a timesheet."""

    by: str
    at: datetime

    def __post_init__(self) -> None:
        _check_texts(by=self.by)
        _check_aware("at", self.at)


@dataclass(frozen=True, slots=True)
class TimesheetDocument:
    """The timesheet of an employee for one period.

    document_id: names this document, on each page. timezone: IANA name, of the local days. days: in
    order, within the period; a day that is left out has nothing on it. decision: None unless the
    timesheet was approved or rejected.
    """

    document_id: str
    organization: str
    employee: str
    employee_number: str
    first_day: date
    last_day: date
    timezone: str
    state: State
    generated_at: datetime
    days: tuple[DocumentDay, ...]
    decision: TimesheetDecision | None = None

    def __post_init__(self) -> None:
        _check_texts(
            document_id=self.document_id,
            organization=self.organization,
            employee=self.employee,
            employee_number=self.employee_number,
        )
        _check_aware("generated_at", self.generated_at)
        _check_zone(self.timezone)
        _check_period(self.first_day, self.last_day, [day.day for day in self.days])
        _check_count("lines", sum(day.line_count for day in self.days), MAX_LINES)
        _check_count("characters", sum(map(len, _texts(self))), MAX_TEXT_TOTAL)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the local days."""
        return ZoneInfo(self.timezone)

    @property
    def paid(self) -> PaidHours:
        """The sums of the days."""
        return PaidHours(
            *(sum(kind) for kind in zip(*(day.paid for day in self.days), strict=True))
        )

    @property
    def doubtful_s(self) -> int:
        """The worked seconds of shifts that somebody should still look at."""
        shifts = (shift for day in self.days for shift in day.shifts)
        return sum(shift.worked_s for shift in shifts if shift.is_doubtful)

    def every_day(self) -> Iterator[DocumentDay]:
        """Yield each day of the period, in order."""
        known = {day.day: day for day in self.days}
        for number in range(self.first_day.toordinal(), self.last_day.toordinal() + 1):
            day = date.fromordinal(number)
            yield known.get(day) or DocumentDay(day)


class DayEntry(NamedTuple):
    """A line of a day that takes part in its hours.

    line: None for the rest: by rounding, or by a limit to adjustments. paid: the part of the line
    in the hours of the day.
    """

    line: ShiftLine | AdjustmentLine | None
    seconds: int
    paid: PaidHours


def entries(day: DocumentDay) -> list[DayEntry]:
    """Return the lines of a day, whose hours add up to those of the day.

    The first hours are regular, those after them overtime, the last ones double time. Where time is
    taken off, the last hours go first.
    """
    lines: list[tuple[ShiftLine | AdjustmentLine | None, int]] = [
        *((shift, shift.worked_s) for shift in day.shifts),
        *((adjustment, adjustment.seconds) for adjustment in day.adjustments),
    ]
    rest_s = day.paid.total_s - sum(seconds for _, seconds in lines)
    if rest_s:
        lines.append((None, rest_s))
    found: list[DayEntry] = []
    before_s = 0
    for line, seconds in lines:
        found.append(DayEntry(line, seconds, _between(before_s, before_s + seconds, day.paid)))
        before_s += seconds
    return found


def _between(from_s: int, to_s: int, paid: PaidHours) -> PaidHours:
    """Return how the seconds of a day from one count to another are paid."""
    return PaidHours(
        *(to - start for start, to in zip(_first(from_s, paid), _first(to_s, paid), strict=True))
    )


def _first(seconds: int, paid: PaidHours) -> PaidHours:
    """Return how the first seconds of a day are paid; beyond its hours, as the last ones are."""
    regular_s = seconds
    if paid.overtime_s or paid.double_s:
        regular_s = min(seconds, paid.regular_s)
    overtime_s = seconds - regular_s
    if paid.double_s:
        overtime_s = min(overtime_s, paid.overtime_s)
    return PaidHours(regular_s, overtime_s, seconds - regular_s - overtime_s)


def _check_within(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise DocumentError(field, f"{value}; it must be from {least} to {most}")


def _check_count(field: str, count: int, most: int) -> None:
    if count > most:
        raise DocumentError(field, f"there are {count}; a document has at most {most}")


def _check_texts(**texts: str) -> None:
    for field, text in texts.items():
        if len(text) > MAX_TEXT_LENGTH:
            problem = f"{len(text)} characters; at most {MAX_TEXT_LENGTH} are printed"
            raise DocumentError(field, problem)


def _check_aware(field: str, time: datetime | None) -> None:
    if time is not None and time.utcoffset() is None:
        raise DocumentError(field, f"{time} has no time zone; it must have one, such as UTC")


def _check_zone(timezone: str) -> None:
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        problem = f"{timezone!r}; it must be an IANA name such as Europe/Zurich"
        raise DocumentError("timezone", problem) from None


def _check_period(first_day: date, last_day: date, days: Sequence[date]) -> None:
    length = (last_day - first_day).days + 1
    if not 1 <= length <= MAX_DAYS:
        problem = f"the period has {length} days; it must have from 1 to {MAX_DAYS}"
        raise DocumentError("last_day", problem)
    for before, after in pairwise(days):
        if not before < after:
            raise DocumentError("days", f"{after} comes after {before}; days must be in order")
    for day in (*days[:1], *days[-1:]):
        if not first_day <= day <= last_day:
            problem = f"{day} is not of the period from {first_day} to {last_day}"
            raise DocumentError("days", problem)


def _texts(document: TimesheetDocument) -> Iterable[str]:
    """Yield the texts that may be long."""
    yield document.organization
    yield document.employee
    for day in document.days:
        for shift in day.shifts:
            yield shift.site
            yield from shift.flags
            for entry in shift.entries:
                yield entry.by
                yield entry.reason
        for adjustment in day.adjustments:
            yield adjustment.reason
            yield adjustment.actor
        for punch in day.noted():
            yield from punch.flags
            if punch.review:
                yield punch.review.by
                yield punch.review.note
