"""The metrics of open connections."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric

from api.live.feeds.event_feed import EventFeed
from api.live.streams import Streams


class LiveMetrics:
    """All of them, of one process."""

    def __init__(self, registry: CollectorRegistry, streams: Streams, events: EventFeed) -> None:
        self._streams = streams
        self._events = events
        self.ended = Counter(
            "ended",
            "Connections that were closed, by the code of the close.",
            ["code"],
            namespace="opsc_live",
            registry=registry,
        )
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return what is counted when it is asked for."""
        unsent_bytes = sum(stream.unsent_bytes for stream in self._streams.all())
        for name, text, value in (
            ("connections", "Open WebSockets and event streams.", self._streams.open),
            ("subscriptions", "Open subscriptions to events.", self._events.subscriptions),
            ("recent_bytes", "Bytes of recent events in memory.", self._events.recent_bytes),
            ("unsent_bytes", "Bytes that clients have not taken yet.", unsent_bytes),
        ):
            yield GaugeMetricFamily(f"opsc_live_{name}", text, value=value)
