"""The printed timesheet as texts: the rows, sums and footnotes that `timesheet.typ` sets.

Everything is decided here but the look. A text that a person wrote stays one text in the JSON, and
so is never read as markup.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import chain
from typing import Literal

import msgspec
from msgspec.structs import replace

from api.documents.letterhead import (
    NO_LETTERHEAD,
    Letterhead,
    PrintedLetterhead,
    printed_letterhead,
)
from api.documents.texts import (
    Clock,
    day_of_week,
    duration,
    figures,
    full_time,
    listed,
    one_line,
    time_of_day,
    words,
)
from api.documents.timesheet import (
    DayEntry,
    DocumentDay,
    NotedPunch,
    PaidHours,
    PunchEntry,
    Review,
    ShiftLine,
    TimesheetDocument,
    entries,
)

Paper = Literal["a4", "us-letter"]

# A punch that is entered by hand has no position and comes later: they say nothing about it.
_RULES_OF_ENTRIES = ("no_fix", "offline")
_EMPTY = Clock("")
_NONE = Clock("–")
_KINDS = {"in": "In", "out": "Out", "break_start": "Break start", "break_end": "Break end"}
_STATES = {
    "open": "Open: not final",
    "submitted": "Submitted: not approved",
    "approved": "Approved",
    "rejected": "Rejected",
    "locked": "Approved and locked",
}


class PrintedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table. is_first: of its day. notes: the numbers of its footnotes. paid: only on
    the last row of a day.
    """

    day: str = ""
    is_first: bool = False
    started: Clock = _EMPTY
    ended: Clock = _EMPTY
    breaks: Clock = _EMPTY
    worked: Clock = _EMPTY
    text: str = ""
    remark: str = ""
    notes: str = ""
    is_doubtful: bool = False
    paid: tuple[Clock, ...] = ()


class Sums(msgspec.Struct, frozen=True):
    """The sums of the period: for each way of paying, then all together."""

    breaks: Clock
    clocks: tuple[Clock, ...]
    hours: tuple[str, ...]
    adjusted: str
    doubtful: str


class Note(msgspec.Struct, frozen=True):
    """A footnote."""

    number: str
    text: str


class Printed(msgspec.Struct, frozen=True):
    """The texts of a whole document. facts: label and text."""

    paper: Paper
    document_id: str
    organization: str
    letterhead: PrintedLetterhead
    employee: str
    state: str
    is_final: bool
    decided_by: str
    decided_at: str
    facts: tuple[tuple[str, str], ...]
    generated: str
    rows: tuple[PrintedRow, ...]
    sums: Sums
    notes: tuple[Note, ...]


def printed(
    document: TimesheetDocument, paper: Paper, letterhead: Letterhead = NO_LETTERHEAD
) -> Printed:
    """Return the texts of a document."""
    writer = _Writer(document)
    rows = tuple(chain.from_iterable(map(writer.rows, document.every_day())))
    decision = document.decision
    return Printed(
        paper=paper,
        document_id=one_line(document.document_id),
        organization=one_line(document.organization),
        letterhead=printed_letterhead(document.organization, letterhead),
        employee=one_line(document.employee),
        state=_STATES[document.state],
        is_final=document.state in ("approved", "locked"),
        decided_by=one_line(decision.by) if decision else "",
        decided_at=full_time(decision.at, document.zone) if decision else "",
        facts=_facts(document),
        generated=full_time(document.generated_at, document.zone),
        rows=rows,
        sums=writer.sums(),
        notes=tuple(writer.notes),
    )


def _facts(document: TimesheetDocument) -> tuple[tuple[str, str], ...]:
    first_day, last_day = document.first_day, document.last_day
    return (
        ("Employee", one_line(document.employee)),
        ("Number", one_line(document.employee_number) or "–"),
        ("Period", f"{day_of_week(first_day)} to {day_of_week(last_day)} {last_day.year}"),
        ("Time zone", document.timezone),
    )


