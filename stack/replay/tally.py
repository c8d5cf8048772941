"""The counts of a replay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

DOUBTFUL_SHARE = 0.1


def doubts(tally: Tally, max_speed_mps: float) -> Iterator[str]:
    """Give one text for each thing that a tenth of the fixes, or more, has."""
    if _is_much(tally.as_if_seconds, tally.fixes):
        yield (
            f"{tally.as_if_seconds:,} of {tally.fixes:,} fixes have times of January and February "
            "1970, which look like seconds since 1970: give milliseconds, or ISO 8601"
        )
    if _is_much(tally.suspect, tally.judged):
        yield (
            f"{tally.suspect:,} of {tally.judged:,} fixes are suspect and change nothing: they are "
            f"reached faster than {max_speed_mps:g} m/s. Probable causes: several devices under "
            "one device_id; lat and lon exchanged in some lines; times that are rounded, in local "
            "time, or of another unit; or vehicles that are so fast (--max-speed-mps)"
        )


def _is_much(count: int, of: int) -> bool:
    return count > 0 and count >= DOUBTFUL_SHARE * of


@dataclass(slots=True)
class Tally:
    """refused: by reason code. transitions: by name. events: by type; empty where none are told."""

    fixes: int = 0
    devices: int = 0
    zones: int = 0
    judged: int = 0
    repeated: int = 0  # of one device and one time as a fix before it
    suspect: int = 0  # reached too fast to be true
    as_if_seconds: int = 0  # of 1970, but of these decades had their times been seconds
    refused: Counter[str] = field(default_factory=Counter[str])
    transitions: Counter[str] = field(default_factory=lambda: Counter({"enter": 0, "exit": 0}))
    events: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0

    @property
    def fixes_per_s(self) -> int:
        return round(self.fixes / self.seconds) if self.seconds else 0

    def as_json(self, warnings: Sequence[str] = ()) -> str:
        plain = {
            name: getattr(self, name)
            for name in ("fixes", "devices", "zones", "judged", "repeated", "suspect", "refused")
        }
        rates = {"seconds": round(self.seconds, 3), "fixes_per_s": self.fixes_per_s}
        events = {"events": self.events} if self.events else {}
        return json.dumps(plain | self.transitions | events | rates | {"warnings": list(warnings)})

    def as_text(self) -> str:
        counted = _counts(self.transitions)
        if self.events:
            counted += f"; would tell: {_counts(self.events)}"
        refused = "".join(f", {count:,} refused ({why})" for why, count in self.refused.items())
        return (
            f"{self.fixes:,} fixes of {self.devices:,} devices, {self.zones:,} zones: {counted}\n"
            f"{self.judged:,} judged, {self.repeated:,} repeated, {self.suspect:,} suspect{refused}"
            f"; {self.seconds:.2f} s, {self.fixes_per_s:,} fixes/s"
        )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counter.items())
