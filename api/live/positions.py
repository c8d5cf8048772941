"""The newest position of each asset, for viewers of a map.

This is the interface that `api.live.connection` calls. Nothing is behind it yet.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol
from uuid import UUID


class WantedPositions(NamedTuple):
    """The assets whose positions are wanted; None: whichever. bbox: west, south, east, north."""

    asset_ids: frozenset[UUID] | None
    bbox: tuple[float, float, float, float] | None
    client_id: UUID | None


class PositionSubscription(Protocol):
    """One viewer's positions."""

    def take(self) -> list[bytes]:
        """Return the newest position of each asset that has a new one, as JSON objects."""
        ...

    def close(self) -> None:
        """Take no more."""
        ...


class PositionFeed(Protocol):
    """The positions of all organizations with viewers."""

    async def subscribe(
        self, org_id: UUID, wanted: WantedPositions, on_ready: Callable[[], None]
    ) -> PositionSubscription:
        """Return a subscription. `on_ready` is called when `take` would return something."""
        ...
