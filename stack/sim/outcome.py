"""The result of a simulated run: figures, what was verified, and PASS or FAIL with the reasons."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from device_sim.fleet import FleetProgress
from device_sim.latency import SHARES, Latencies
from stack.sim.progress import RunState
from stack.verify.comparison import Comparison
from stack.verify.verify import Totals, VerifiedRun, as_text

OVERTAKEN_S = 0.5  # for so long ingest holds a deadline for fixes that are under way
_SENT = (
    "elapsed_s", "trackers", "sent", "acknowledged", "failed", "rate_hz", "connects", "sent_again",
    "may_be_lost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The result of a run; stored, lost and duplicate are fixes.

    edit_delays_s: from each edit until its visits were seen. timer_delays_s: from each deadline
    until its event was created. assets, whole: see `stack.verify.verify.Verified`. run: what was
    verified. not_verified: what could not be, and why.
    """

    final: FleetProgress
    stored: int
    lost: int
    duplicate: int
    comparisons: list[Comparison] = field(default_factory=list[Comparison])
    signature_check: str = ""
    edit_delays_s: list[float] = field(default_factory=list[float])
    timer_delays_s: list[float] = field(default_factory=list[float])
    run: VerifiedRun | None = field(default=None, repr=False)
    to_stored: Latencies = field(default_factory=Latencies)
    to_webhook: Latencies = field(default_factory=Latencies)
    not_verified: list[str] = field(default_factory=list[str])
    interrupted: bool = False
    assets: int = 0
    whole: int = 0

    @property
    def is_good(self) -> bool:
        return not self.reasons

    @property
    def reasons(self) -> list[str]:
        """The reasons why the run failed; empty where it did not."""
        return list(self._reasons())

    def _reasons(self) -> Iterator[str]:
        sent, acknowledged = self.final.sent, self.final.acknowledged
        if not sent:
            yield "no fix was sent"
        if unanswered := sent - acknowledged - self.final.may_be_lost:
            yield f"{unanswered:,} of {sent:,} fixes were not acknowledged"
        if self.lost:
            yield f"{self.lost:,} fixes were lost"
        if self.duplicate:
            yield f"{self.duplicate:,} fixes were stored twice"
        for comparison in self.comparisons:
            shown_elsewhere = (
                {"lost", "stored twice", "never acknowledged"}
                if comparison.what == "fixes"
                else set()
            )
            if others := [
                f"{n:,} {kind}"
                for kind, n in comparison.counts.items()
                if kind not in shown_elsewhere
            ]:
                yield f"{comparison.what}: {', '.join(others)}"

    @property
    def verdict(self) -> str:
        """One line: PASS, or FAIL with the reasons, and what must be known beside."""
        line = verdict_line(self.reasons, self.not_verified, interrupted=self.interrupted)
        worst_s = self.final.latencies.worst_s
        if self.reasons and worst_s > OVERTAKEN_S:
            line += (
                f" (fixes were acknowledged after up to {worst_s:.1f} s, and deadlines may have"
                " overtaken them: events that are amended cannot be foreseen then)"
            )
        return line

    def _latencies(self) -> dict[str, Latencies]:
        return {
            "to acknowledged": self.final.latencies,
            "to stored": self.to_stored,
            "to webhook": self.to_webhook,
            "lag": self.final.lags,
        }

    def as_json(self) -> str:
        latencies = {
            name.replace(" ", "_"): (quantiles := latencies.quantiles_ms()) and asdict(quantiles)
            for name, latencies in self._latencies().items()
        }
        result: dict[str, Any] = {
            **{name: getattr(self.final, name) for name in _SENT},
            "latencies_ms": latencies,
            "stored": self.stored,
            "lost": self.lost,
            "duplicate": self.duplicate,
            "good": self.is_good,
            "reasons": self.reasons,
            "interrupted": self.interrupted,
            "not_verified": self.not_verified,
            "edits_seen_after_s": _summary(self.edit_delays_s),
            "timers_told_after_s": _summary(self.timer_delays_s),
        }
        if self.comparisons:
            result["signature_check"] = self.signature_check
            result["assets"], result["compared_whole"] = self.assets, self.whole
            result["verify"] = {
                comparison.what: _as_mapping(comparison) for comparison in self.comparisons
            }
        result["verdict"] = self.verdict
        return msgspec.json.encode(result).decode()

    def as_text(self) -> str:
        totals = Totals(self.stored, 0, 0)
        state = RunState(
            progress=self.final, totals=totals, lost=self.lost, duplicate=self.duplicate
        )
        shown = ("time", "sent", "acknowledged", "failed", "rate", "sent again", "may be lost")
        rows = state.rows()
        shown = (*shown, "stored", "lost", "duplicate")
        lines = [f"{name:<14}{rows[name]}" for name in shown]
        lines += ["", *self._latency_lines()]
        if self.comparisons:
            lines += ["", as_text(self.comparisons, self.signature_check)]
            lines.append(f"assets whose visits and events agree: {self.whole:,} of {self.assets:,}")
        for what, delays_s in (
            ("edits seen", self.edit_delays_s),
            ("deadlines told", self.timer_delays_s),
        ):
            if delays_s:
                text = ", ".join(f"{name} {value:g}" for name, value in _summary(delays_s).items())
                lines.append(f"{what} after seconds: {text}")
        return "\n".join([*lines, "", self.verdict])

    def _latency_lines(self) -> Iterator[str]:
        yield f"{'latency, ms':<16}{'count':>10}" + "".join(f"{head:>10}" for head in SHARES)
        for name, latencies in self._latencies().items():
            quantiles = latencies.quantiles_ms()
            if quantiles is None:
                yield f"{name:<16}{'not known':>10}"
            else:
                columns = "".join(f"{getattr(quantiles, share):>10,.1f}" for share in SHARES)
                yield f"{name:<16}{quantiles.count:>10,}{columns}"


def verdict_line(
    reasons: Sequence[str], not_verified: Sequence[str] = (), *, interrupted: bool = False
) -> str:
    """PASS or FAIL with the reasons; in brackets what was not verified, and an interruption."""
    line = f"FAIL: {'; '.join(reasons)}" if reasons else "PASS"
    beside = ["interrupted"] if interrupted else []
    beside += [f"not verified: {reason}" for reason in not_verified]
    return f"{line} ({'; '.join(beside)})" if beside else line


def _summary(delays_s: Sequence[float]) -> dict[str, float]:
    """Return the number, the median and the greatest of some delays, seconds."""
    if not delays_s:
        return {"count": 0}
    middle, greatest = statistics.median(delays_s), max(delays_s)
    return {"count": len(delays_s), "median": round(middle, 3), "greatest": round(greatest, 3)}


def _as_mapping(comparison: Comparison) -> Mapping[str, object]:
    return {
        "expected": comparison.expected,
        "found": comparison.found,
        "differences": comparison.counts,
        "examples": comparison.examples,
        "allowed": comparison.notes,
    }
