"""Saved states: the parts of assets' states that cannot be derived from visits and newest fixes.

Most assets need no saved state: their newest stored fix is the last good one, nothing has happened
since, and no run of fixes is under way. A state is written in the transaction of its fixes if it
differs from the saved one, and removed when it is no longer needed. It names trackers and zones by
UUIDs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from db.ingest.asset_states import AssetKey, AssetState
from geofence.judging.state import StateDelta
from geofence.zones.versions import MIN_TIME_US
from ingest.registry.registry import Registry
from ingest.saved_states.state_codec import (
    SavedAsset,
    SavedPlace,
    write_asset,
    write_place,
    zone_bytes,
)
from ingest.undo import Undo, undo_of


class Run(msgspec.Struct, array_like=True):
    """A run of fixes in a row that say that the asset entered, or left, a zone."""

    zone: bytes
    fixes: int
    first: SavedPlace


class SavedState(msgspec.Struct, array_like=True):
    """The saved state of one asset.

    asset: None if the newest stored fix is good and says where the asset is. left: the zones that
    the asset has left before, as far as that is remembered.
    """

    asset: SavedAsset | None
    runs: list[Run]
    left: list[bytes]


_decoder = msgspec.msgpack.Decoder(SavedState)


@dataclass(frozen=True, slots=True)
class SavedStateChanges:
    """States to write and states to remove, by the ordinal of the asset."""

    written: dict[int, AssetState]
    removed: dict[int, AssetKey]

    def __bool__(self) -> bool:
        return bool(self.written or self.removed)


class SavedStates:
    """The saved states that are stored, or will be before the next plan is stored."""

    def __init__(self) -> None:
        self._stored: dict[int, bytes] = {}

    def restore(self, rows: Iterable[AssetState], registry: Registry) -> dict[int, SavedState]:
        """Forget everything and take the rows of the database. Returns the states by ordinal,
        decoded.
        """
        self._stored = {registry.assets.number(row.asset_id): row.state for row in rows}
        return {asset: _decoder.decode(state) for asset, state in self._stored.items()}

    def changes(self, delta: StateDelta, registry: Registry) -> SavedStateChanges:
        """Return which saved states to write and to remove, so that `delta` can be read back."""
        changes = SavedStateChanges({}, {})
        outdated = {
            asset: place
            for place, asset in enumerate(delta.assets["asset"].tolist())
            if asset in self._stored
        }
        for place, saved in _needed(delta, registry):
            key, asset = _key(delta, place, registry)
            state = msgspec.msgpack.encode(saved)
            if self._stored.get(asset) != state:
                changes.written[asset] = AssetState(*key, state)
            outdated.pop(asset, None)
        for asset, place in outdated.items():
            changes.removed[asset], _ = _key(delta, place, registry)
        return changes

    def undo(self, changes: SavedStateChanges) -> Undo:
        """Return a function that restores the present saved states of the assets."""
        return undo_of(self._stored, (*changes.written, *changes.removed))

    def take(self, changes: SavedStateChanges) -> None:
        """Note that the changes are stored, or will be."""
        self._stored.update((asset, row.state) for asset, row in changes.written.items())
        for asset in changes.removed:
            del self._stored[asset]


def _key(delta: StateDelta, place: int, registry: Registry) -> tuple[AssetKey, int]:
    """Return the key of the asset's row, and the asset's number."""
    asset = int(delta.assets["asset"][place])
    organization = registry.organization_of_asset(asset)  # the state of one without fixes has none
    return AssetKey(registry.organizations[organization], registry.assets[asset]), asset


def _needed(delta: StateDelta, registry: Registry) -> Iterator[tuple[int, SavedState]]:
    """Return the saved states that assets need, by their place in the delta."""
    members = delta.memberships
    unusual = (members["run"] > 0) | members["returning"]
    owner = np.repeat(np.arange(len(delta.assets)), delta.count)[unusual]
    members = members[unusual]
    is_unusual = _is_unusual(delta.assets, registry)
    for place in np.union1d(np.flatnonzero(is_unusual), owner).tolist():
        own = members[np.searchsorted(owner, place) : np.searchsorted(owner, place, "right")]
        row = delta.assets[place]
        asset = write_asset(row, registry) if is_unusual[place] else None
        yield place, _saved_state(asset, own, registry)


def _saved_state(
    asset: SavedAsset | None, members: NDArray[np.void], registry: Registry
) -> SavedState:
    """Return it in one order, so that equal states are equal bytes."""
    runs = [
        Run(
            zone_bytes(row, registry),
            int(row["run"]),
            write_place(row["run_first"], registry),
        )
        for row in members[members["run"] > 0]
    ]
    left = [zone_bytes(row, registry) for row in members[members["returning"]]]
    return SavedState(asset, sorted(runs, key=lambda run: run.zone), sorted(left))


def _is_unusual(assets: NDArray[np.void], registry: Registry) -> NDArray[np.bool_]:
    """Return a mask of assets whose state cannot be rebuilt from their newest stored fix. Shape
    (n,).
    """
    newest_us, clock_us, good = assets["newest_us"], assets["clock_us"], assets["good"]
    is_good = assets["located"] & assets["joined"] & (assets["suspects"] == 0)
    is_good &= ~assets["vague"] & ~assets["bridged"]
    is_good &= (good["time_us"] == newest_us) & (good["seq"] == assets["newest_seq"])
    is_good &= clock_us <= newest_us
    rows = np.flatnonzero(is_good)
    assigned = registry.assigned(good["tracker"][rows], good["time_us"][rows])
    is_good[rows] = assigned == assets["asset"][rows]
    return ~is_good & ((newest_us > MIN_TIME_US) | (clock_us > MIN_TIME_US))
