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
    duration,
    figures,
    listed,
    one_line,
    time_of_day,
)
from api.documents.timesheet import (
    AdjustmentLine,
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
from api.documents.typst_printer import TypstPrinter, template
from languages.catalogue import named, say
from languages.dates import day_of_week, full_time
from languages.language import Language
from languages.numbers import figure
from operations.hours.timesheet_states import KEEPING

Paper = Literal["a4", "us-letter"]

# A punch that is entered by hand has no position and comes later: they say nothing about it.
_TEMPLATE = template("timesheet")
_RULES_OF_ENTRIES = ("no_fix", "offline")
_EMPTY = Clock("")
_NONE = Clock("–")


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
    """The sums of the period: for each way of paying, then all together. adjusted, doubtful: a
    sentence; "" where there is nothing to say.
    """

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
    """The texts of a whole document. decided: by whom, and when. facts: label and text."""

    paper: Paper
    document_id: str
    organization: str
    letterhead: PrintedLetterhead
    employee: str
    state: str
    is_final: bool
    decided: str
    facts: tuple[tuple[str, str], ...]
    generated: str
    rows: tuple[PrintedRow, ...]
    sums: Sums
    notes: tuple[Note, ...]


class TimesheetPrinter(TypstPrinter):
    """A printer of timesheets."""

    def pdf(
        self, document: TimesheetDocument, paper: Paper, letterhead: Letterhead = NO_LETTERHEAD
    ) -> bytes:
        """Return the PDF of a document."""
        texts = printed(document, paper, letterhead)
        return self.printed(
            _TEMPLATE, letterhead.language, texts, document.generated_at, letterhead.files
        )


def printed(
    document: TimesheetDocument, paper: Paper, letterhead: Letterhead = NO_LETTERHEAD
) -> Printed:
    """Return the texts of a document."""
    language = letterhead.language
    writer = _Writer(document, language)
    rows = tuple(chain.from_iterable(map(writer.rows, document.every_day())))
    decision, decided = document.decision, ""
    if decision is not None:
        at = full_time(language, decision.at, document.zone)
        decided = say(language, "by-at", name=one_line(decision.by), at=at)
    generated = full_time(language, document.generated_at, document.zone)
    return Printed(
        paper=paper,
        document_id=one_line(document.document_id),
        organization=one_line(document.organization),
        letterhead=printed_letterhead(document.organization, letterhead),
        employee=one_line(document.employee),
        state=named(language, "timesheet-state", document.state),
        is_final=document.state in KEEPING,
        decided=decided,
        facts=_facts(document, language),
        generated=say(language, "timesheet-generated", at=generated),
        rows=rows,
        sums=writer.sums(),
        notes=tuple(writer.notes),
    )


def _facts(document: TimesheetDocument, language: Language) -> tuple[tuple[str, str], ...]:
    first, last = (day_of_week(language, day) for day in (document.first_day, document.last_day))
    period = say(language, "timesheet-days", first=first, last=last, year=document.last_day.year)
    return (
        (say(language, "timesheet-employee"), one_line(document.employee)),
        (say(language, "timesheet-number"), one_line(document.employee_number) or "–"),
        (say(language, "timesheet-period"), period),
        (say(language, "time-zone"), document.timezone),
    )


class _Writer:
    """The rows of one document, and its footnotes, which are numbered meanwhile."""

    def __init__(self, document: TimesheetDocument, language: Language) -> None:
        self.notes: list[Note] = []
        self._language: Language = language
        self._document = document
        self._zone = document.zone
        self._shows_seconds = any(seconds % 60 for seconds in _all_seconds(document))

    def rows(self, day: DocumentDay) -> list[PrintedRow]:
        """Return the rows of a day: one at least. The hours of the day stand on the last one."""
        rows = [self._row(entry, day.day) for entry in entries(day)]
        rows += [self._loose_row(punch, day.day) for punch in day.loose]
        rows = rows or [PrintedRow()]
        rows = [replace(row, day=day_of_week(self._language, day.day)) for row in rows]
        rows[0] = replace(rows[0], is_first=True)
        if day.line_count:
            rows[-1] = replace(rows[-1], paid=self._clocks(day.paid))
        return rows

    def sums(self) -> Sums:
        """Return the sums of the period. Decimal hours are rounded, and their total is the sum of
        what is printed.
        """
        document, paid, language = self._document, self._document.paid, self._language
        hundredths = [(seconds + 18) // 36 for seconds in paid]
        adjusted_s = sum(line.seconds for day in document.days for line in day.adjustments)
        adjusted, doubtful = (
            self._clock(adjusted_s, is_signed=True),
            self._clock(document.doubtful_s),
        )
        return Sums(
            breaks=self._clock(sum(shift.break_s for shift in _shifts(document))),
            clocks=(*self._clocks(paid), self._clock(paid.total_s)),
            hours=tuple(
                figure(language, f"{n // 100}.{n % 100:02d}")
                for n in (*hundredths, sum(hundredths))
            ),
            adjusted=say(language, "timesheet-adjusted", hours=str(adjusted)) if adjusted_s else "",
            doubtful=say(language, "timesheet-doubtful", hours=str(doubtful))
            if document.doubtful_s
            else "",
        )

    def _row(self, entry: DayEntry, day: date) -> PrintedRow:
        if isinstance(entry.line, ShiftLine):
            return self._shift_row(entry.line, day)
        worked = self._clock(entry.seconds, is_signed=True)
        if entry.line is None:
            return PrintedRow(worked=worked, text=say(self._language, "timesheet-rounding"))
        return PrintedRow(
            worked=worked,
            text=say(self._language, "timesheet-adjustment", reason=one_line(entry.line.reason)),
            remark=self._maker(entry.line),
        )

    def _maker(self, line: AdjustmentLine) -> str:
        language, name = self._language, one_line(line.actor)
        if line.is_own:
            name = say(language, "timesheet-own-hours", name=name)
        at = full_time(language, line.made_at, self._zone)
        return say(language, "by-at", name=name, at=at)

    def _shift_row(self, shift: ShiftLine, day: date) -> PrintedRow:
        return PrintedRow(
            started=self._time(shift.started_at, day),
            ended=self._time(shift.ended_at, day)
            if shift.ended_at
            else Clock(say(self._language, "timesheet-shift-open")),
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
            text=say(self._language, "timesheet-loose", kind=self._named("punch", punch.kind)),
            remark=listed((*self._flags(punch.flags), self._by_hand() if punch.entry else "")),
            notes=self._note_all([punch]),
            is_doubtful=punch.needs_review,
        )

    def _remark(self, shift: ShiftLine) -> str:
        """Return entries and doubts in a few words, or that there are none."""
        language = self._language
        counts = (
            (self._named("verdict", "unverified"), shift.unverified),
            (self._named("verdict", "failed"), shift.failed),
            (self._by_hand(), len(shift.entries)),
        )
        doubts = listed(
            (
                *(
                    say(language, "timesheet-count", count=count, what=what)
                    for what, count in counts
                    if count
                ),
                *self._flags(each for each in shift.flags if each not in ("unverified", "failed")),
                self._other_reading(shift),
            )
        )
        if not doubts:
            return self._named("verdict", "verified") if shift.verified else ""
        is_reviewed = shift.has_doubts and shift.is_settled
        return say(language, "timesheet-reviewed", doubts=doubts) if is_reviewed else doubts

    def _other_reading(self, shift: ShiftLine) -> str:
        if shift.server_worked_s is None:
            return ""
        hours = str(self._clock(shift.server_worked_s))
        return say(self._language, "timesheet-by-server", hours=hours)

    def _note_all(self, punches: Iterable[NotedPunch]) -> str:
        """Add a footnote for each punch, and return their numbers."""
        numbers: list[str] = []
        for punch in punches:
            numbers.append(str(len(self.notes) + 1))
            self.notes.append(Note(numbers[-1], self._note(punch)))
        return ", ".join(numbers)

    def _note(self, punch: NotedPunch) -> str:
        language = self._language
        reasons = (
            self._named("rule", reason.rule)
            + (f" ({figures(language, reason.figures)})" if reason.figures else "")
            for reason in punch.reasons
            if punch.entry is None or reason.rule not in _RULES_OF_ENTRIES
        )
        flags = self._flags(flag for flag in punch.flags if flag != punch.verdict)
        kind, moment, saw = self._named("punch", punch.kind), self._moment(punch.time), ""
        if punch.entry is None:
            remark = self._named("verdict", punch.verdict)
        else:
            remark = self._entry(punch.entry)
        if punch.server_time is not None:
            saw = say(language, "timesheet-server-saw", moment=self._moment(punch.server_time))
        sentences = [
            say(language, "timesheet-note", kind=kind, moment=moment, remark=remark),
            listed((*flags, *reasons)),
            saw,
        ]
        if punch.needs_review:
            review = say(language, "timesheet-not-reviewed")
        else:
            review = self._review(punch.review)
        return f"{'; '.join(filter(None, sentences))}. {review}".rstrip()

    def _entry(self, entry: PunchEntry) -> str:
        language, name, reason = self._language, one_line(entry.by), one_line(entry.reason)
        at = full_time(language, entry.at, self._zone)
        return say(language, "timesheet-entry-by", name=name, at=at, reason=reason)

    def _review(self, review: Review | None) -> str:
        if review is None:
            return ""
        language, name, note = self._language, one_line(review.by), one_line(review.note)
        at = full_time(language, review.at, self._zone)
        if review.outcome == "accepted":
            said = say(language, "review-accepted", name=name, at=at)
        else:
            said = say(language, "review-rejected", name=name, at=at)
        if not note:
            return say(language, "review-without-note", review=said)
        return say(language, "review-with-note", review=said, note=note)

    def _by_hand(self) -> str:
        return say(self._language, "timesheet-entry")

    def _named(self, family: str, name: str) -> str:
        return one_line(named(self._language, family, name))

    def _flags(self, flags: Iterable[str]) -> Iterator[str]:
        return (self._named("flag", flag) for flag in flags)

    def _moment(self, at: datetime) -> str:
        day = at.astimezone(self._zone).date()
        time = str(self._time(at, day))
        return say(self._language, "moment", day=day_of_week(self._language, day), time=time)

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
