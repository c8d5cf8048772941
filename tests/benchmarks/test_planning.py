"""The split of what planning costs: of the same work, and of all of it."""

from benchmarks.common.payloads import Form
from benchmarks.common.workload import Plan
from benchmarks.pipeline.planning import PlanningLoad, split


def test_the_parts_are_those_of_the_whole() -> None:
    load = PlanningLoad(Plan(trackers=20, zones=60, side_m=8_000.0), Form.JSON, 5, 40)
    found = split(load, messages_per_batch=60, batches=8)
    parts = {part: ns for part, ns in found.ns.items() if part != "whole"}
    assert {"decode", "judge", "visits, events", "COPY stream", "rest"} <= parts.keys()
    assert all(ns > 0 for ns in parts.values())
    assert abs(sum(parts.values()) - found.ns["whole"]) < 1
    assert found.events_per_fix > 0
