"""The part of an asset's state that its visits and its newest fix do not show: kept beside them, by
UUIDs.

Most assets need no note: their newest stored fix is the last good one, nothing has happened since,
and no run of fixes is under way. A note is written in the transaction of the fixes that it comes
from, if it says something else than the one before, and removed when it is not needed any more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from db.ingest.asset_states import AssetKey, AssetState
from geofence.judging.state import StateDelta
from geofence.zones.versions import MIN_TIME_US
from ingest.memory.state_codec import Place, Standing, write_place, write_standing, zone_bytes
from ingest.registry.registry import Registry
from ingest.undo import Undo, undo_of


class Run(msgspec.Struct, array_like=True):
    """A run of fixes in a row that say that the asset entered, or left, a zone."""

    zone: bytes
    fixes: int
    first: Place


class Note(msgspec.Struct, array_like=True):
    """standing: None where the newest stored fix is good and tells where the asset is.

    left: the zones of which it is remembered that the asset has left them before.
    """

    standing: Standing | None
    runs: list[Run]
    left: list[bytes]


_decoder = msgspec.msgpack.Decoder(Note)


@dataclass(frozen=True, slots=True)
class NoteChanges:
    """The changes of notes, by ordinal of the asset: notes to write over those of before, and those
    to remove.
    """

    written: dict[int, AssetState]
    removed: dict[int, AssetKey]

    def __bool__(self) -> bool:
        return bool(self.written or self.removed)


class Notes:
    """The notes that are stored, or will be before anything planned from now on is."""

    def __init__(self) -> None:
        self._stored: dict[int, bytes] = {}

    def restore(self, rows: Iterable[AssetState], registry: Registry) -> dict[int, Note]:
        """Forget everything and take what the database has; returns it by ordinal, decoded."""
        self._stored = {registry.assets.number(row.asset_id): row.state for row in rows}
        return {asset: _decoder.decode(state) for asset, state in self._stored.items()}

    def changes(self, delta: StateDelta, registry: Registry) -> NoteChanges:
        """Return what to write, and to remove, so that `delta` can be read back."""
        changes = NoteChanges({}, {})
        outdated = {
            asset: place
            for place, asset in enumerate(delta.assets["asset"].tolist())
            if asset in self._stored
        }
        for place, note in _needed(delta, registry):
            key, asset = _key(delta, place, registry)
            state = msgspec.msgpack.encode(note)
            if self._stored.get(asset) != state:
                changes.written[asset] = AssetState(*key, state)
            outdated.pop(asset, None)
        for asset, place in outdated.items():
            changes.removed[asset], _ = _key(delta, place, registry)
        return changes

    def undo(self, changes: NoteChanges) -> Undo:
        """Return what gives the assets their present notes back."""
        return undo_of(self._stored, (*changes.written, *changes.removed))

    def take(self, changes: NoteChanges) -> None:
        """Note that the changes are stored, or will be."""
        self._stored.update((asset, row.state) for asset, row in changes.written.items())
        for asset in changes.removed:
            del self._stored[asset]


def _key(delta: StateDelta, place: int, registry: Registry) -> tuple[AssetKey, int]:
    """Return the key of a row, and the ordinal of its asset."""
    asset = int(delta.assets["asset"][place])
    organization = registry.organization_of_asset(asset)  # the state of one without fixes has none
    return AssetKey(registry.organizations[organization], registry.assets[asset]), asset


def _needed(delta: StateDelta, registry: Registry) -> Iterator[tuple[int, Note]]:
    """Yield the notes that assets need, by their place in the delta."""
    members = delta.memberships
    unusual = (members["run"] > 0) | members["returning"]
    owner = np.repeat(np.arange(len(delta.assets)), delta.count)[unusual]
    members = members[unusual]
    has_standing = _is_unusual(delta.assets, registry)
    for place in np.union1d(np.flatnonzero(has_standing), owner).tolist():
        own = members[np.searchsorted(owner, place) : np.searchsorted(owner, place, "right")]
        row = delta.assets[place]
        standing = write_standing(row, registry) if has_standing[place] else None
        yield place, _note(standing, own, registry)


def _note(standing: Standing | None, members: NDArray[np.void], registry: Registry) -> Note:
    """Return the note in one order, so that equal notes are equal bytes."""
    runs = [
        Run(
            zone_bytes(row, registry),
            int(row["run"]),
            write_place(row["run_first"], registry),
        )
        for row in members[members["run"] > 0]
    ]
    left = [zone_bytes(row, registry) for row in members[members["returning"]]]
    return Note(standing, sorted(runs, key=lambda run: run.zone), sorted(left))


def _is_unusual(assets: NDArray[np.void], registry: Registry) -> NDArray[np.bool_]:
    """Return a mask of assets whose state cannot be rebuilt from their newest stored fix; (n,)."""
    newest_us, clock_us, good = assets["newest_us"], assets["clock_us"], assets["good"]
    is_good = assets["located"] & assets["joined"] & (assets["suspects"] == 0)
    is_good &= ~assets["vague"] & ~assets["bridged"]
    is_good &= (good["time_us"] == newest_us) & (good["seq"] == assets["newest_seq"])
    is_good &= clock_us <= newest_us
    told = np.flatnonzero(is_good)
    assigned = registry.assigned(good["tracker"][told], good["time_us"][told])
    is_good[told] = assigned == assets["asset"][told]
    return ~is_good & ((newest_us > MIN_TIME_US) | (clock_us > MIN_TIME_US))
