"""The evidence of a place about a zone: inside, outside, or neither, where it is too coarse.
Compiled.

A fine fix says inside where the zone covers it. A coarse one has to lie deep inside or far outside:
a parked phone whose positions wander by a hundred metres must not seem to move.
"""

import numpy as np

from geofence.judging.candidates import holds, is_deeper, is_within
from geofence.judging.scratch import Scratch
from geofence.kernel.compiled import Record, bare, inlined
from geofence.model.rules import COARSE_DEPTH, COARSE_MARGIN
from geofence.model.transitions import Says

_INSIDE, _OUTSIDE, _UNSURE = int(Says.INSIDE), int(Says.OUTSIDE), int(Says.UNSURE)


@inlined
def is_coarse(place: Record, coarse_accuracy_m: float) -> bool:
    """Return whether a PLACE_DTYPE states a worse accuracy than that; one that states
    none is fine.
    """
    return place.accuracy_m > coarse_accuracy_m


@bare
def is_within_margin(scratch: Scratch, entry: int, place: Record) -> bool:
    """Return whether a place is outside by no more than the zone's buffer and its own accuracy."""
    rules = scratch.zones.entry[entry]
    margin_m = rules.exit_buffer_m
    if is_coarse(place, rules.coarse_accuracy_m):
        margin_m += COARSE_MARGIN * place.accuracy_m
    elif not np.isnan(place.accuracy_m):
        margin_m += min(place.accuracy_m, rules.accuracy_clamp_m)
    return margin_m > 0.0 and is_within(scratch, entry, place.lon, place.lat, margin_m)


@bare
def said(scratch: Scratch, entry: int, place: Record, is_covered: bool) -> int:
    """Return INSIDE, OUTSIDE or UNSURE, as Says. is_covered: whether the entry's zone covers the
    place.
    """
    if not is_coarse(place, scratch.zones.entry[entry].coarse_accuracy_m):
        return _INSIDE if is_covered else _OUTSIDE
    if not is_covered:
        return _UNSURE if is_within_margin(scratch, entry, place) else _OUTSIDE
    is_deep = is_deeper(scratch, entry, place.lon, place.lat, COARSE_DEPTH * place.accuracy_m)
    return _INSIDE if is_deep else _UNSURE


@bare
def said_by(scratch: Scratch, entry: int, place: Record) -> int:
    """Return what `said` returns, for a place whose cover is not known yet."""
    return said(scratch, entry, place, holds(scratch, entry, place.lon, place.lat))


@bare
def is_unknown(scratch: Scratch, asset: Record, entry: int, vague: bool) -> bool:
    """Return whether no fix of the asset, which is in no visit of the zone, has told if it is
    inside.

    vague: as in ASSET_DTYPE; the asset's own may be another one by now.
    """
    return not asset.located or (vague and said_by(scratch, entry, asset.good) == _UNSURE)
