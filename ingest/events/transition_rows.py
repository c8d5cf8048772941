"""Transitions as Python values, with columns that are computed for all of them at once."""

from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from geofence.judging.lookup import signed_distances_m
from geofence.model.visit_ids import visit_id
from ingest.registry.registry import Registry
from telemetry.times import format_times


class TransitionRow(NamedTuple):
    """One transition: the columns of TRANSITION_DTYPE, and computed columns.

    Things are numbers here: the registry knows the id of each. kind: a `Transition`. accuracy_m,
    speed_mps, distance_m: rounded; None where unknown.
    """

    row: int
    step: int
    asset: int
    zone: int
    version: int
    organization: int
    kind: int
    cause: int
    inferred: int
    returning: bool
    time_us: int
    lat: float
    lon: float
    tracker: int
    fix_us: int
    fix_seq: int
    raw_accuracy_m: float
    raw_speed_mps: float
    first_fix_tracker: int
    first_fix_us: int
    first_fix_seq: int
    change_us: int
    entered_us: int
    entered_version: int
    again: int
    accuracy_m: float | None
    speed_mps: float | None
    distance_m: float
    occurred_at: str


def read_transitions(transitions: NDArray[np.void], registry: Registry) -> list[TransitionRow]:
    """Read transitions (TRANSITION_DTYPE), in their order."""
    if not len(transitions):
        return []
    distance_m = signed_distances_m(
        registry.index, *(transitions[name] for name in ("zone", "version", "lon", "lat"))
    )
    return [
        TransitionRow(*row, *more)
        for row, *more in zip(
            transitions.tolist(),
            _shortest(transitions["accuracy_m"]),
            _shortest(transitions["speed_mps"]),
            distance_m.round(2).tolist(),
            format_times(transitions["time_us"]),
            strict=True,
        )
    ]


def visit_of(transition: TransitionRow, registry: Registry) -> UUID:
    return visit_id(
        registry.assets[transition.asset],
        registry.zones[transition.zone],
        registry.trackers[transition.first_fix_tracker],
        transition.first_fix_us,
        transition.first_fix_seq,
        transition.change_us,
        transition.again,
    )


def _shortest(values: NDArray[np.float32]) -> list[float | None]:
    """Return each float32 in its shortest form, as it was sent; None for NaN, which
    is not known.
    """
    objects = values.astype("U32").astype(np.float64).astype(object)
    objects[np.isnan(values)] = None
    return objects.tolist()
