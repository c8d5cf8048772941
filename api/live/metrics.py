"""The metrics of open connections."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.live.feeds.event_feed import EventFeed
from api.live.feeds.positions import PositionFeed
from api.live.streams import Streams


class LiveMetrics:
    def __init__(
        self,
        registry: CollectorRegistry,
        streams: Streams,
        events: EventFeed,
        positions: Sequence[PositionFeed],
    ) -> None:
        self._streams = streams
        self._events = events
        self._positions = positions
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
            (
                "position_subscriptions",
                "Open subscriptions to positions.",
                sum(feed.subscriptions for feed in self._positions),
            ),
            ("recent_bytes", "Bytes of recent events in memory.", self._events.recent_bytes),
            ("unsent_bytes", "Bytes that clients have not taken yet.", unsent_bytes),
        ):
            yield GaugeMetricFamily(f"opsc_live_{name}", text, value=value)
        feeds = self._positions
        for name, text, values in (
            ("sent", "Positions that were sent.", [feed.counts.sent for feed in feeds]),
            (
                "coalesced",
                "Positions that newer ones replaced.",
                [feed.counts.coalesced for feed in feeds],
            ),
            (
                "snapshot_rows",
                "Rows read in looks at all positions.",
                [feed.snapshot_rows for feed in feeds],
            ),
            (
                "changed_rows",
                "Rows read in looks for changes.",
                [feed.changed_rows for feed in feeds],
            ),
        ):
            value = sum(values)
            yield CounterMetricFamily(f"opsc_live_positions_{name}", text, value=value)
