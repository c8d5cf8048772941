"""The state of an asset in a form that another process can read: UUIDs instead of ordinals."""

from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from geofence.model.records import PLACE_DTYPE
from ingest.registry.registry import Registry


class SavedPlace(msgspec.Struct, array_like=True):
    """PLACE_DTYPE, with the tracker's UUID. NaN where not known."""

    tracker: bytes
    time_us: int
    seq: int
    lat: float
    lon: float
    accuracy_m: float
    speed_mps: float


class SavedAsset(msgspec.Struct, array_like=True):
    """ASSET_DTYPE. good: None where the asset is not located; fine: None where not `bridged`."""

    newest_us: int
    newest_seq: int
    clock_us: int
    joined: bool
    good: SavedPlace | None
    suspects: list[SavedPlace]
    vague: bool = False
    fine: SavedPlace | None = None


def write_place(row: Any, registry: Registry) -> SavedPlace:
    tracker, *rest = row.item()
    return SavedPlace(registry.trackers[tracker].bytes, *rest)


def read_place(place: SavedPlace, registry: Registry) -> Any:
    """Read a PLACE_DTYPE record."""
    number = registry.trackers.number(UUID(bytes=place.tracker))
    seen = (place.time_us, place.seq, place.lat, place.lon, place.accuracy_m, place.speed_mps)
    row = np.zeros(1, PLACE_DTYPE)
    row[0] = (number, *seen)
    return row[0]


def write_asset(row: Any, registry: Registry) -> SavedAsset:
    return SavedAsset(
        int(row["newest_us"]),
        int(row["newest_seq"]),
        int(row["clock_us"]),
        bool(row["joined"]),
        write_place(row["good"], registry) if row["located"] else None,
        [write_place(place, registry) for place in row["suspect"][: row["suspects"]]],
        bool(row["vague"]),
        write_place(row["fine"], registry) if row["bridged"] else None,
    )


def read_asset(asset: SavedAsset, row: Any, registry: Registry) -> None:
    """Fill an ASSET_DTYPE."""
    row["newest_us"], row["newest_seq"] = asset.newest_us, asset.newest_seq
    row["clock_us"], row["joined"] = asset.clock_us, asset.joined
    row["located"] = asset.good is not None
    if asset.good is not None:
        row["good"] = read_place(asset.good, registry)
    row["vague"], row["bridged"] = asset.vague, asset.fine is not None
    if asset.fine is not None:
        row["fine"] = read_place(asset.fine, registry)
    row["suspects"] = len(asset.suspects)
    for number, place in enumerate(asset.suspects):
        row["suspect"][number] = read_place(place, registry)


def zone_bytes(row: Any, registry: Registry) -> bytes:
    """Return the UUID of a membership's zone."""
    return registry.zones[int(row["zone"])].bytes
