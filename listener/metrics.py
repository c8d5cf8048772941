"""Metrics of one listener process, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.collected import FormerName

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.25, 2.5, 5, 10, 30, 60)


class ListenerMetrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        named = {"registry": self.registry, "namespace": "opsc_listener"}
        self.accepted = Counter("accepted", "Connections accepted", **named)
        self.refused = Counter(
            "refused", "Connections that were cut or not let in", ["reason"], **named
        )
        self.signed_in = Counter("signed_in", "Devices that signed in", ["version"], **named)
        self.unforwarded = Counter(
            "unforwarded", "Messages of gateways that are of no tracker", ["reason"], **named
        )
        self.http_answers = Counter("http_answers", "Answers to requests", ["status"], **named)
        self.datagrams = Counter("datagrams", "Datagrams", ["protocol", "result"], **named)
        self.without_position = Counter(
            "without_position", "What boxes say beside positions", ["protocol", "kind"], **named
        )
        self.ended = Counter("ended", "Connections that we ended", ["reason"], **named)
        self.takeovers = Counter("takeovers", "Connections ended by a newer one", **named)
        self.messages = Counter("messages", "Messages that ingest answered", **named)
        self.quarantined = Counter("quarantined", "Answered messages that are not stored", **named)
        self.receipts = Counter("receipts", "Receipts for devices", ["result"], **named)
        self.wills = Counter("wills", "Wills of devices that were lost", ["result"], **named)
        self.links = Counter("links", "Links to ingest that began", **named)
        self.log_blocks = Gauge("log_blocks", "Blocks that wait in the log", **named)
        self.answer_s = Histogram(
            "answer_seconds",
            "From a block's way to ingest to its answer",
            buckets=_SECONDS,
            **named,
        )
        self.registry.register(FormerName("opsc_listener_rejected", self.quarantined))
        self._gauges = named

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when the page is."""
        Gauge(name, text, **self._gauges).set_function(read)

    def page(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)
