"""The numbers by which fixes are judged: those of each zone, and those of all fixes.

docs/geofence.md explains each number. `Rules.raw()` and `Gates.open()` switch every rule off: then
a transition is the plain difference between the zones that cover one fix and the next.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

COARSE_M = 30.0
COARSE_DEPTH = 0.5  # a coarse fix is inside where it lies deeper than this times its accuracy
COARSE_MARGIN = 1.5  # and outside where it lies farther beyond the edge than this times it
NEVER_COARSE_M = 100_000_000.0  # no fix states a worse accuracy


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules by which a zone counts as entered and left. Raises ValueError for a value out of
    range.
    """

    exit_buffer_m: float = 0.0
    accuracy_clamp_m: float = 200.0
    coarse_accuracy_m: float = COARSE_M  # a fix of a worse stated accuracy is coarse
    enter_confirm_fixes: int = 1
    exit_confirm_fixes: int = 2
    enter_confirm_seconds: float = 0.0
    exit_confirm_seconds: float = 0.0
    max_gap_seconds: float = 120.0  # 0: no passing through between two fixes
    pass_min_m: float = 0.0
    dwell_seconds: float | None = None
    close_after_silence_seconds: float | None = None
    speed_limit_mps: float | None = None

    def __post_init__(self) -> None:
        for name in ("enter_confirm_fixes", "exit_confirm_fixes"):
            if not 1 <= getattr(self, name) <= 1_000:
                raise ValueError(f"{name} must be from 1 to 1,000")
        for name in ("dwell_seconds", "close_after_silence_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 366 * 86_400:
                raise ValueError(f"{name} must be above 0 and at most a year")
        if self.speed_limit_mps is not None and not 0 < self.speed_limit_mps <= GREATEST_SPEED_MPS:
            raise ValueError(
                f"speed_limit_mps must be above 0 and at most {GREATEST_SPEED_MPS:,.0f}"
            )
        for name, most in _GREATEST.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from 0 to {most:,.0f}")

    @staticmethod
    def raw() -> "Rules":
        """Return rules that enter with the first fix inside and leave with the first outside."""
        return Rules(
            accuracy_clamp_m=0.0,
            coarse_accuracy_m=NEVER_COARSE_M,
            exit_confirm_fixes=1,
            max_gap_seconds=0.0,
        )


_GREATEST = {
    "exit_buffer_m": 10_000.0,
    "accuracy_clamp_m": 10_000.0,
    "coarse_accuracy_m": NEVER_COARSE_M,
    "enter_confirm_seconds": 86_400.0,
    "exit_confirm_seconds": 86_400.0,
    "max_gap_seconds": 86_400.0,
    "pass_min_m": 1_000_000.0,
}

GREATEST_SPEED_MPS = 10_000.0

MAX_SPEED_MPS = 150.0
MAX_SPEED_MPS_OF_CLASS = {"aircraft": 1_000.0, "vessel": 50.0, "person": 45.0}
MAX_ACCURACY_M = 200.0


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits that decide which fixes are judged.

    max_speed_mps: by asset, shape (assets,), float64: a fix that the asset could only reach faster
    from the last good one is suspect. max_accuracy_m: by asset, the same: a fix of a worse stated
    accuracy changes nothing. Assets beyond an array's end have the default.
    """

    max_speed_mps: NDArray[np.float64]
    default_max_speed_mps: float = MAX_SPEED_MPS
    default_max_accuracy_m: float = MAX_ACCURACY_M
    max_accuracy_m: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def max_accuracy_of(self, asset: int) -> float:
        """Return the worst stated accuracy of a fix of the asset that takes part, metres."""
        is_known = asset < len(self.max_accuracy_m)
        return float(self.max_accuracy_m[asset]) if is_known else self.default_max_accuracy_m

    @staticmethod
    def default() -> "Gates":
        return Gates(np.empty(0))

    @staticmethod
    def open() -> "Gates":
        """Return the fates of fixes that are all good."""
        return Gates(np.empty(0), np.inf, np.inf)
