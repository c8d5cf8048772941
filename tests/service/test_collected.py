"""Numbers that are kept outside of prometheus_client look as if it had kept them."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.collected import FastCounter, FastHistogram, FormerName

BOUNDS = (0.05, 0.5, 1, 30)


@pytest.mark.parametrize("values", [[], [0.05], [0.0, 0.05001, 1, 30, 30.5, 7e9]])
def test_a_fast_histogram_shows_what_a_slow_one_does(values):
    fast, slow = CollectorRegistry(), CollectorRegistry()
    histogram = FastHistogram("took_seconds", "How long.", BOUNDS)
    fast.register(histogram)
    of_prometheus = Histogram("took_seconds", "How long.", buckets=BOUNDS, registry=slow)
    for value in values:
        histogram.observe(value)
        of_prometheus.observe(value)
    assert _shown(fast) == _shown(slow)


@pytest.mark.parametrize("values", [[], ["2xx"], ["2xx", "no_answer", "2xx"]])
def test_a_fast_counter_shows_what_a_slow_one_does(values):
    fast, slow = CollectorRegistry(), CollectorRegistry()
    counter = FastCounter("attempts", "Attempts.", "outcome")
    fast.register(counter)
    of_prometheus = Counter("attempts", "Attempts.", ["outcome"], registry=slow)
    for value in values:
        counter.count(value)
        of_prometheus.labels(value).inc()
    assert _shown(fast) == _shown(slow)


def _shown(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "_created" not in line]


@pytest.mark.parametrize("kind", [Counter, Gauge])
def test_a_former_name_shows_what_todays_does(kind):
    registry, alone = CollectorRegistry(), CollectorRegistry()
    metric = kind("wing_new", "Things.", ["reason"], registry=registry)
    registry.register(FormerName("wing_old", metric))
    former = kind("wing_old", "deprecated: use wing_new", ["reason"], registry=alone)
    for each in (metric, former):
        each.labels("late").inc(3)
    ending = "_total" if kind is Counter else ""
    text = [line for line in _shown(registry) if "wing_old" in line]
    assert text == [line.replace("wing_new", f"wing_new{ending}") for line in _shown(alone)]
