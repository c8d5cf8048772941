"""Backlogs: assets whose stored fixes are still to be judged.

There are three causes: an assignment reaches back to stored fixes; a late fix has too many fixes
behind it to judge them at once; or a late fix shows that a tracker was elsewhere when it was put on
the asset. The asset waits: its state is unknown, its new fixes are stored and not judged, and
nothing happens to it without a fix. Its backlog is judged in order, in pieces of a bounded number
of fixes (`ingest.late.lookup.PIECE_FIXES`), like late fixes. After the last piece the asset is like
every other one. A new fix from before the end of the judged part moves that end back to it.

At most four pieces are judged a second, each of one asset, and organizations take turns. So the
backlogs of one organization take only a bounded part of ingest's time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.ingest.asset_backlogs import Backlog
from geofence.zones.versions import MIN_TIME_US
from ingest.undo import Undo

PAUSE_US = 250_000


@dataclass(frozen=True, slots=True)
class BacklogProgress:
    """The changes of backlogs by a plan, by number of the asset.

    moved: how far each is judged then; done: those of which nothing is left. judged_us: when a
    piece was judged, None if none was. waiting: how many assets wait afterwards.
    """

    moved: Mapping[int, Backlog] = field(default_factory=dict[int, Backlog])
    done: Mapping[int, Backlog] = field(default_factory=dict[int, Backlog])
    judged_us: int | None = None
    waiting: int = 0

    def __bool__(self) -> bool:
        return bool(self.moved or self.done)


class Backlogs:
    """The backlogs that are stored, or will be before the next plan is stored."""

    def __init__(self) -> None:
        self._by_asset: dict[int, Backlog] = {}
        self._turn = 0
        self._turns: dict[UUID, int] = {}  # the last ones, by organization and by asset
        self._judged_us = MIN_TIME_US

    @property
    def assets(self) -> list[int]:
        """The assets that wait."""
        return list(self._by_asset)

    def put(self, asset: int, backlog: Backlog) -> None:
        """Set the backlog of an asset as the database has it."""
        self._by_asset[asset] = backlog

    def next(self, now_us: int) -> Backlog | None:
        """Return the backlog whose next piece is due now, or None."""
        # Where the clock fell back there is no pause.
        is_pause = self._judged_us <= now_us < self._judged_us + PAUSE_US
        if not self._by_asset or is_pause:
            return None
        return min(self._by_asset.values(), key=self._last_turn)

    def progress(
        self,
        rows: NDArray[np.void],
        judged: Mapping[int, Backlog | None],
        begun: Mapping[int, Backlog],
        now_us: int,
    ) -> BacklogProgress:
        """Return the changes that a piece makes, and new fixes (FIX_DTYPE) of assets that wait.

        judged: how far the asset of the piece is judged, None for all of it. begun: of assets that
        have to be judged again from there on; they may wait already.
        """
        done = {asset: self._by_asset[asset] for asset, rest in judged.items() if rest is None}
        moved = {asset: rest for asset, rest in judged.items() if rest is not None}
        waiting = self._by_asset.keys() - done.keys()
        for asset, backlog in begun.items():
            known = moved.get(asset, self._by_asset.get(asset))
            if known is None:
                moved[asset] = backlog
            elif backlog[2:4] < known[2:4]:
                moved[asset] = known._replace(
                    time_us=backlog.time_us,
                    seq=backlog.seq,
                    state=None,
                    flags=known.flags & backlog.flags,
                )
        for row in rows[np.isin(rows["asset"], list(waiting))]:
            asset, identity = int(row["asset"]), (int(row["time_us"]), int(row["seq"]))
            known = moved.get(asset, self._by_asset[asset])
            if known.judged_us is not None and identity[0] <= known.judged_us:
                flags = known.flags & int(row["flags"])
                if flags != known.flags:
                    moved[asset] = known = known._replace(flags=flags)
            if identity <= known[2:4]:
                moved[asset] = known._replace(time_us=identity[0], seq=-1, state=None)
        return BacklogProgress(moved, done, now_us if judged else None, len(waiting | begun.keys()))

    def undo(self, progress: BacklogProgress) -> Undo:
        """Return a function that restores the present backlogs."""
        if not progress:
            return lambda: None
        by_asset, turns, judged_us = dict(self._by_asset), dict(self._turns), self._judged_us

        def undo() -> None:
            self._by_asset, self._turns, self._judged_us = by_asset, turns, judged_us

        return undo

    def take(self, progress: BacklogProgress) -> None:
        """Note that the progress is stored, or will be."""
        self._by_asset |= progress.moved
        for asset in progress.done:
            del self._by_asset[asset]
        if progress.judged_us is not None:
            self._judged_us, self._turn = progress.judged_us, self._turn + 1
            for one in (*progress.moved.values(), *progress.done.values()):
                self._turns[one.org_id] = self._turns[one.asset_id] = self._turn
        if not self._by_asset:
            self._turns.clear()

    def _last_turn(self, backlog: Backlog) -> tuple[int, int]:
        """Return the last turn of the organization, and of the asset."""
        return self._turns.get(backlog.org_id, 0), self._turns.get(backlog.asset_id, 0)
