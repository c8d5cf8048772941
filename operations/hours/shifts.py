"""Shifts: an employee's punches in, working time out.

Punches are read in the order of their credited times, whatever the order of their arrival. At most
one shift is open at a time. A punch that does not fit changes nothing and is flagged; a missing
`out` is put in by rule and flagged. Punches after the employee's last day are flagged, too, and no
shift goes beyond that day. Nothing is dropped silently.

Punches have microseconds since 1970; from here on there are whole seconds, rounded down. Punches of
one second are read in the order in which they fit.

After a second with an `out` and without an `in` no shift is open, whatever came before. So a caller
that begins behind any such second gets the same shifts as one that begins with the first punch
ever.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from operations.hours.local_days import Span, zone_of
from operations.hours.shift_rules import ShiftRules, total_s, work_spans

_SECOND_US = 1_000_000

PunchKind = Literal["in", "out", "break_start", "break_end"]
Worth = Literal["failed", "unverified", "verified"]
WORST_FIRST: tuple[Worth, ...] = ("failed", "unverified", "verified")
Settlement = Literal["review", "missing punch", "end of the shift", "last day", "approval"]

# Each flag, and the event that settles it.
FLAGS: dict[str, Settlement] = {
    "failed": "review",
    "unverified": "review",
    "disputed": "review",
    "already_in": "review",
    "not_in": "review",
    "already_on_break": "review",
    "not_on_break": "review",
    "late_out": "review",
    "not_employed": "last day",
    "missing_out": "missing punch",
    "missing_break_end": "missing punch",
    "open": "end of the shift",
    "own_adjustment": "approval",
}

Standing = Literal["off", "working", "on_break", "lapsed"]


class Step(NamedTuple):
    """The effect of a punch: where the employee stands after it. flag: the punch does not fit, and
    counts for nothing else.
    """

    then: Standing
    flag: str | None = None


# By where the employee stands and the kind of the punch. `lapsed`: the last shift was closed by
# rule, and no `out` has come since.
STEPS: dict[tuple[Standing, PunchKind], Step] = {
    ("off", "in"): Step("working"),
    ("off", "out"): Step("off", "not_in"),
    ("off", "break_start"): Step("off", "not_in"),
    ("off", "break_end"): Step("off", "not_in"),
    ("working", "in"): Step("working", "already_in"),
    ("working", "out"): Step("off"),
    ("working", "break_start"): Step("on_break"),
    ("working", "break_end"): Step("working", "not_on_break"),
    ("on_break", "in"): Step("on_break", "already_in"),
    ("on_break", "out"): Step("off"),
    ("on_break", "break_start"): Step("on_break", "already_on_break"),
    ("on_break", "break_end"): Step("working"),
    ("lapsed", "in"): Step("working"),
    ("lapsed", "out"): Step("off", "late_out"),
    ("lapsed", "break_start"): Step("lapsed", "not_in"),
    ("lapsed", "break_end"): Step("lapsed", "not_in"),
}
# By where the employee stands, which of the punches of one second is read next: kinds that fit
# come first, and an `out` that is late before an `in`.
_NEXT: dict[Standing, tuple[PunchKind, ...]] = {
    "off": ("in", "out", "break_start", "break_end"),
    "working": ("out", "break_start", "in", "break_end"),
    "on_break": ("break_end", "out", "in", "break_start"),
    "lapsed": ("out", "in", "break_start", "break_end"),  # the `out` that was missing
}


@dataclass(frozen=True, slots=True)
class CreditedPunch:
    """A punch as far as hours depend on it. time_us: the credited time.

    server_time_us: the other reading, by what the server saw; None where nobody disputes the
    credited time. review: None before somebody has looked at the punch; a rejected punch counts as
    if it were not there. site, asset, work_order: None where not known.
    """

    id: UUID
    kind: PunchKind
    time_us: int
    verdict: Worth
    server_time_us: int | None = None
    review: Literal["accepted", "rejected"] | None = None
    site: UUID | None = None
    asset: UUID | None = None
    work_order: UUID | None = None

    @property
    def time_s(self) -> int:
        """The credited time in whole seconds."""
        return self.time_us // _SECOND_US

    @property
    def is_disputed(self) -> bool:
        """The server saw another time, and nobody has reviewed the punch."""
        return self.review is None and self.server_time_us not in (None, self.time_us)

    @property
    def server_time_s(self) -> int:
        """The server's reading where it is disputed, else the credited time; in whole seconds."""
        if self.is_disputed and self.server_time_us is not None:
            return self.server_time_us // _SECOND_US
        return self.time_s


