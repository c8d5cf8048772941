"""The end of a run: PASS, or FAIL and why; each latency under its name."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from device_sim.fleet import FleetProgress, Stage
from device_sim.latency import Latencies
from stack.sim.outcome import RunOutcome
from stack.verify.comparison import Comparison

FINAL = FleetProgress(
    stage=Stage.DONE,
    elapsed_s=10.0,
    trackers=2,
    connected=0,
    sent=1200,
    acknowledged=1200,
    failed=0,
    rate_hz=120.0,
)
GOOD = RunOutcome(FINAL, stored=1200, lost=0, duplicate=0)


def compared(what: str, **counts: int) -> Comparison:
    return Comparison(what, 3, 3, Counter(counts))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "PASS"),
        ({"comparisons": [compared("events")]}, "PASS"),
        ({"interrupted": True}, "PASS (interrupted)"),
        ({"final": replace(FINAL, sent=0, acknowledged=0)}, "FAIL: no fix was sent"),
        (
            {"final": replace(FINAL, acknowledged=100)},
            "FAIL: 1,100 of 1,200 fixes were not acknowledged",
        ),
        ({"lost": 2, "interrupted": True}, "FAIL: 2 fixes were lost (interrupted)"),
        (
            {
                "duplicate": 1,
                "comparisons": [compared("fixes", changed=1), compared("events", gap=2)],
            },
            "FAIL: 1 fixes were stored twice; fixes: 1 changed; events: 2 gap",
        ),
        (
            {"not_verified": ["webhooks, no way"]},
            "PASS (not verified: webhooks, no way)",
        ),
    ],
)
def test_the_last_line_says_how_it_went(changes: dict[str, object], verdict: str) -> None:
    outcome = replace(GOOD, **changes)  # pyright: ignore[reportArgumentType]
    assert outcome.as_text().splitlines()[-1] == verdict
    told = json.loads(outcome.as_json())
    assert told["verdict"] == verdict
    assert told["good"] == outcome.is_good == verdict.startswith("PASS")
    assert told["interrupted"] == outcome.interrupted


def test_each_latency_has_its_name() -> None:
    stored = Latencies()
    stored.record(0.040)
    outcome = replace(GOOD, to_stored=stored)
    told = json.loads(outcome.as_json())["latencies_ms"]
    assert told["to_stored"] == {"count": 1, "p50": 40.0, "p95": 40.0, "p99": 40.0, "max": 40.0}
    assert told["to_webhook"] is told["to_acknowledged"] is None
    lines = [line.split() for line in outcome.as_text().splitlines()]
    assert ["to", "stored", "1", "40.0", "40.0", "40.0", "40.0"] in lines
    assert ["to", "webhook", "not", "known"] in lines


def test_the_result_says_how_many_assets_agree() -> None:
    outcome = replace(GOOD, comparisons=[compared("events", missing=1)], assets=3, whole=2)
    told = json.loads(outcome.as_json())
    assert (told["assets"], told["compared_whole"]) == (3, 2)
    assert "assets whose visits and events agree: 2 of 3" in outcome.as_text()


def test_a_difference_beside_slow_acknowledgements_is_explained() -> None:
    slow = Latencies()
    slow.record(4.0)
    outcome = replace(GOOD, final=replace(FINAL, latencies=slow))
    assert outcome.verdict == "PASS"
    different = replace(outcome, comparisons=[compared("events", missing=1)])
    assert different.verdict.startswith("FAIL: events: 1 missing (fixes were acknowledged after up")
