"""When hours begin: what is kept answers as what is worked out for each question."""

from hypothesis import given
from hypothesis import strategies as st

from geofence.model.policy import Policy
from geofence.model.schedule import Schedule, Window, opens_between
from geofence.zones.versions import MAX_TIME_US, MIN_TIME_US
from ingest.registry.schedule_starts import ScheduleStarts

DAY_US = 86_400_000_000
MONDAY_US = 1_767_571_200_000_000  # 2026-01-05T00:00:00Z
instants = st.integers(0, 12 * 24).map(lambda hours: MONDAY_US + hours * DAY_US // 24)
windows = st.builds(
    lambda day, hour: Window((day,), hour * 60, hour * 60 + 30),
    st.integers(0, 6),
    st.integers(0, 23),
)
schedules = st.builds(
    Schedule, st.sampled_from(["UTC", "Asia/Tokyo"]), st.lists(windows, min_size=1).map(tuple)
)
kinds = st.sampled_from(["restricted", "allowed", "yard"])
versions = st.lists(st.tuples(kinds, schedules, instants, st.integers(0, 2)), max_size=4)


@given(versions, st.lists(st.tuples(instants, instants), min_size=1, max_size=5))
def test_every_question_is_answered_as_if_it_were_the_first(
    versions: list[tuple[str, Schedule, int, int]], questions: list[tuple[int, int]]
) -> None:
    schedule_starts = ScheduleStarts()
    for zone, (kind, schedule, change_us, organization) in enumerate(versions):
        policy = Policy(kind, None, schedule)
        schedule_starts.put(zone, 1, organization, policy, (MIN_TIME_US + 1, MAX_TIME_US))
        schedule_starts.put(
            zone, 1, organization, policy, (MIN_TIME_US + 1, change_us)
        )  # it has ended
        schedule_starts.put(zone, 2, organization, Policy(kind), (change_us, MAX_TIME_US))
    for after_us, until_us in questions:
        expected = sorted(
            (organization, time_us, zone, kind == "restricted")
            for zone, (kind, schedule, change_us, organization) in enumerate(versions)
            if kind != "yard"
            for time_us in opens_between(schedule, after_us, min(until_us, change_us - 1))
        )
        assert schedule_starts.between(after_us, until_us).tolist() == expected


def test_what_began_too_long_ago_is_told_nobody() -> None:
    schedule_starts = ScheduleStarts()
    every_noon = Schedule("UTC", (Window(tuple(range(7)), 720, 780),))
    schedule_starts.put(
        0, 1, 0, Policy("restricted", None, every_noon), (MIN_TIME_US + 1, MAX_TIME_US)
    )
    assert len(schedule_starts.between(MIN_TIME_US, MONDAY_US)) == 89
