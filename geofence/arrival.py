"""In which order fixes are judged, and which come too late to be judged.

Each asset's fixes are judged in order of arrival, and each must lie beyond all judged before it in
(time, seq). One that does not is late: it is left out and changes nothing.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geofence.state import State

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Arrival:
    """The m fixes of a batch that are judged, asset by asset, and what came before each of them.

    row: numbers in the batch, shape (m,). group: number of the fix's asset among the g assets.
    assets: (g,); first: (g,), where each asset's fixes begin in `row`.
    has_before: whether anything of the asset was judged before the fix; before_us, before_lat,
    before_lon: that fix, where there is one. All shape (m,).
    known: whether the state has a newest fix of the asset, shape (g,).
    """

    row: NDArray[np.intp]
    group: NDArray[np.intp]
    assets: NDArray[np.int32]
    first: NDArray[np.intp]
    known: NDArray[np.bool_]
    has_before: NDArray[np.bool_]
    before_us: NDArray[np.int64]
    before_lat: NDArray[np.float64]
    before_lon: NDArray[np.float64]


def in_order(fixes: NDArray[np.void], state: State) -> tuple[Arrival, NDArray[np.bool_]]:
    """The fixes to judge, and for every row of the batch whether it is late.

    fixes: FIX_DTYPE, (n,); rows with asset -1 are neither judged nor late.
    """
    late = np.zeros(len(fixes), dtype=bool)
    asset = np.ascontiguousarray(fixes["asset"])
    row = np.flatnonzero(asset >= 0)
    row = row[np.argsort(asset[row], kind="stable")]
    arrival, ascending = _arrival(fixes, row, state)
    if not ascending.all():
        behind = _behind(fixes, arrival, state)
        late[row[behind]] = True
        arrival, _ = _arrival(fixes, row[~behind], state)
    return arrival, late


def _arrival(
    fixes: NDArray[np.void], row: NDArray[np.intp], state: State
) -> tuple[Arrival, NDArray[np.bool_]]:
    """`row` with what came before each fix, and whether each lies beyond the one before it."""
    asset, time_us, seq = fixes["asset"][row], fixes["time_us"][row], fixes["seq"][row]
    is_first = np.ones(len(row), dtype=bool)
    np.not_equal(asset[1:], asset[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    last, known = state.last_of(asset[first])
    has_before = np.ones(len(row), dtype=bool)
    has_before[first] = known
    before_us = _shifted(time_us, first, last["time_us"])
    before_seq = _shifted(seq, first, last["seq"])
    arrival = Arrival(
        row=row,
        group=np.cumsum(is_first) - 1,
        assets=asset[first],
        first=first,
        known=known,
        has_before=has_before,
        before_us=before_us,
        before_lat=_shifted(fixes["lat"][row], first, last["lat"]),
        before_lon=_shifted(fixes["lon"][row], first, last["lon"]),
    )
    beyond = (time_us > before_us) | ((time_us == before_us) & (seq > before_seq))
    return arrival, beyond | ~has_before


def _shifted(
    column: NDArray[_Scalar], first: NDArray[np.intp], last: NDArray[_Scalar]
) -> NDArray[_Scalar]:
    """The value of the fix before: within an asset the row above, at its first the state's."""
    before = np.empty_like(column)
    before[1:] = column[:-1]
    before[first] = last
    return before


def _behind(fixes: NDArray[np.void], arrival: Arrival, state: State) -> NDArray[np.bool_]:
    """Which fixes lie at or before the running maximum of their asset's (time, seq)."""
    last, _ = state.last_of(arrival.assets)
    groups, n = len(arrival.assets), len(arrival.row)
    time_us = np.concatenate((last["time_us"], fixes["time_us"][arrival.row]))
    seq = np.concatenate((last["seq"], fixes["seq"][arrival.row]))
    rank = _dense_ranks(time_us, seq)
    # Each asset's state comes right before its fixes; a rank offset by the asset's number makes one
    # running maximum over all assets the running maximum of each.
    place = np.arange(n) + arrival.group + 1
    state_place = arrival.first + np.arange(groups)
    offset = (groups + n + 1) * np.arange(groups)
    ordered = np.empty(groups + n, dtype=np.int64)
    ordered[state_place] = rank[:groups] + offset
    ordered[place] = rank[groups:] + offset[arrival.group]
    newest = np.maximum.accumulate(ordered)
    return ordered[place] <= newest[place - 1]


def _dense_ranks(time_us: NDArray[np.int64], seq: NDArray[np.int32]) -> NDArray[np.int64]:
    """Numbers that compare as the pairs (time, seq) do; equal pairs have one number."""
    order = np.lexsort((seq, time_us))
    time_us, seq = time_us[order], seq[order]
    new = np.ones(len(order), dtype=np.int64)
    new[1:] = (time_us[1:] != time_us[:-1]) | (seq[1:] != seq[:-1])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.cumsum(new)
    return rank