class ShiftFlag(NamedTuple):
    """A remark about a shift or a punch. name: one of `FLAGS`.

    punch: the punch that the remark is about; for a missing punch, the one that it should end.
    time_s: the credited time of that punch. is_settled: it needs nobody's attention any more.
    """

    name: str
    punch: UUID
    time_s: int
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Shift:
    """The time from an `in` to its `out`. Times are seconds since 1970.

    id: of the punch that opened the shift. punches: all that made it, in order. ended_s: None while
    the shift is open. breaks: as punched. work: the spans that count, without breaks, punched or
    automatic; an open shift has none yet. server_worked_s: the length of the work by the times that
    the server saw; None where no time is disputed, or the shift is open. verdicts: how many of its
    punches have each verdict. site, asset, work_order: of its first punch that knows.
    """

    id: UUID
    punches: tuple[UUID, ...]
    started_s: int
    ended_s: int | None
    breaks: tuple[Span, ...]
    work: tuple[Span, ...]
    server_worked_s: int | None
    verdicts: Mapping[Worth, int]
    flags: tuple[ShiftFlag, ...]
    site: UUID | None
    asset: UUID | None
    work_order: UUID | None

    @property
    def worked_s(self) -> int:
        """The seconds of work."""
        return total_s(self.work)

    @property
    def verdict(self) -> Worth:
        """The worst verdict of its punches."""
        return next(worth for worth in WORST_FIRST if worth in self.verdicts)


class Attendance(NamedTuple):
    """The shifts of one employee, by start, and the flags of the punches outside of shifts."""

    shifts: tuple[Shift, ...]
    loose_flags: tuple[ShiftFlag, ...]


