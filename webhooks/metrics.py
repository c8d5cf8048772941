"""Metrics of a delivering process for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from db.core.connect import Pool
from db.core.wakeups import WakeUps
from db.delivery.webhook_backlog import DeliveryBacklog
from service.background.row_guard import GuardMetrics
from service.collected import (
    WAKE_UP_NUMBERS,
    Collected,
    FastCounter,
    FastHistogram,
    FormerName,
    KeptNumber,
    pool_numbers,
)
from webhooks.retry import Answer

_LAG_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200)
_ATTEMPT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
_DELIVERED = (KeptNumber("2xx", "opsc_webhook_delivered", "Deliveries that were accepted.", True),)


class WebhookMetrics:
    """One registry of its own per process, so that tests may have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.events_sequenced = Counter(
            "opsc_events_sequenced", "Events that were given their seq.", registry=registry
        )
        self.sequencer_leads = Gauge(
            "opsc_sequencer_leads",
            "1 while this process gives events their seq.",
            registry=registry,
        )
        self.events_without_seq = Gauge(
            "opsc_events_without_seq", "Events that wait for their seq.", registry=registry
        )
        self.oldest_without_seq_s = Gauge(
            "opsc_events_oldest_without_seq_seconds",
            "The age of the oldest event that waits for its seq; 0: none waits.",
            registry=registry,
        )
        self.deliveries_made = Counter(
            "opsc_webhook_deliveries_made",
            "Deliveries that were made of numbered events.",
            registry=registry,
        )
        self.organizations_behind = Gauge(
            "opsc_webhook_organizations_behind",
            "Organizations with numbered events whose deliveries are not made yet.",
            registry=registry,
        )
        self.pending = Gauge(
            "opsc_webhook_pending",
            "Deliveries that wait for active endpoints, of all processes.",
            registry=registry,
        )
        self.queues = Gauge(
            "opsc_webhook_queues", "Endpoints for which deliveries wait.", registry=registry
        )
        self.longest_queue = Gauge(
            "opsc_webhook_longest_queue",
            "The deliveries that wait for the endpoint with most.",
            registry=registry,
        )
        self.oldest_due_s = Gauge(
            "opsc_webhook_oldest_due_seconds",
            "Since when a delivery has been due that is not accepted; 0: none is.",
            registry=registry,
        )
        self.claimed = Gauge(
            "opsc_webhook_claimed",
            "Deliveries that this process has claimed and not begun.",
            registry=registry,
        )
        self.endpoints = Gauge(
            "opsc_webhook_endpoints",
            "Endpoints that this process knows, by the latency of their answers.",
            ["latency"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "opsc_webhook_in_flight", "Attempts of this process now under way.", registry=registry
        )
        self.attempts = FastCounter(
            "opsc_webhook_attempts", "Attempts, by what came of them.", "outcome"
        )
        registry.register(self.attempts)
        registry.register(Collected(_DELIVERED, lambda: self.attempts.counts))
        self.failed = Counter(
            "opsc_webhook_failed", "Deliveries that were given up.", registry=registry
        )
        self.attempt_s = FastHistogram(
            "opsc_webhook_attempt_seconds", "How long an attempt took.", _ATTEMPT_BUCKETS_S
        )
        registry.register(self.attempt_s)
        self.letters_sent = Counter(
            "opsc_letters_sent", "Letters that a mail server or a folder took.", registry=registry
        )
        self.letters_failed = Counter(
            "opsc_letters_failed_attempts",
            "Attempts to send a letter that failed.",
            registry=registry,
        )
        registry.register(FormerName("opsc_letters_failed", self.letters_failed))
        self.jobs_ended = Counter(
            "opsc_jobs_ended",
            "Jobs that this process ended, by their kind and what came of them.",
            ["kind", "state"],
            registry=registry,
        )
        self.retention_removed = Counter(
            "opsc_retention_removed",
            "Old data that was removed, by what it is: chunks of positions, else rows.",
            ["what"],
            registry=registry,
        )
        self.archived_fixes = Counter(
            "opsc_archive_fixes", "Fixes that moved into the archive.", registry=registry
        )
        self.archive_failed_days = Gauge(
            "opsc_archive_failed_days",
            "Days that could not be archived, or chunks not be renewed, in the last pass.",
            registry=registry,
        )
        self.archive_pass_at = Gauge(
            "opsc_archive_last_pass_timestamp_seconds",
            "When this process ended its last pass of the archive; 0: it made none.",
            registry=registry,
        )
        self.archive_waiting_days = Gauge(
            "opsc_archive_waiting_days",
            "Days that the pass which runs has still to look at; after it, those that it left.",
            registry=registry,
        )
        self.archive_orphans = Gauge(
            "opsc_archive_orphans",
            "Objects of the archive that nothing names, and that are to go.",
            registry=registry,
        )
        self.trip_looks = Counter(
            "opsc_trip_looks",
            "Days of assets whose trips and stops were worked out again, for their events.",
            registry=registry,
        )
        self.trip_events = Counter(
            "opsc_trip_events", "Events of trips and stops.", registry=registry
        )
        self.trips_due_s = Gauge(
            "opsc_trips_due_seconds",
            "Since when an asset's trips have been due to be worked out again; 0: none are.",
            registry=registry,
        )
        self.lag_s = FastHistogram(
            "opsc_webhook_lag_seconds",
            "From an event's creation to its acceptance.",
            _LAG_BUCKETS_S,
        )
        registry.register(self.lag_s)

        self.work = GuardMetrics(registry)

    def watch(self, connections: Pool, wake_ups: WakeUps) -> None:
        """Show the numbers of the pool and of the wake-ups, too."""
        self.registry.register(Collected(pool_numbers("opsc_deliver"), connections.get_stats))
        self.registry.register(Collected(WAKE_UP_NUMBERS, wake_ups.numbers))

    def waits(self, backlog: DeliveryBacklog) -> None:
        """Show what waits, of all processes."""
        self.events_without_seq.set(backlog.events_without_seq)
        self.oldest_without_seq_s.set(backlog.oldest_without_seq_s)
        self.organizations_behind.set(backlog.organizations_behind)
        self.pending.set(backlog.pending)
        self.queues.set(backlog.queues)
        self.longest_queue.set(backlog.longest_queue)
        self.oldest_due_s.set(backlog.oldest_due_s)

    def count_attempt(self, answer: Answer, took_s: float) -> None:
        self.attempts.count("no_answer" if answer.status is None else f"{answer.status // 100}xx")
        self.attempt_s.observe(took_s)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self.registry)
