"""Whether two accounts of what happened say the same, but for rounding on interpolated places."""

import math

from geofence.model.transitions import Inferred, Transition

# Where a way meets a zone: a centimetre, and what that takes at a walking pace.
_ROUNDED = {"time_us": 10_000, "entered_us": 10_000, "lat": 1e-7, "lon": 1e-7}


def in_order(told: list[dict]) -> list[dict]:
    """Order rows by what cannot be confused: the fix, the asset, the zone; else as they were."""
    return sorted(told, key=lambda t: (t["row"], t["asset"], t["zone"]))


def differences(found: list[dict], expected: list[dict]) -> list[str]:
    """Return what differs; empty where both agree. Columns not in `expected` are not held."""
    found, expected = in_order(found), in_order(expected)
    if len(found) != len(expected):
        return [f"{len(found)} found: {_short(found)}", f"{len(expected)}: {_short(expected)}"]
    return [
        f"{column}: {one[column]} for {value} in {_short([other])}"
        for one, other in zip(found, expected, strict=True)
        for column, value in other.items()
        if not _same(one[column], value, _tolerance(column, other))
    ]


def _tolerance(column: str, told: dict) -> float:
    if told["inferred"] != Inferred.SEGMENT:
        return 0.0
    return _ROUNDED.get(column, 0.0)


def _same(one: float, other: float, tolerance: float) -> bool:
    if isinstance(other, float) and math.isnan(other):
        return math.isnan(one)
    return abs(one - other) <= tolerance


def _short(told: list[dict]) -> list[tuple]:
    return [
        (t["row"], t["asset"], t["zone"], Transition(t["transition"]).name, t["time_us"])
        for t in told
    ]
