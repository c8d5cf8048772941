"""Checkpoints: stored states of assets, one for each hour of an asset's time or some thousand
fixes.

A late fix is judged from the last checkpoint before it. Which fixes the checkpoints follow does not
change any decision. The distance between them decides what a late fix costs.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from db.ingest.checkpoints import Checkpoint
from geofence.judging.state import StateDelta, blank_assets
from geofence.late.segments import FIXES_PER_SEGMENT
from geofence.model.records import MEMBERSHIP_DTYPE
from geofence.zones.versions import MIN_TIME_US
from ingest.registry.registry import Registry
from ingest.saved_states.state_codec import (
    SavedAsset,
    SavedPlace,
    read_asset,
    read_place,
    write_asset,
    write_place,
    zone_bytes,
)
from ingest.undo import Undo

SPACING_US = 3_600_000_000
SPACING_FIXES = 4_000  # of a tracker that sends more than that in an hour

_COUNTS = ("entered_us", "first_fix_us", "first_fix_seq", "change_us", "entered_version")


class SavedMembership(msgspec.Struct, array_like=True):
    """MEMBERSHIP_DTYPE. run_first: None where there is no run. overspeed: older ones have none."""

    zone: bytes
    inside: bool
    dwelled: bool
    returning: bool
    first_fix_tracker: bytes
    counts: list[int]  # _COUNTS, then again
    run: int
    run_first: SavedPlace | None
    overspeed: bool = False


class Snapshot(msgspec.Struct, array_like=True):
    asset: SavedAsset
    members: list[SavedMembership]


_decoder = msgspec.msgpack.Decoder(Snapshot)


class Checkpoints:
    """The assets that are due for another checkpoint."""

    def __init__(self) -> None:
        self._last_us = np.empty(0, np.int64)  # by asset; MIN_TIME_US: never seen
        self._fixes = np.empty(0, np.int64)  # since then

    def due(self, delta: StateDelta, registry: Registry) -> list[Checkpoint]:
        """Return the checkpoints to write. Only states without suspect fixes and passed deadlines
        qualify.
        """
        assets = delta.assets
        self._reach(int(assets["asset"].max(initial=-1)))
        last_us, newest_us = self._last_us[assets["asset"]], assets["newest_us"]
        wanted = (last_us > MIN_TIME_US) & (newest_us > MIN_TIME_US)
        wanted[wanted] = newest_us[wanted] - last_us[wanted] >= SPACING_US
        wanted |= self._fixes[assets["asset"]] >= SPACING_FIXES
        wanted &= (assets["suspects"] == 0) & (assets["clock_us"] <= newest_us)
        wanted &= newest_us > MIN_TIME_US
        places = np.flatnonzero(wanted)
        if not len(places):
            return []
        end = np.cumsum(delta.count)
        return [
            encode(
                assets[place],
                delta.memberships[end[place] - delta.count[place] : end[place]],
                registry,
            )
            for place in places.tolist()
        ]

    def undo(self, assets: NDArray[np.integer], written: Iterable[tuple[int, int]]) -> Undo:
        """Return a function that restores the present marks of the assets and of those in
        `written`.
        """
        asset = np.array([*assets.tolist(), *(number for number, _ in written)], np.int64)
        self._reach(int(asset.max(initial=-1)))
        last_us, fixes = self._last_us[asset], self._fixes[asset]

        def undo() -> None:
            self._last_us[asset], self._fixes[asset] = last_us, fixes

        return undo

    def take(
        self,
        delta: StateDelta,
        fixes_of: NDArray[np.integer],
        written: Iterable[tuple[int, int]],
    ) -> None:
        """Note checkpoints that are stored, or will be.

        fixes_of: the asset of each new fix, -1 for none. written: (asset, time_us) of each
        checkpoint.
        """
        asset, newest_us = delta.assets["asset"], delta.assets["newest_us"]
        self._reach(max(int(asset.max(initial=-1)), int(fixes_of.max(initial=-1))))
        is_first = (self._last_us[asset] == MIN_TIME_US) & (newest_us > MIN_TIME_US)
        if is_first.any():
            self._last_us[asset[is_first]] = newest_us[is_first] - _spread_us(asset[is_first])
        np.add.at(self._fixes, fixes_of[fixes_of >= 0], 1)
        for number, time_us in written:
            self._last_us[number], self._fixes[number] = time_us, 0

    def _reach(self, asset: int) -> None:
        missing = asset + 1 - len(self._last_us)
        if missing > 0:
            room = max(missing, len(self._last_us))
            self._last_us = np.append(self._last_us, np.full(room, MIN_TIME_US))
            self._fixes = np.append(self._fixes, np.zeros(room, np.int64))


def _spread_us(asset: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an offset for each asset, so that assets which begin together are not due together."""
    return asset * 2_654_435_761 % SPACING_US


def spaced(states: Iterable[StateDelta], since_us: int) -> list[StateDelta]:
    """Return the states of one asset that lie far enough apart, in time or in number."""
    kept: list[StateDelta] = []
    last = 0
    for number, state in enumerate(states, 1):
        newest_us = int(state.assets["newest_us"][0])
        if (
            newest_us - since_us >= SPACING_US
            or number - last >= SPACING_FIXES // FIXES_PER_SEGMENT
        ):
            kept.append(state)
            last, since_us = number, newest_us
    return kept


def encode(asset: Any, members: NDArray[np.void], registry: Registry) -> Checkpoint:
    """Encode the state of one asset."""
    snapshot = Snapshot(
        write_asset(asset, registry), [_member(member, registry) for member in members]
    )
    return Checkpoint(
        registry.organizations[int(asset["organization"])],
        registry.assets[int(asset["asset"])],
        int(asset["newest_us"]),
        int(asset["newest_seq"]),
        msgspec.msgpack.encode(snapshot),
    )


def _member(row: Any, registry: Registry) -> SavedMembership:
    tracker = registry.trackers[int(row["first_fix_tracker"])].bytes if row["inside"] else b""
    return SavedMembership(
        zone_bytes(row, registry),
        bool(row["inside"]),
        bool(row["dwelled"]),
        bool(row["returning"]),
        tracker,
        [int(row[name]) for name in (*_COUNTS, "again")],
        int(row["run"]),
        write_place(row["run_first"], registry) if row["run"] else None,
        bool(row["overspeed"]),
    )


def decode(checkpoint: Checkpoint, registry: Registry) -> StateDelta:
    """Return the state of the one asset."""
    snapshot = _decoder.decode(checkpoint.state)
    asset = registry.assets.number(checkpoint.asset_id)
    assets = blank_assets(asset, 1)
    assets["organization"] = registry.organizations.number(checkpoint.org_id)
    read_asset(snapshot.asset, assets[0], registry)
    rows = np.zeros(len(snapshot.members), MEMBERSHIP_DTYPE)
    for row, member in zip(rows, snapshot.members, strict=True):
        row["asset"], row["zone"] = asset, registry.zones.number(UUID(bytes=member.zone))
        row["inside"], row["dwelled"] = member.inside, member.dwelled
        row["overspeed"] = member.overspeed
        row["returning"], row["run"] = member.returning, member.run
        for name, count in zip((*_COUNTS, "again"), member.counts, strict=True):
            row[name] = count
        if member.inside:
            row["first_fix_tracker"] = registry.trackers.number(
                UUID(bytes=member.first_fix_tracker)
            )
        if member.run_first is not None:
            row["run_first"] = read_place(member.run_first, registry)
    return StateDelta(assets, np.array([len(rows)]), rows)