class _Writer:
    """The rows of one document, and its footnotes, which are numbered meanwhile."""

    def __init__(self, document: TimesheetDocument) -> None:
        self.notes: list[Note] = []
        self._document = document
        self._zone = document.zone
        self._shows_seconds = any(seconds % 60 for seconds in _all_seconds(document))

    def rows(self, day: DocumentDay) -> list[PrintedRow]:
        """Return the rows of a day: one at least. The hours of the day stand on the last one."""
        rows = [self._row(entry, day.day) for entry in entries(day)]
        rows += [self._loose_row(punch, day.day) for punch in day.loose]
        rows = rows or [PrintedRow()]
        rows = [replace(row, day=day_of_week(day.day)) for row in rows]
        rows[0] = replace(rows[0], is_first=True)
        if day.line_count:
            rows[-1] = replace(rows[-1], paid=self._clocks(day.paid))
        return rows

    def sums(self) -> Sums:
        """Return the sums of the period. Decimal hours are rounded, and their total is the sum of
        what is printed.
        """
        document, paid = self._document, self._document.paid
        hundredths = [(seconds + 18) // 36 for seconds in paid]
        adjusted_s = sum(line.seconds for day in document.days for line in day.adjustments)
        return Sums(
            breaks=self._clock(sum(shift.break_s for shift in _shifts(document))),
            clocks=(*self._clocks(paid), self._clock(paid.total_s)),
            hours=tuple(f"{n // 100}.{n % 100:02d}" for n in (*hundredths, sum(hundredths))),
            adjusted=str(self._clock(adjusted_s, is_signed=True)) if adjusted_s else "",
            doubtful=str(self._clock(document.doubtful_s)) if document.doubtful_s else "",
        )

    def _row(self, entry: DayEntry, day: date) -> PrintedRow:
        if isinstance(entry.line, ShiftLine):
            return self._shift_row(entry.line, day)
        worked = self._clock(entry.seconds, is_signed=True)
        if entry.line is None:
            return PrintedRow(worked=worked, text="Rounding")
        made_at = full_time(entry.line.made_at, self._zone)
        return PrintedRow(
            worked=worked,
            text=f"Adjustment: {one_line(entry.line.reason)}",
            remark=f"by {one_line(entry.line.actor)}, {made_at}",
        )

    def _shift_row(self, shift: ShiftLine, day: date) -> PrintedRow:
        return PrintedRow(
            started=self._time(shift.started_at, day),
            ended=self._time(shift.ended_at, day) if shift.ended_at else Clock("open"),
            breaks=self._clock(shift.break_s),
            worked=self._clock(shift.worked_s),
            text=one_line(shift.site),
            remark=self._remark(shift),
            notes=self._note_all(shift.noted),
            is_doubtful=shift.is_doubtful,
        )

    def _loose_row(self, punch: NotedPunch, day: date) -> PrintedRow:
        time = self._time(punch.time, day)
        begins = punch.kind in ("in", "break_end")
        return PrintedRow(
            started=time if begins else _EMPTY,
            ended=_EMPTY if begins else time,
            text=f"{_KINDS[punch.kind]} without a shift",
            remark=listed((*map(words, punch.flags), "entered by hand" if punch.entry else "")),
            notes=self._note_all([punch]),
            is_doubtful=punch.needs_review,
        )

    def _remark(self, shift: ShiftLine) -> str:
        """Return entries and doubts in a few words, or that there are none."""
        counts = (
            ("unverified", shift.unverified),
            ("failed", shift.failed),
            ("entered by hand", len(shift.entries)),
        )
        doubts = listed(
            (
                *(f"{count} {worth}" for worth, count in counts if count),
                *(words(flag) for flag in shift.flags if flag not in dict(counts)),
                self._other_reading(shift),
            )
        )
        if not doubts:
            return "verified" if shift.verified else ""
        return f"{doubts}; reviewed" if shift.has_doubts and shift.is_settled else doubts

    def _other_reading(self, shift: ShiftLine) -> str:
        if shift.server_worked_s is None:
            return ""
        return f"by the server {self._clock(shift.server_worked_s)}"

    def _note_all(self, punches: Iterable[NotedPunch]) -> str:
        """Add a footnote for each punch, and return their numbers."""
        numbers: list[str] = []
        for punch in punches:
            numbers.append(str(len(self.notes) + 1))
            self.notes.append(Note(numbers[-1], self._note(punch)))
        return ", ".join(numbers)

    def _note(self, punch: NotedPunch) -> str:
        reasons = (
            words(reason.rule) + (f" ({figures(reason.figures)})" if reason.figures else "")
            for reason in punch.reasons
            if punch.entry is None or reason.rule not in _RULES_OF_ENTRIES
        )
        flags = (words(flag) for flag in punch.flags if flag != punch.verdict)
        what = punch.verdict if punch.entry is None else self._entry(punch.entry)
        sentences = [
            f"{_KINDS[punch.kind]} {self._moment(punch.time)}: {what}",
            listed((*flags, *reasons)),
            f"the server saw {self._moment(punch.server_time)}" if punch.server_time else "",
        ]
        review = "Not reviewed." if punch.needs_review else self._review(punch.review)
        return f"{'; '.join(filter(None, sentences))}. {review}".rstrip()

    def _entry(self, entry: PunchEntry) -> str:
        at, reason = full_time(entry.at, self._zone), one_line(entry.reason)
        return f"entered by hand by {one_line(entry.by)}, {at}: “{reason}”"

    def _review(self, review: Review | None) -> str:
        if review is None:
            return ""
        note = f": “{one_line(review.note)}”" if one_line(review.note) else "."
        at = full_time(review.at, self._zone)
        return f"{review.outcome.capitalize()} by {one_line(review.by)}, {at}{note}"

    def _moment(self, at: datetime) -> str:
        day = at.astimezone(self._zone).date()
        return f"{day_of_week(day)} {self._time(at, day)}"

    def _time(self, at: datetime, day: date) -> Clock:
        return time_of_day(at, day, self._zone, shows_seconds=self._shows_seconds)

    def _clocks(self, paid: PaidHours) -> tuple[Clock, ...]:
        return tuple(map(self._clock, paid))

    def _clock(self, seconds: int, *, is_signed: bool = False) -> Clock:
        if not seconds:
            return _NONE
        return duration(seconds, shows_seconds=self._shows_seconds, is_signed=is_signed)


def _shifts(document: TimesheetDocument) -> Iterator[ShiftLine]:
    for day in document.days:
        yield from day.shifts


def _all_seconds(document: TimesheetDocument) -> Iterator[int]:
    """Yield every number of seconds that is printed."""
    for shift in _shifts(document):
        yield from (shift.break_s, shift.worked_s, shift.server_worked_s or 0)
        yield from (at.second for at in (shift.started_at, shift.ended_at) if at)
    for day in document.days:
        yield from day.paid
        yield from (adjustment.seconds for adjustment in day.adjustments)
        yield from (punch.time.second for punch in day.noted())
