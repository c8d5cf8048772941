"""Zones that bear on some devices only: the filters of the index, as the devices are met."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geofence.zones.index import ZoneIndex
from geofence.zones.versions import FILTER_DTYPE, MAX_TIME_US, MIN_TIME_US


class DeviceFilters:
    """chosen: by number of the filter, the devices it lets through. ids: devices by tracker; grows.

    A device is known to the evaluator by its tracker, which it has once the trace has named it.
    """

    def __init__(self, chosen: Sequence[frozenset[str]], ids: Sequence[str]) -> None:
        self._count = len(chosen)
        self._ids = ids
        self._met = 0
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._filters: dict[str, list[int]] = {}
        for number, devices in enumerate(chosen):
            for device in devices:
                self._filters.setdefault(device, []).append(number)

    def applied(self, index: ZoneIndex) -> ZoneIndex:
        """Return the index with the filters of all devices met so far; itself where it has them."""
        if not self._filters:
            return index
        before = len(self._rows)
        for tracker in range(self._met, len(self._ids)):
            for number in self._filters.get(self._ids[tracker], ()):
                self._rows.append((number, 0, tracker, MIN_TIME_US, MAX_TIME_US))
        self._met = len(self._ids)
        if len(self._rows) == before:
            return index
        return index.with_filters(np.array(self._rows, FILTER_DTYPE))

    def of_nobody(self) -> list[int]:
        """Return the filters that let through none of the devices that were met."""
        return sorted(set(range(self._count)) - {number for number, *_ in self._rows})
