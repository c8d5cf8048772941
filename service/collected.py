"""Numbers that are kept outside of prometheus_client, shown when Prometheus asks for them."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import Counter, Gauge
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)


class KeptNumber(NamedTuple):
    """A number and its metric. key: its name where it is kept. grows: it is a counter."""

    key: str
    metric: str
    text: str
    grows: bool


class Collected:
    """A collector of kept numbers. read: returns them by key; one that is missing is 0."""

    def __init__(
        self, numbers: Sequence[KeptNumber], read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._numbers = numbers
        self._read = read

    def collect(self) -> Iterable[Metric]:
        kept = self._read()
        for key, metric, text, grows in self._numbers:
            family = CounterMetricFamily if grows else GaugeMetricFamily
            yield family(metric, text, value=kept.get(key, 0))


class FastHistogram:
    """A histogram for one thread. `observe` takes a third of the time of prometheus_client's."""

    def __init__(self, metric: str, text: str, bounds: Sequence[float]) -> None:
        self._metric, self._text, self._bounds = metric, text, bounds
        self._counts = [0] * (len(bounds) + 1)  # the last one: beyond all bounds
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterable[Metric]:
        names = [*[str(float(bound)) for bound in self._bounds], "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._metric, self._text, buckets, self._sum)


class FastCounter:
    """A counter with one label, for one thread."""

    def __init__(self, metric: str, text: str, label: str) -> None:
        self._metric, self._text, self._labelnames = metric, text, (label,)
        self.counts: dict[str, int] = {}

    def count(self, value: str) -> None:
        self.counts[value] = self.counts.get(value, 0) + 1

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._metric, self._text, labels=self._labelnames)
        for value, count in self.counts.items():
            family.add_metric([value], count)
        yield family


class FormerName:
    """A collector that shows a metric under its former name, too."""

    def __init__(self, former: str, metric: Counter | Gauge) -> None:
        self._former, self._metric = former, metric

    def collect(self) -> Iterable[Metric]:
        for family in self._metric.collect():
            ending = "_total" if family.type == "counter" else ""
            shown = Metric(self._former, f"deprecated: use {family.name}{ending}", family.type)
            shown.samples = [
                sample._replace(name=sample.name.replace(family.name, self._former, 1))
                for sample in family.samples
            ]
            yield shown


def pool_numbers(prefix: str) -> Sequence[KeptNumber]:
    """Return the numbers that psycopg's pool keeps; prefix: of their metrics."""
    return (
        KeptNumber("pool_size", f"{prefix}_pool_connections", "Connections of the pool.", False),
        KeptNumber("pool_available", f"{prefix}_pool_idle", "Those that nobody has.", False),
        KeptNumber("requests_waiting", f"{prefix}_pool_waiting", "Who waits for one.", False),
        KeptNumber("requests_num", f"{prefix}_pool_requests", "Times one was asked for.", True),
        KeptNumber("requests_errors", f"{prefix}_pool_errors", "Those without one in time.", True),
    )


WAKE_UP_NUMBERS = (
    KeptNumber("sent", "opsc_wakeups_sent", "Wake-ups sent to other processes.", True),
    KeptNumber("received", "opsc_wakeups_received", "Wake-ups of other processes.", True),
    KeptNumber("listening", "opsc_wakeups_listening", "1 while a session listens.", False),
)
"""The numbers that `db.core.wakeups` keeps."""
