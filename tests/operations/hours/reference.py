"""The rules of shifts and overtime said once more, second by second, without any arithmetic of
spans. Slow, and short enough to be read against docs/timesheets.md.
"""

from datetime import datetime

from operations.hours.shifts import STEPS

KINDS = ("break_end", "out", "in", "break_start")


def shown_day(second, zone):
    return datetime.fromtimestamp(second, zone).date()


class Walk:
    """An employee who is watched for one second after the other."""

    def __init__(self, rules, zone):
        self.rules, self.zone = rules, zone
        self.standing, self.opened = "off", None
        self.seconds = {}  # of the open shift: second -> working or on_break
        self.worked = []  # of all closed shifts

    def is_beyond(self, second):
        """Return whether a second lies beyond the open shift, whatever its `out`."""
        return second >= self.opened + self.rules.longest_shift_s or (
            self.rules.closes_at_midnight
            and shown_day(second, self.zone) != shown_day(self.opened, self.zone)
        )

    def step(self, second, punches):
        """Watch one second, at whose beginning the given punches are made."""
        if self.opened is not None and self.is_beyond(second - 1):
            self.close()
            self.standing = "lapsed"
        waiting = list(punches)
        while waiting:
            # The first that fits, or is late; of those that do, an end comes before a beginning.
            waiting.sort(key=lambda punch: (not self.fits(punch), KINDS.index(punch.kind)))
            punch = waiting.pop(0)
            then, flag = STEPS[self.standing, punch.kind]
            self.standing = then
            if flag is None and punch.kind == "in":
                self.opened = second
            elif flag is None and punch.kind == "out":
                self.close()
        if self.opened is not None and not self.is_beyond(second):
            self.seconds[second] = self.standing

    def fits(self, punch):
        return STEPS[self.standing, punch.kind].flag in (None, "late_out")

    def close(self):
        length = len(self.seconds)
        work = sorted({s for s, doing in self.seconds.items() if doing == "working"} | self.short())
        for rule in self.rules.automatic_breaks:
            missing = rule.break_s - (length - len(work))
            if missing > 0:
                del work[rule.after_s : rule.after_s + missing]
        self.worked += work
        self.seconds, self.opened = {}, None

    def short(self):
        """Return the seconds of breaks that are too short to be breaks."""
        found, run = set(), []
        for second in [*self.seconds, None]:
            if second is not None and self.seconds[second] == "on_break":
                run.append(second)
                continue
            if len(run) < self.rules.shortest_break_s:
                found |= set(run)
            run = []
        return found


def worked_seconds(punches, rules, zone, now_s):
    """Return each second of work, of shifts that are closed now. Empty where there is no punch."""
    counted = [punch for punch in punches if punch.review != "rejected"]
    walk = Walk(rules, zone)
    if counted:
        at = {}
        for punch in counted:
            at.setdefault(punch.time_us // 1_000_000, []).append(punch)
        for second in range(min(at), max(now_s, max(at)) + 1):
            walk.step(second, at.get(second, ()))
    return walk.worked


def split_units(week, rules):
    """Return (regular, overtime, double) for each day of a week, one unit of work at a time."""
    found, regular_of_week = [], 0
    for number, worked in enumerate(week):
        kinds = [0, 0, 0]
        is_seventh = rules.seventh_day and number == 6 and all(week)
        for unit in range(worked):
            beyond_day = rules.daily_s is not None and unit >= rules.daily_s
            beyond_double = rules.double_daily_s is not None and unit >= rules.double_daily_s
            beyond_week = rules.weekly_s is not None and regular_of_week >= rules.weekly_s
            if is_seventh:
                kinds[2 if beyond_day else 1] += 1
            elif beyond_double:
                kinds[2] += 1
            elif beyond_day or beyond_week:
                kinds[1] += 1
            else:
                kinds[0] += 1
                regular_of_week += 1
        found.append(tuple(kinds))
    return found
