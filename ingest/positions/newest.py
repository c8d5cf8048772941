"""The positions that are still to be written: what committed plans say of assets.

Without I/O: `ingest.positions.writer` takes from it. Nothing of this is read back after a crash,
since each term derives all positions from the fixes once.

What makes an older fix the position of an asset (a fix that becomes suspect, another assignment) is
rare: then its position is derived from the stored fixes. Positions of employees always are, since
few trackers are theirs: noted is only which trackers have something new.
"""

from collections.abc import Iterable
from itertools import islice
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.history.latest_positions import NewPositions
from geofence.zones.versions import MIN_TIME_US
from ingest.planning.positions import POSITION_DTYPE, PlanPositions
from ingest.registry.registry import Registry

_VALUES = ("time_us", "seq", "lat", "lon", "speed_mps", "course_deg", "accuracy_m")


class NewestPositions:
    """The newest position of each asset that fixes of this term have told, in 60 bytes."""

    def __init__(self) -> None:
        self._rows = np.empty(0, POSITION_DTYPE)  # by asset; time_us MIN_TIME_US: not known
        self._waits = np.empty(0, bool)  # to be written
        self._outdated: dict[int, None] = {}  # in order
        self._of_employees: dict[int, None] = {}  # trackers, likewise

    def __bool__(self) -> bool:
        """Return whether anything is to be written."""
        return bool(self._outdated or self._of_employees or self._waits.any())

    def add(self, positions: PlanPositions) -> None:
        """Take in what a plan says that is committed."""
        newest, marked, of_employees = positions
        self._reach(max(newest["asset"].max(initial=-1), marked["asset"].max(initial=-1)) + 1)
        newest = newest[_is_newer(newest, self._rows[newest["asset"]])]
        self._rows[newest["asset"]] = newest
        self._waits[newest["asset"]] = True
        matters = ~_is_newer(self._rows[marked["asset"]], marked)
        self.outdate(marked["asset"][matters].tolist())
        self.outdate_employees(of_employees)

    def outdate(self, assets: Iterable[int]) -> None:
        """Let the positions of assets be derived from the fixes."""
        self._outdated |= dict.fromkeys(assets)

    def outdate_employees(self, trackers: Iterable[int]) -> None:
        """Let the positions of the employees with these trackers be derived from the fixes."""
        self._of_employees |= dict.fromkeys(trackers)

    def pop_of_employees(self, most: int) -> list[int]:
        """Return trackers whose employees' positions are to be derived from the fixes."""
        trackers = list(islice(self._of_employees, most))
        for tracker in trackers:
            del self._of_employees[tracker]
        return trackers

    def pop_outdated(self, most: int) -> list[int]:
        """Return assets whose positions are to be derived from the fixes. Nothing else waits of
        them any more.
        """
        assets = list(islice(self._outdated, most))
        for asset in assets:
            del self._outdated[asset]
        known = [asset for asset in assets if asset < len(self._rows)]
        self._rows["time_us"][known], self._waits[known] = MIN_TIME_US, False
        return assets

    def pop_waiting(self, most: int) -> NDArray[np.void]:
        """Return positions to be written, POSITION_DTYPE."""
        assets = np.flatnonzero(self._waits)[:most]
        self._waits[assets] = False
        return self._rows[assets]

    def put_back(self, waiting: NDArray[np.void]) -> None:
        """Let positions that could not be written wait on, or the newer ones of their assets."""
        self._waits[waiting["asset"]] = True

    def _reach(self, assets: int) -> None:
        missing = assets - len(self._rows)
        if missing > 0:
            more = np.zeros(max(missing, len(self._rows) // 4), POSITION_DTYPE)
            more["time_us"] = MIN_TIME_US
            self._rows = np.concatenate((self._rows, more))
            self._waits = np.concatenate((self._waits, np.zeros(len(more), bool)))


def _is_newer(position: NDArray[np.void], other: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return where a position is newer than the other one, (n,)."""
    is_later = position["time_us"] > other["time_us"]
    return is_later | ((position["time_us"] == other["time_us"]) & (position["seq"] > other["seq"]))


def as_columns(positions: NDArray[np.void], registry: Registry) -> NewPositions:
    """Return positions with the ids of their owners. positions: POSITION_DTYPE."""
    return NewPositions(
        org_id=registry.organizations.as_bytes()[positions["organization"]],
        asset_id=registry.assets.as_bytes()[positions["asset"]],
        tracker_id=registry.trackers.as_bytes()[positions["tracker"]],
        **{name: positions[name] for name in _VALUES},
    )


def owners_of(assets: Iterable[int], registry: Registry) -> dict[UUID, UUID]:
    """Return the organization of each asset."""
    return {
        registry.assets[asset]: registry.organizations[registry.organization_of_asset(asset)]
        for asset in assets
    }


def organizations_of(trackers: Iterable[int], registry: Registry) -> dict[UUID, UUID]:
    """Return the organization of each tracker."""
    return {
        registry.trackers[tracker]: registry.organizations[registry.organization_of(tracker)]
        for tracker in trackers
    }
