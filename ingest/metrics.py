"""Metrics of ingest, for Prometheus."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from db.core.wakeups import WakeUps
from geofence.model.transitions import Inferred, Transition
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.deferral import finished
from ingest.planning.plan import WritePlan
from mqtt import Published, Session
from service.background.row_guard import GuardMetrics
from service.collected import WAKE_UP_NUMBERS, Collected, FormerName, KeptNumber

_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 5)
_FIXES = (1, 10, 100, 1_000, 10_000, 100_000)


LOG_NUMBERS = (
    KeptNumber("waiting", "opsc_ingest_log_blocks", "Blocks that wait in the log.", False),
    KeptNumber(
        "oldest_s",
        "opsc_ingest_log_oldest_seconds",
        "The age of the oldest block that was taken from the log and is not stored.",
        False,
    ),
    KeptNumber(
        "unreadable",
        "opsc_ingest_log_unreadable",
        "Blocks that could not be read in this term, and were put aside.",
        False,
    ),
)


class IngestMetrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        named = {"registry": self.registry, "namespace": "opsc_ingest"}
        self.leads = Gauge("leads", "1 while this process is the leader", **named)
        self.terms = Counter("terms", "Times this process became the leader", **named)
        self.failures = Counter(
            "failures", "Terms as the leader that ended in an error", ["error"], **named
        )
        self._messages = Counter("messages", "Messages dealt with", **named)
        self._stored = Counter("fixes_stored", "Fixes stored", **named)
        self._duplicates = Counter("fixes_duplicate", "Fixes that were stored before", **named)
        self._punches = Counter("punches_recorded", "Punches stored, or stored before", **named)
        self.work = GuardMetrics(self.registry)
        self.amended = Counter(
            "punches_amended", "Punches with another verdict than before", **named
        )
        self.positions = Counter(
            "positions_written", "Newest positions of assets and employees", **named
        )
        self._clock_jumps = Counter(
            "clock_jumps", "Jumps of the wall clock", ["direction"], **named
        )
        for direction in ("forward", "backward"):
            self._clock_jumps.labels(direction)  # 0 is shown, or the first one would be no increase
        self.feed_ahead = Gauge(
            "feed_ahead_seconds",
            "How far the received_at of new fixes is ahead of the clock",
            **named,
        )
        self.hours_lag = Gauge(
            "hours_lag_seconds", "The age of what the hours of fixes lack", **named
        )
        self._late = Counter("fixes_late", "Fixes judged with the past of their asset", **named)
        self._unjudged = Counter("fixes_unjudged", "Late fixes whose past is gone", **named)
        self._quarantined = Counter("quarantined", "Kept in quarantine", ["reason"], **named)
        self._suspect = Counter("fixes_suspect", "Fixes reached too fast to be true", **named)
        self._healed = Counter("fixes_healed", "Suspect fixes that proved to be true", **named)
        self._transitions = Counter(
            "transitions", "Zones entered, left, stayed in, opened", ["transition"], **named
        )
        self._timers = Counter("timers", "Transitions by a deadline, without a fix", **named)
        self._backlogs = Gauge("backlogs", "Assets whose stored fixes are being judged", **named)
        self._events = Counter("events", "Events written", **named)
        self.receipts = Counter("receipts", "Receipts of messages", ["result"], **named)
        self._transaction = Histogram(
            "transaction_seconds", "BEGIN to COMMIT", buckets=_SECONDS, **named
        )
        self._batch = Histogram("batch_fixes", "Fixes in a batch", buckets=_FIXES, **named)
        for former, metric in (
            ("active", self.leads),
            ("turns", self.terms),
            ("refused", self._quarantined),
        ):
            self.registry.register(FormerName(f"opsc_ingest_{former}", metric))
        self._session = _SessionCollector()
        self.registry.register(self._session)

    def committed(self, plan: WritePlan, arrivals: DecodedBatch, seconds: float) -> None:
        """Count one batch that is committed."""
        self._backlogs.set(plan.backlogs.waiting)
        self._messages.inc(len(finished(arrivals, plan)))
        self._stored.inc(len(plan.new))
        self._duplicates.inc(len(plan.batch) - len(plan.new))
        self._punches.inc(len(plan.punches))
        self._late.inc(plan.late.fixes)
        self._unjudged.inc(plan.unjudged)
        for reason, count in Tally(refusal.reason for refusal in plan.refusals).items():
            self._quarantined.labels(reason).inc(count)
        changed = list(plan.late.suspect.values())
        self._suspect.inc(int(plan.evaluation.suspect.sum()) + plan.late.suspects + sum(changed))
        self._healed.inc(len(plan.evaluation.healed) + len(changed) - sum(changed))
        transitions = plan.evaluation.transitions
        if len(transitions):
            self._timers.inc(int((transitions["inferred"] == Inferred.TIMER).sum()))
            for kind in (Transition.ENTER, Transition.EXIT, Transition.DWELL, Transition.SCHEDULE):
                count = int((transitions["transition"] == kind).sum())
                self._transitions.labels(kind.word).inc(count)
        self._events.inc(len(plan.events))
        self._transaction.observe(seconds)
        self._batch.observe(len(plan.batch))

    def clock_jumped(self, by_s: float) -> None:
        """Count a jump of the wall clock; back, where `by_s` is negative."""
        self._clock_jumps.labels("forward" if by_s > 0 else "backward").inc()

    def receipt_ended(self, published: Published) -> None:
        """Count a receipt that the broker took, or did not."""
        is_good = not published.cancelled() and published.exception() is None
        self.receipts.labels("sent" if is_good else "failed").inc()

    def watch(self, session: Session | None) -> None:
        """Show the counters of this broker session from now on."""
        self._session.session = session

    def watch_wake_ups(self, wake_ups: WakeUps) -> None:
        """Show the numbers of the wake-ups, too."""
        self.registry.register(Collected(WAKE_UP_NUMBERS, wake_ups.numbers))

    def watch_log(self, read: Callable[[], Mapping[str, float]]) -> None:
        """Show what waits in the log, too. read: returns `LOG_NUMBERS` by key."""
        self.registry.register(Collected(LOG_NUMBERS, read))

    def page(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)


class _SessionCollector:
    """The counters of the current broker session; they begin again with each term."""

    session: Session | None = None

    def collect(self) -> Iterable[Metric]:
        if self.session is None:
            return
        counters = self.session.counters
        for name in ("connects", "received", "received_bytes", "acknowledged"):
            yield CounterMetricFamily(
                f"opsc_ingest_mqtt_{name}", f"MQTT session: {name}", value=getattr(counters, name)
            )
        for name in ("waiting", "unacknowledged", "held_bytes"):
            yield GaugeMetricFamily(
                f"opsc_ingest_mqtt_{name}", f"MQTT session: {name}", value=getattr(counters, name)
            )
