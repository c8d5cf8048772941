"""The part of an organization that belongs to a run, where others work in the organization too.

Such an organization may have fixes, events and visits from before the run, and gets others beside
it. The run's own are recognized by its trackers, and by pairs of its assets and its zones.
"""

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec
import numpy as np

from geofence.model.rules import MAX_ACCURACY_M, MAX_SPEED_MPS, Gates, Rules
from stack.scenario.api_client import ApiClient
from stack.verify.readback import read_events, read_quarantine, read_visits
from stack.verify.results import Quarantined, StoredVisit
from stack.verify.run_history import RunHistory

_TRACKERS_AT_A_TIME = 4
_SECOND_US = 1_000_000
_CLOCKS_DIFFER_US = 3_600 * _SECOND_US  # at most, ours from the system's

Json = dict[str, Any]


async def newest_seq(client: ApiClient) -> int:
    """Return the number of the organization's newest event, 0 without any."""
    newest = (await client.get("/v1/events", {"limit": 1}))["data"]
    return newest[0]["seq"] if newest else 0


async def read_settings(client: ApiClient) -> tuple[dict[str, Any], Gates]:
    """Return the rules that the organization sets for its zones, and which fixes of
    ours take part.
    """
    organization = await client.get("/v1/organization")
    given = {field.name: organization.get(field.name) for field in fields(Rules)}
    speed_mps = organization["max_speed_mps"]["other"] or MAX_SPEED_MPS  # as `register` makes them
    gates = Gates(np.empty(0), speed_mps, organization["max_accuracy_m"] or MAX_ACCURACY_M)
    return {name: value for name, value in given.items() if value is not None}, gates


@dataclass(slots=True)
class SharedOrganization:
    """The run's part of it. after_seq: of the newest event before the run."""

    history: RunHistory
    after_seq: int
    began_us: int
    _event_ids: set[str] = field(default_factory=set[str])
    _read_to: int = 0
    _assets: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._assets = frozenset(self.history.asset_ids)

    def is_ours(self, event: Json) -> bool:
        """Return whether one of our assets and one of our zones made it."""
        data = event["data"]
        is_asset = data.get("asset_id") in self._assets
        return is_asset and data.get("zone_id") in self.history.zone_ids

    async def count_fixes(self, client: ApiClient) -> int:
        """Count the stored fixes of the run's trackers."""
        turns = asyncio.Semaphore(_TRACKERS_AT_A_TIME)

        async def of_tracker(tracker_id: str) -> int:
            async with turns:
                return await client.total("/v1/gps-events", {"tracker_id": tracker_id})

        return sum(await asyncio.gather(*map(of_tracker, self.history.tracker_ids)))

    async def event_ids(self, client: ApiClient) -> Set[str]:
        """Give the ids of our events; what was read before is not read again."""
        after = max(self._read_to, self.after_seq)
        for text in await read_events(client, after):
            event = msgspec.json.decode(text)
            self._read_to = event["seq"]
            if self.is_ours(event):
                self._event_ids.add(event["id"])
        return self._event_ids

    async def read_visits(self, client: ApiClient) -> list[StoredVisit]:
        """Read the visits of our assets in our zones."""
        of_zones = [await read_visits(client, zone_id) for zone_id in self.history.zone_ids]
        return [visit for visits in of_zones for visit in visits if visit.asset_id in self._assets]

    async def read_quarantine(self, client: ApiClient) -> Sequence[Quarantined]:
        """Read the quarantine of the run's trackers."""
        ours = set(self.history.tracker_ids)
        rows = await read_quarantine(client, self.began_us - _CLOCKS_DIFFER_US)
        return [row for row in rows if row.tracker_id in ours]
