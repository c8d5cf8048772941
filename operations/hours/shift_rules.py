"""The settings of shifts, and the work that they leave of a shift: it without its breaks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from operations.errors import RuleError, check_within
from operations.hours.local_days import Span, day_start_s, local_day

_DAY_S = 86_400
MAX_AUTOMATIC_BREAKS = 5


@dataclass(frozen=True, slots=True)
class AutomaticBreak:
    """A break that is taken off where no such break was punched.

    It begins after `after_s` seconds of work, and brings the breaks of the shift to `break_s`. The
    work before it stays: who leaves ten minutes after its beginning loses ten minutes at the most.
    """

    after_s: int
    break_s: int

    def __post_init__(self) -> None:
        check_within("after_s", self.after_s, 1, _DAY_S)
        check_within("break_s", self.break_s, 1, _DAY_S)


@dataclass(frozen=True, slots=True)
class ShiftRules:
    """The settings by which punches become shifts. Raises RuleError.

    longest_shift_s: an `out` that comes more than this after the `in` is too late.
    closes_at_midnight: so is an `out` after the local day of the `in`; for organizations without
    night work. shortest_break_s: a shorter punched break counts as work. automatic_breaks: by
    rising `after_s`. employed_until_s: of an employee who leaves or has left, the end of their last
    day, seconds since 1970: no punch from then on counts, and no shift goes beyond it.
    """

    longest_shift_s: int = 16 * 3600
    closes_at_midnight: bool = False
    shortest_break_s: int = 0
    automatic_breaks: tuple[AutomaticBreak, ...] = ()
    employed_until_s: int | None = None

    def __post_init__(self) -> None:
        check_within("longest_shift_s", self.longest_shift_s, 60, 7 * _DAY_S)
        check_within("shortest_break_s", self.shortest_break_s, 0, _DAY_S)
        if len(self.automatic_breaks) > MAX_AUTOMATIC_BREAKS:
            problem = f"{len(self.automatic_breaks)}; at most {MAX_AUTOMATIC_BREAKS}"
            raise RuleError("automatic_breaks", problem)
        starts = [each.after_s for each in self.automatic_breaks]
        if starts != sorted(set(starts)):
            raise RuleError("automatic_breaks", "each must begin later than the one before")

    def latest_end_s(self, started_s: int, zone: ZoneInfo) -> int:
        """Return the last instant at which a shift may end."""
        latest_s = started_s + self.longest_shift_s
        if self.closes_at_midnight:
            next_day = local_day(started_s, zone) + timedelta(days=1)
            latest_s = min(latest_s, day_start_s(next_day, zone))
        if self.employed_until_s is not None:
            latest_s = min(latest_s, self.employed_until_s)
        return latest_s

    def is_employed_at(self, time_s: int) -> bool:
        """Return whether a punch of an instant can count."""
        return self.employed_until_s is None or time_s < self.employed_until_s


def work_spans(shift: Span, breaks: Iterable[Span], rules: ShiftRules) -> tuple[Span, ...]:
    """Return the spans of a shift that count as work, in order.

    breaks: punched ones, in order, within the shift. Automatic breaks come off after those.
    """
    unpaid = [each for each in _joined(breaks) if each.length_s >= rules.shortest_break_s]
    starts = [shift.start_s, *(each.end_s for each in unpaid)]
    ends = [*(each.start_s for each in unpaid), shift.end_s]
    work = [Span(start_s, end_s) for start_s, end_s in zip(starts, ends, strict=True)]
    for rule in rules.automatic_breaks:
        missing_s = rule.break_s - (shift.length_s - total_s(work))
        if missing_s > 0:
            work = _without(work, rule.after_s, rule.after_s + missing_s)
    return tuple(span for span in work if span.length_s > 0)


def _joined(breaks: Iterable[Span]) -> list[Span]:
    """Return breaks in order, those that touch as one."""
    joined: list[Span] = []
    for each in breaks:
        touches = bool(joined) and joined[-1].end_s == each.start_s
        joined.append(Span(joined.pop().start_s, each.end_s) if touches else each)
    return joined


def _without(work: Iterable[Span], from_s: int, to_s: int) -> list[Span]:
    """Return work without its seconds from_s up to to_s, counted from the first second of work."""
    kept: list[Span] = []
    worked_s = 0
    for start_s, end_s in work:
        cut_start_s = start_s + min(max(from_s - worked_s, 0), end_s - start_s)
        cut_end_s = start_s + min(max(to_s - worked_s, 0), end_s - start_s)
        kept += [Span(start_s, cut_start_s), Span(cut_end_s, end_s)]
        worked_s += end_s - start_s
    return [span for span in kept if span.length_s > 0]


def total_s(spans: Iterable[Span]) -> int:
    """Return the seconds of all spans together."""
    return sum(span.length_s for span in spans)
