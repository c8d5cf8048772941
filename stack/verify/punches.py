"""The comparison of a crew's punches, their events, shifts and hours with what must come of them.

What must be is reckoned here from what was sent, in whole seconds, by code that shares nothing with
the code that is verified.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from device_sim.crew import PlannedPunch
from stack.scenario.api_client import ApiClient
from stack.verify.comparison import Comparison
from telemetry.times import parse_time_us

_SECOND_US = 1_000_000
_DAY_S = 86_400
_EVENTS = {"in": "employee.punched_in", "out": "employee.punched_out"}

Json = dict[str, Any]
PunchKey = tuple[str, str, int]  # employee, kind, claimed time


class CrewFound(NamedTuple):
    """Everything that the API has of a crew. timesheets: each with its days."""

    punches: Sequence[Json]
    events: Sequence[Json]
    shifts: Sequence[Json]
    timesheets: Sequence[Json]


class ReckonedShift(NamedTuple):
    """A shift, seconds since 1970. ended_s: None while it is open. breaks: beginning and end.
    is_doubled: there was a second `in`.
    """

    employee_id: str
    started_s: int
    ended_s: int | None
    breaks: tuple[tuple[int, int], ...]
    is_doubled: bool

    @property
    def break_s(self) -> int:
        return sum(end_s - start_s for start_s, end_s in self.breaks)

    def work(self) -> Iterator[tuple[int, int]]:
        """Yield the spans that count; none while the shift is open."""
        if self.ended_s is None:
            return
        at_s = self.started_s
        for start_s, end_s in self.breaks:
            yield at_s, start_s
            at_s = end_s
        yield at_s, self.ended_s

    @property
    def worked_s(self) -> int:
        return sum(end_s - start_s for start_s, end_s in self.work())


async def read_crew(client: ApiClient) -> CrewFound:
    """Read what is stored of punches and hours. Raises stack.scenario.api_client.ApiError."""
    sheets = [
        await client.get(f"/v1/timesheets/{sheet['id']}")
        for sheet in await _all(client, "/v1/timesheets")
    ]
    events = [
        event for event in await _all(client, "/v1/events") if event["type"] in _EVENTS.values()
    ]
    shifts = await _all(client, "/v1/shifts")
    return CrewFound(await _all(client, "/v1/punches"), events, shifts, sheets)


async def _all(client: ApiClient, path: str) -> list[Json]:
    return [msgspec.json.decode(raw) async for page in client.walk(path) for raw in page]


def event_count(sent: Iterable[PlannedPunch]) -> int:
    """Count the events that punches must give."""
    return sum(punch.kind in _EVENTS for punch in sent)


def compare_crew(
    sent: Sequence[PlannedPunch],
    employee_ids: Sequence[str],
    tracker_ids: Sequence[str],
    found: CrewFound,
    webhook_ids: Collection[str] | None,
) -> list[Comparison]:
    """Compare punches with verdicts, events, shifts and timesheets. webhook_ids: of the webhooks
    that came; None where none can.
    """
    punches = _compare_punches(sent, employee_ids, tracker_ids, found.punches)
    events = _compare_events(sent, found, webhook_ids)
    reckoned = reckoned_shifts(sent, employee_ids, found.punches)
    return [
        punches,
        events,
        _compare_shifts(reckoned, found.shifts),
        _compare_hours(reckoned, found.timesheets),
    ]


def _compare_punches(
    sent: Sequence[PlannedPunch],
    employee_ids: Sequence[str],
    tracker_ids: Sequence[str],
    found: Sequence[Json],
) -> Comparison:
    result = Comparison("punches", len(sent), len(found))
    wanted = {_key_of(punch, employee_ids): punch for punch in sent}
    seen: set[PunchKey] = set()
    for row in found:
        key = _key(row)
        punch = wanted.get(key)
        if punch is None:
            result.differs("never sent", row)
        elif key in seen:
            result.differs("stored twice", row)
        else:
            _compare_punch(result, punch, tracker_ids[punch.phone], row)
        seen.add(key)
    for key in wanted.keys() - seen:
        result.differs("lost", key)
    return result


def _compare_punch(result: Comparison, punch: PlannedPunch, tracker_id: str, row: Json) -> None:
    rules = {reason["rule"] for reason in row["reasons"]}
    if (row["verdict"], rules) != (punch.verdict, punch.rules):
        text = f"{row['id']}: {row['verdict']} by {sorted(rules)}"
        result.differs("other verdict", f"{text}, not {punch.verdict} by {sorted(punch.rules)}")
    if row["tracker_id"] != tracker_id:
        result.differs("of another tracker", row["id"])
    source = "disputed" if punch.is_disputed else "claimed"
    paid = row["received_at"] if punch.is_disputed else row["time"]
    if (row["pay_time_source"], row["pay_time"]) != (source, paid):
        result.differs("paid otherwise", f"{row['id']}: {row['pay_time']}, not {paid}")
    if row["revision"] != 1:
        result.differs("amended", row["id"])


def _key_of(punch: PlannedPunch, employee_ids: Sequence[str]) -> PunchKey:
    return employee_ids[punch.employee], punch.kind, punch.claimed_us


def _key(row: Json) -> PunchKey:
    return row["employee_id"], row["kind"], parse_time_us(row["time"])


def _compare_events(
    sent: Sequence[PlannedPunch], found: CrewFound, webhook_ids: Collection[str] | None
) -> Comparison:
    """Compare the events with the stored punches: one each of `in` and `out`, none of breaks."""
    result = Comparison("punch events", event_count(sent), len(found.events))
    stored = {row["id"]: row for row in found.punches if row["kind"] in _EVENTS}
    seen: set[str] = set()
    for event in found.events:
        data = event["data"]
        punch_id = data["punch_id"]
        row = stored.get(punch_id)
        if row is None or event["type"] != _EVENTS[row["kind"]]:
            result.differs("not expected", event["id"])
        elif punch_id in seen:
            result.differs("twice", event["id"])
        elif (data["verdict"], data["reasons"]) != (row["verdict"], row["reasons"]):
            result.differs("other verdict", event["id"])
        seen.add(punch_id)
        if webhook_ids is not None and event["id"] not in webhook_ids:
            result.differs("webhook never received", event["id"])
    for punch_id in stored.keys() - seen:
        result.differs("missing", punch_id)
    return result


# Hours --------------------------------------------------------------------------------------------


def reckoned_shifts(
    sent: Sequence[PlannedPunch], employee_ids: Sequence[str], found: Sequence[Json]
) -> list[ReckonedShift]:
    """Work out the shifts of the punches that were sent. found: says when a disputed one came."""
    received_us = {_key(row): parse_time_us(row["received_at"]) for row in found}
    of_employee: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for punch in sent:
        key = _key_of(punch, employee_ids)
        at_us = received_us.get(key, 0) if punch.is_disputed else punch.claimed_us
        of_employee[key[0]].append((at_us // _SECOND_US, punch.kind))
    return [
        shift
        for employee_id, punches in of_employee.items()
        for shift in _shifts(employee_id, sorted(punches, key=lambda punch: punch[0]))
    ]


def _shifts(employee_id: str, punches: Sequence[tuple[int, str]]) -> list[ReckonedShift]:
    shifts: list[ReckonedShift] = []
    started: int | None = None
    paused: int | None = None
    breaks: list[tuple[int, int]] = []
    is_doubled = False
    for at_s, kind in punches:
        if kind == "in":
            is_doubled = is_doubled or started is not None
            started = at_s if started is None else started
        elif kind == "break_start":
            paused = at_s
        elif kind == "break_end" and paused is not None:
            breaks.append((paused, at_s))
            paused = None
        elif kind == "out" and started is not None:
            shifts.append(ReckonedShift(employee_id, started, at_s, tuple(breaks), is_doubled))
            started, breaks, is_doubled = None, [], False
    if started is not None:
        shifts.append(ReckonedShift(employee_id, started, None, tuple(breaks), is_doubled))
    return shifts


def _compare_shifts(reckoned: Sequence[ReckonedShift], found: Sequence[Json]) -> Comparison:
    result = Comparison("shifts", len(reckoned), len(found))
    missing = {(shift.employee_id, shift.started_s): shift for shift in reckoned}
    for row in found:
        key = row["employee_id"], _second(row["started_at"])
        should = missing.pop(key, None)
        ended_s = None if row["ended_at"] is None else _second(row["ended_at"])
        is_doubled = any(flag["name"] == "already_in" for flag in row["flags"])
        got = ended_s, row["break_s"], row["worked_s"], is_doubled
        if should is None:
            result.differs("not expected", row)
        elif got != (should.ended_s, should.break_s, should.worked_s, should.is_doubled):
            result.differs("other", f"{row['id']}: {got}, not {should}")
    for shift in missing.values():
        result.differs("missing", shift)
    return result


def _compare_hours(reckoned: Sequence[ReckonedShift], sheets: Sequence[Json]) -> Comparison:
    """Compare the seconds of each employee and day (UTC), and the sums of the timesheets."""
    wanted = {key: seconds for key, seconds in _days(reckoned).items() if seconds}
    days: dict[tuple[str, str], int] = {}
    result = Comparison("days", len(wanted), 0)
    for sheet in sheets:
        for day in sheet["days"]:
            if day["worked_s"]:
                days[sheet["employee_id"], day["day"]] = day["worked_s"]
        total = sum(day["worked_s"] for day in sheet["days"])
        if sheet["worked_s"] != total:
            result.differs("other sum", f"{sheet['id']}: {sheet['worked_s']} s, not {total}")
    result.found = len(days)
    for key in wanted.keys() | days.keys():
        if wanted.get(key, 0) != days.get(key, 0):
            text = f"{key[0]} on {key[1]}: {days.get(key, 0)} s, not {wanted.get(key, 0)}"
            result.differs("other hours", text)
    return result


def _days(reckoned: Sequence[ReckonedShift]) -> Mapping[tuple[str, str], int]:
    """Return the seconds of work by employee and day."""
    days: dict[tuple[str, str], int] = defaultdict(int)
    spans = [(shift.employee_id, *span) for shift in reckoned for span in shift.work()]
    for employee_id, at_s, end_s in spans:
        while at_s < end_s:
            until_s = min((at_s // _DAY_S + 1) * _DAY_S, end_s)
            day = datetime.fromtimestamp(at_s, UTC).date()
            days[employee_id, str(day)] += until_s - at_s
            at_s = until_s
    return days


def _second(text: str) -> int:
    return parse_time_us(text) // _SECOND_US
