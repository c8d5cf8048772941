"""What an operator sees of the broker: identities, refusals, and what it says of itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from ingest.broker_log import Refused


class BrokerMetrics:
    """Part of the metrics of ingest."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = {"registry": registry, "namespace": "opsc_ingest", "subsystem": "broker"}
        self.identities = Gauge("identities", "Trackers that may sign in", **named)
        self.failures = Counter("failures", "Looks at the broker's identities that failed", **named)
        self.refused = Counter("refused", "What the broker refused, by kind", ["kind"], **named)
        self.dropped = Gauge(
            "dropped_messages", "Messages that the broker dropped since it started", **named
        )
        self.stored = Gauge("stored_messages", "Messages that the broker keeps", **named)
        self.stored_bytes = Gauge("stored_bytes", "Payload that the broker keeps", **named)
        self.clients = Gauge("clients", "Clients connected to the broker", **named)
        for kind in Refused:
            self.refused.labels(kind)  # a count of 0 is shown, too
