"""Questions about many places at once, without a state: which zones cover them, how far is it."""

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.distance import signed_distance_m
from geofence.judging.candidates import gather, in_frame
from geofence.judging.scratch import Output, Scratch, Workspace
from geofence.kernel.compiled import compiled
from geofence.model.no_fix_events import Agenda
from geofence.model.records import ASSET_DTYPE, MEMBERSHIP_DTYPE, PLACE_DTYPE
from geofence.model.transitions import TRANSITION_DTYPE
from geofence.zones.index import ZoneArrays, ZoneIndex

_ROOM = 256


def inside(
    index: ZoneIndex,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    organization: NDArray[np.integer],
    time_us: NDArray[np.int64],
    asset: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs (place, entry of the index): the entry is in force for the asset and covers the
    place.

    lon, lat: degrees, (n,). organization, time_us, asset: (n,), by whose zones, when, and who for.
    Places ascending.
    """
    room, workspace = _ROOM, Workspace()
    while True:
        scratch = workspace.scratch(index.arrays, Agenda.empty(), room, _output())
        pairs = np.empty((2, len(lon) + room), np.int64)
        columns = (np.asarray(organization, np.int64), time_us, np.asarray(asset, np.int64))
        count = _inside(scratch, lon, lat, *columns, pairs)
        if count >= 0:
            return pairs[0, :count], pairs[1, :count]
        room *= 4


def _output() -> Output:
    return Output(
        np.zeros(1, ASSET_DTYPE),
        np.empty(0, MEMBERSHIP_DTYPE),
        np.empty(0, TRANSITION_DTYPE),
        np.empty(0, PLACE_DTYPE),
    )


@compiled
def _inside(
    scratch: Scratch,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    organization: NDArray[np.int64],
    time_us: NDArray[np.int64],
    asset: NDArray[np.int64],
    pairs: NDArray[np.int64],
) -> int:
    """Write the pairs of asset and zone that hold a place, and return their number, -1 where there
    was no room.
    """
    count, record = 0, scratch.asset[0]
    for place in range(len(lon)):
        record.organization, record.asset = organization[place], asset[place]
        at_lon, at_lat = lon[place], lat[place]
        if not gather(scratch, record, time_us[place], at_lon, at_lat, at_lon, at_lat):
            return -1
        for slot in range(scratch.cursor[0].candidates):
            if not scratch.candidate[slot].inside:
                continue
            if count == pairs.shape[1]:
                return -1
            pairs[0, count], pairs[1, count] = place, scratch.candidate[slot].entry
            count += 1
    return count


def signed_distances_m(
    index: ZoneIndex,
    zone: NDArray[np.integer],
    version: NDArray[np.integer],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return distance of place i to the edge of version i of zone i in metres, negative inside;
    (n,).

    NaN where the index has no such version.
    """
    columns = (np.asarray(zone, np.int64), np.asarray(version, np.int64))
    lon, lat = np.ascontiguousarray(lon), np.ascontiguousarray(lat)
    return _signed_distances_m(index.arrays, *columns, lon, lat)


@compiled
def _signed_distances_m(
    zones: ZoneArrays,
    zone: NDArray[np.int64],
    version: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
) -> NDArray[np.float64]:
    result = np.full(len(zone), np.nan)
    for number in range(len(zone)):
        entry = zones.newest[zone[number]] if zone[number] < len(zones.newest) else -1
        while entry >= 0 and zones.entry[entry].version != version[number]:
            entry = zones.entry[entry].before
        if entry < 0:
            continue
        shape = zones.entry[entry].shape
        for turn in range(-1, 2):
            x = in_frame(zones.arena, shape, lon[number]) + 360.0 * turn
            distance_m = signed_distance_m(zones.arena, shape, x, lat[number])
            if np.isnan(result[number]) or distance_m < result[number]:
                result[number] = distance_m
    return result
