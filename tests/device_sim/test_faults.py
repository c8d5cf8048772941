"""Named faults: what is said of them, how they are asked for, and what they do to a schedule."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.faults import (
    FAULTS,
    FROZEN_FIXES,
    OFFLINE_FIXES,
    REPLAYED_FIXES,
    Faults,
    parse_faults,
    with_faults,
)
from device_sim.motion import StreetPlan
from device_sim.schedule import Slice
from telemetry.fix import FixBatch, blank_rows

STREETS = StreetPlan(vehicles=3, rate_hz=1, seconds=200, seed=2)
START_US = 1_800_000_000_000_000
OF_TIMING = ("duplicate", "reorder", "offline", "offline_newest_first", "replay")
Fix = tuple[int, int, int, float]


def sent(faults: Faults, seed: int = 5) -> list[Slice]:
    return list(with_faults(STREETS.slices, faults, seed)(START_US))


def by_tracker(slices: list[Slice]) -> dict[int, list[Fix]]:
    """Return the fixes of each tracker in order of sending: time, seq and latitude."""
    rows = np.concatenate([one.fixes.rows for one in slices])
    return {
        tracker: [
            row[["tracker", "time_us", "seq", "lat"]].item()
            for row in rows[rows["tracker"] == tracker]
        ]
        for tracker in range(STREETS.vehicles)
    }


TRUE = by_tracker(list(STREETS.slices(START_US)))


# What is asked for -------------------------------------------------------------------------------


def test_faults_are_read_from_a_text() -> None:
    faults = parse_faults("duplicate=0.01, reorder=0.05,reconnect=30")
    assert dict(faults.amounts) == {"duplicate": 0.01, "reorder": 0.05, "reconnect": 30}
    assert faults.of("offline") == 0
    assert faults
    assert not Faults()
    assert not parse_faults("nan=0")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("duplicate", "not like duplicate=0.01"),
        ("", "not like duplicate=0.01"),
        ("lost=0.1", "none of the faults duplicate, reorder"),
        ("duplicate=2", "a share of 0 to 1, not 2"),
        ("duplicate=-1", "a share of 0 to 1"),
        ("duplicate=nan", "a share of 0 to 1"),
        ("duplicate=much", "takes a number, not 'much'"),
        ("duplicate=0.1,duplicate=0.2", "given twice"),
        ("duplicate=0.6,offline=0.6", "more than 1 together"),
        ("nan=0.6,jump=0.6", "more than 1 together"),
        ("reconnect=0.5", "1 to 86400 seconds"),
    ],
)
def test_what_is_wrong_with_a_text_is_said(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_faults(text)


def test_every_fault_says_what_it_is_and_what_becomes_of_it() -> None:
    for fault in FAULTS.values():
        assert fault.meaning
        assert fault.becomes.startswith(("stored once", "repaired", "refused"))
        assert (fault.reason is not None) == (fault.becomes == "refused")


# What they do ------------------------------------------------------------------------------------


def test_without_faults_the_schedule_stays_as_it_is() -> None:
    assert with_faults(STREETS.slices, Faults({"reconnect": 5}), 1) == STREETS.slices


amounts = st.dictionaries(st.sampled_from(OF_TIMING), st.floats(0, 0.2), max_size=5)


@given(amounts, st.integers(0, 5))
def test_whatever_happens_to_the_order_every_fix_is_sent_and_none_is_made_up(
    amounts: dict[str, float], seed: int
) -> None:
    slices = sent(Faults(amounts), seed)
    due_s = list(itertools.chain.from_iterable(one.due_s.tolist() for one in slices))
    assert due_s == sorted(due_s)
    for tracker, fixes in by_tracker(slices).items():
        assert set(fixes) == set(TRUE[tracker])


def test_the_same_seed_gives_the_same_faults() -> None:
    faults = Faults({"duplicate": 0.1, "offline": 0.02, "jump": 0.1})
    first, again, other = (by_tracker(sent(faults, seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_duplicate_follows_its_fix() -> None:
    for tracker, fixes in by_tracker(sent(Faults({"duplicate": 1}))).items():
        assert fixes == [fix for fix in TRUE[tracker] for _ in range(2)]


def test_a_reordered_fix_comes_after_the_next_one() -> None:
    for tracker, fixes in by_tracker(sent(Faults({"reorder": 1}))).items():
        pairs = zip(TRUE[tracker][::2], TRUE[tracker][1::2], strict=True)
        assert fixes == [fix for pair in pairs for fix in reversed(pair)]


@pytest.mark.parametrize("name", ["offline", "offline_newest_first"])
def test_who_was_offline_sends_everything_at_once_afterwards(name: str) -> None:
    slices = sent(Faults({name: 1}))
    step = -1 if name == "offline_newest_first" else 1
    for tracker, fixes in by_tracker(slices).items():
        true = TRUE[tracker]
        gaps = [true[n : n + OFFLINE_FIXES][::step] for n in range(0, len(true), OFFLINE_FIXES)]
        assert fixes == list(itertools.chain.from_iterable(gaps))
    one = np.concatenate([one.due_s[one.fixes.rows["tracker"] == 0] for one in slices])
    assert len(np.unique(one)) == -(-200 // OFFLINE_FIXES)


def test_a_replay_sends_what_was_sent_before() -> None:
    fixes = by_tracker(sent(Faults({"replay": 0.02})))[0]
    again = [number for number, fix in enumerate(fixes) if fix in fixes[:number]]
    assert again
    first = again[0]
    stretch = fixes[first : first + min(REPLAYED_FIXES, first - 1)]
    assert stretch == fixes[first - 1 - len(stretch) : first - 1]


def test_a_frozen_clock_gives_several_fixes_one_time_and_each_its_seq() -> None:
    slices = sent(Faults({"frozen_clock": 0.05}))
    rows = np.concatenate([one.fixes.rows for one in slices])
    _, count = np.unique(rows[["tracker", "time_us"]], return_counts=True)
    assert count.max() == FROZEN_FIXES + 1
    assert len(np.unique(rows[["tracker", "seq"]])) == len(rows)


def test_what_is_held_when_the_run_ends_is_sent_then() -> None:
    rows = blank_rows(3)
    rows["tracker"], rows["seq"] = 0, [1, 2, 3]

    def schedule(_start_us: int) -> Iterator[Slice]:
        yield Slice(np.arange(3.0), FixBatch(rows))

    for name in ("offline", "reorder"):
        slices = list(with_faults(schedule, Faults({name: 1}), 1)(0))
        seqs = np.concatenate([one.fixes.rows["seq"] for one in slices]).tolist()
        assert sorted(seqs) == [1, 2, 3]
        assert len(slices[-1].due_s) > 0
        assert slices[-1].due_s[-1] == 2.0
