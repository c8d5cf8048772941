"""Metrics of an API process for Prometheus.

Labels are bounded: a route is its template, what no route answers is `none`, a method that the API
does not know is `other`, a status is its class, and a reason is the `code` of a problem document.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.routing import BaseRoute

from db.core.standby import Standby
from db.core.wakeups import WakeUps
from service.collected import WAKE_UP_NUMBERS, Collected, FastCounter, KeptNumber, pool_numbers

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"})


_STANDBY_NUMBERS = (
    KeptNumber("lag_s", "opsc_api_standby_lag_seconds", "Lag of the standby.", False),
)


class Metrics:
    """All metrics of one process. of_pool: reads the numbers of the pool and of its turns."""

    def __init__(
        self,
        of_pool: Callable[[], Mapping[str, int]],
        wake_ups: WakeUps,
        standby: Standby | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        named = {"registry": self.registry, "namespace": "opsc_api"}
        self.in_flight = Gauge("requests_in_flight", "Requests now under way.", **named)
        self._requests = Counter(
            "requests", "Requests that were answered.", ["method", "route", "status"], **named
        )
        self._seconds = Histogram(
            "request_seconds",
            "From a request's head to the end of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            **named,
        )
        self._refused = Counter(
            "refused", "Problem documents that were sent, by their code.", ["reason"], **named
        )
        self._left_out = Counter(
            "log_lines_left_out",
            "Lines of the access log beyond the budget of an organization or address.",
            ["whose"],
            **named,
        )
        self.registry.register(Collected(pool_numbers("opsc_api"), of_pool))
        self.registry.register(Collected(WAKE_UP_NUMBERS, wake_ups.numbers))
        if standby is not None:
            self.registry.register(Collected(_STANDBY_NUMBERS, standby.numbers))
            reads = FastCounter("opsc_api_history_reads", "Transactions that read history.", "by")
            reads.counts = standby.reads
            self.registry.register(reads)

    def answered(
        self, method: str, route: BaseRoute | None, status: int | None, seconds: float
    ) -> None:
        """Count a request that has ended. status: None if the client was gone before an answer."""
        method = method if method in _METHODS else "other"
        path: str = getattr(route, "path_format", "none")
        status_class = "none" if status is None else f"{status // 100}xx"
        self._requests.labels(method, path, status_class).inc()
        self._seconds.labels(method, path).observe(seconds)

    def refused(self, code: str) -> None:
        """Count a problem document that was sent."""
        self._refused.labels(code).inc()

    def log_line_left_out(self, whose: str) -> None:
        """Count a line that was not written. whose: organization or client."""
        self._left_out.labels(whose).inc()

    def page(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)
