"""The windows of a site: from each start to the end, at the geofence of that time."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.work_orders.site_windows import SiteStep, SiteWindow, site_windows
from operations.work_orders.states import ENDED, WORK_ORDERS, State, Verb

A, B = UUID(int=1), UUID(int=2)
LEADS: dict[str, str] = {each.verb: each.then for each in WORK_ORDERS.moves}


def _at(minute: int) -> datetime:
    return datetime(2026, 3, 2, 8, tzinfo=UTC) + timedelta(minutes=minute)


@pytest.mark.parametrize(
    ("steps", "windows"),
    [
        ("", []),
        ("create assign", []),
        ("start:A", [(A, 0, None)]),
        ("start", []),
        ("start:A complete", [(A, 0, 1)]),
        ("start:A hold resume:A complete close", [(A, 0, 3)]),
        ("start:A hold resume:B complete", [(A, 0, 2), (B, 2, 3)]),
        ("start:A hold resume cancel", [(A, 0, 2)]),
        ("start hold resume:A", [(A, 2, None)]),
        ("start:A complete reopen start:A", [(A, 0, 1), (A, 3, None)]),
        ("start:A cannot-complete reopen cannot-complete close", [(A, 0, 1)]),
    ],
)
def test_windows_are_those_of_the_table(
    steps: str, windows: list[tuple[UUID, int, int | None]]
) -> None:
    taken: list[SiteStep] = []
    for minute, step in enumerate(steps.split()):
        verb, _, zone = step.partition(":")
        zone_id = {"A": A, "B": B}.get(zone)
        taken.append(SiteStep(verb, LEADS.get(verb, "created"), zone_id, _at(minute)))
    wanted = [
        SiteWindow(zone_id, _at(since), None if until is None else _at(until))
        for zone_id, since, until in windows
    ]
    assert site_windows(taken) == wanted


@given(st.lists(st.tuples(st.sampled_from(get_args(Verb)), st.sampled_from([None, A, B]))))
def test_a_minute_is_in_the_window_of_the_last_start_unless_the_order_has_ended(
    choices: list[tuple[Verb, UUID | None]],
) -> None:
    """Verbs that are not legal are left out; the windows are compared minute by minute."""
    state: State = "assigned"
    steps: list[SiteStep] = []
    there: list[UUID | None] = []  # by minute
    for verb, zone_id in choices:
        if verb not in WORK_ORDERS.legal_verbs(state):
            continue
        state = WORK_ORDERS.move(state, verb)
        begins = verb in ("start", "resume")
        steps.append(SiteStep(verb, state, zone_id if begins else None, _at(len(steps))))
        before = there[-1] if there else None
        there.append(zone_id if begins else None if state in ENDED else before)
    windows = site_windows(steps)
    for minute, zone_id in enumerate(there):
        at = _at(minute)
        found = [
            each.zone_id
            for each in windows
            if each.since <= at and (each.until is None or at < each.until)
        ]
        assert found == ([] if zone_id is None else [zone_id])
