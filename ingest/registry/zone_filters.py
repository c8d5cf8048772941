"""The assets that zones' choices let through, and when: ids for ever, tags while they last."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from db.ingest.registry import AssetFilter
from geofence.zones.versions import FILTER_DTYPE, MAX_TIME_US, MIN_TIME_US
from ingest.id_index import IdIndex


class Filters:
    """A number for each choice of an organization.

    changed: whether `rows` says something else than when it was last asked.
    """

    def __init__(self, assets: IdIndex) -> None:
        self.changed = False
        self._assets = assets
        self._number: dict[tuple[int, AssetFilter], int] = {}
        # (organization, tag) -> (asset, from_us) -> to_us
        self._tagged: dict[tuple[int, str], dict[tuple[int, int], int]] = defaultdict(dict)

    def number(self, organization: int, choice: AssetFilter) -> int:
        """Return the number of the choice, the next free one where it has none yet."""
        key = (organization, choice)
        if key not in self._number:
            self._number[key] = len(self._number)
            self.changed = True
        return self._number[key]

    def put_tags(
        self, organization: int, asset: int, tags: list[str], from_us: int, to_us: int
    ) -> None:
        """Put tags on the asset in [from_us, to_us); again with another end where they ended."""
        for tag in tags:
            self._tagged[organization, tag][asset, from_us] = to_us
        self.changed |= bool(tags and self._number)

    def rows(self) -> NDArray[np.void]:
        """Return FILTER_DTYPE, of all choices."""
        self.changed = False
        return np.array(list(self._rows()), FILTER_DTYPE)

    def _rows(self) -> Iterator[tuple[int, int, int, int, int]]:
        for (organization, choice), number in self._number.items():
            for asset_id in choice.ids:
                asset = self._assets.number(asset_id)
                yield number, organization, asset, MIN_TIME_US, MAX_TIME_US
            for tag in choice.tags:
                spans = self._tagged.get((organization, tag), {})
                for (asset, from_us), to_us in spans.items():
                    yield number, organization, asset, from_us, to_us