def shifts_of(
    punches: Iterable[CreditedPunch], rules: ShiftRules, timezone: str, now_us: int
) -> Attendance:
    """Return the shifts that one employee's punches make, in whatever order they are given.

    timezone: IANA name, where the employee is; raises RuleError for others. now_us: a shift without
    an `out` stays open until then.
    """
    book = _Book(rules, zone_of(timezone))
    counted = [punch for punch in punches if punch.review != "rejected"]
    counted.sort(key=lambda punch: (punch.time_us, punch.id))
    for time_s, of_one_second in groupby(counted, key=lambda punch: punch.time_s):
        book.lapse(time_s)
        if rules.is_employed_at(time_s):
            book.enter(of_one_second)
        else:
            book.loose_flags += [_flag("not_employed", punch) for punch in of_one_second]
    book.lapse(now_us // _SECOND_US)
    return book.attendance()


@dataclass(slots=True)
class _Book:
    """The shifts so far. current: the punches of the open shift. flags: its flags so far."""

    rules: ShiftRules
    zone: ZoneInfo
    standing: Standing = "off"
    current: list[CreditedPunch] = field(default_factory=list[CreditedPunch])
    flags: list[ShiftFlag] = field(default_factory=list[ShiftFlag])
    shifts: list[Shift] = field(default_factory=list[Shift])
    loose_flags: list[ShiftFlag] = field(default_factory=list[ShiftFlag])

    def lapse(self, time_s: int) -> None:
        """Close the open shift by rule where its latest end lies before an instant."""
        if not self.current:
            return
        latest_s = self.rules.latest_end_s(self.current[0].time_s, self.zone)
        if latest_s < time_s:
            self.flags.append(_flag("missing_out", self.current[0]))
            self._close(latest_s)
            self.standing = "lapsed"

    def enter(self, of_one_second: Iterable[CreditedPunch]) -> None:
        """Apply the steps of the punches of one second. They are given in order of time."""
        waiting: dict[PunchKind, deque[CreditedPunch]] = defaultdict(deque)
        for punch in of_one_second:
            waiting[punch.kind].append(punch)
        for _ in range(sum(map(len, waiting.values()))):
            kind: PunchKind = next(kind for kind in _NEXT[self.standing] if waiting[kind])
            self._step(waiting[kind].popleft())

    def _step(self, punch: CreditedPunch) -> None:
        """Apply the step of a punch."""
        self.standing, flag = STEPS[self.standing, punch.kind]
        if flag:
            (self.flags if self.current else self.loose_flags).append(_flag(flag, punch))
            return
        self.current.append(punch)
        if punch.kind == "out":
            self._close(punch.time_s)

    def attendance(self) -> Attendance:
        """Return all shifts; the last one may be open."""
        if self.current:
            self.flags.append(_flag("open", self.current[0]))
            self._close(None)
        return Attendance(tuple(self.shifts), tuple(self.loose_flags))

    def _close(self, ended_s: int | None) -> None:
        """End the open shift; ended_s: None where it is still open."""
        last = [punch for punch in self.current if punch.kind != "out"][-1]
        if last.kind == "break_start" and ended_s is not None:
            self.flags.append(_flag("missing_break_end", last))
        self.shifts.append(_shift(self.current, ended_s, self.flags, self.rules, self.zone))
        self.current, self.flags = [], []


def _flag(name: str, punch: CreditedPunch) -> ShiftFlag:
    """Return a flag, settled where a review settles it and the punch was accepted."""
    is_settled = FLAGS[name] == "review" and punch.review == "accepted"
    return ShiftFlag(name, punch.id, punch.time_s, is_settled)


def _shift(
    punches: Sequence[CreditedPunch],
    ended_s: int | None,
    flags: Iterable[ShiftFlag],
    rules: ShiftRules,
    zone: ZoneInfo,
) -> Shift:
    """Return the shift of an `in` and the punches that follow. ended_s: None where it is open."""
    first = punches[0]
    breaks = _breaks([(p.kind, p.time_s) for p in punches], ended_s)
    work = () if ended_s is None else work_spans(Span(first.time_s, ended_s), breaks, rules)
    disputed = ended_s is not None and any(punch.is_disputed for punch in punches)
    return Shift(
        id=first.id,
        punches=tuple(punch.id for punch in punches),
        started_s=first.time_s,
        ended_s=ended_s,
        breaks=breaks,
        work=work,
        server_worked_s=_server_worked_s(punches, rules, zone) if disputed else None,
        verdicts=Counter(punch.verdict for punch in punches),
        flags=(*flags, *(flag for punch in punches for flag in _doubts(punch))),
        site=next((punch.site for punch in punches if punch.site), None),
        asset=next((punch.asset for punch in punches if punch.asset), None),
        work_order=next((punch.work_order for punch in punches if punch.work_order), None),
    )


def _doubts(punch: CreditedPunch) -> Iterator[ShiftFlag]:
    """Yield the flags of a punch that counts."""
    if punch.verdict != "verified":
        yield _flag(punch.verdict, punch)
    if punch.is_disputed:
        yield _flag("disputed", punch)


def _breaks(times: Iterable[tuple[PunchKind, int]], ended_s: int | None) -> tuple[Span, ...]:
    """Return the punched breaks of a shift. The last one may go on until the end of the shift."""
    breaks: list[Span] = []
    start_s: int | None = None
    for kind, time_s in times:
        if kind == "break_start":
            start_s = time_s
        elif kind == "break_end" and start_s is not None:
            breaks.append(Span(start_s, time_s))
            start_s = None
    if start_s is not None and ended_s is not None:
        breaks.append(Span(start_s, ended_s))
    return tuple(breaks)


def _server_worked_s(punches: Sequence[CreditedPunch], rules: ShiftRules, zone: ZoneInfo) -> int:
    """Return the seconds of work of a closed shift by the times that the server saw.

    The punches keep their order: each is at the earliest at the time of the one before.
    """
    times: list[tuple[PunchKind, int]] = []
    at_s = punches[0].server_time_s
    latest_s = rules.latest_end_s(at_s, zone)
    for punch in punches:
        at_s = min(max(at_s, punch.server_time_s), latest_s)
        times.append((punch.kind, at_s))
    ended_s = at_s if punches[-1].kind == "out" else latest_s
    return total_s(work_spans(Span(times[0][1], ended_s), _breaks(times, ended_s), rules))
