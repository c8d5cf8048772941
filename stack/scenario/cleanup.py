"""The deletion of what a simulated run made in a system: trackers, assets, zones, webhook
endpoints.

What was stored meanwhile (fixes, visits, events) stays where only the API is at hand.
"""

import asyncio
from typing import Any

from stack.scenario.api_client import ApiClient, ApiError

_AT_A_TIME = 8
_GONE = 404
_PLACES = ("/v1/trackers", "/v1/assets", "/v1/zones", "/v1/webhook-endpoints")
"""In the order in which things are taken away: a tracker before the asset that carries it."""

Json = dict[str, Any]


class NotingClient(ApiClient):
    """A client that notes what it makes: `made`, by place, the ids in order of making.

    A request that is broken off is carried out all the same, since the system may have got it.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.made: dict[str, list[str]] = {place: [] for place in _PLACES}
        self._making: set[asyncio.Task[Json]] = set()

    async def post(self, path: str, body: Json) -> Json:
        if path not in self.made:
            return await super().post(path, body)
        making = asyncio.create_task(super().post(path, body))
        self._making.add(making)

        def note(done: asyncio.Task[Json]) -> None:
            self._making.discard(done)
            if not done.cancelled() and done.exception() is None:
                self.made[path].append(done.result()["id"])

        making.add_done_callback(note)
        return await asyncio.shield(making)

    async def settle(self) -> None:
        """Return when all that was asked for has been made or refused."""
        if self._making:
            await asyncio.wait(self._making)


async def clean_up(client: NotingClient) -> list[str]:
    """Remove all that the client made. Returns what could not be, in words."""
    await client.settle()
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def remove(place: str, thing: str) -> str | None:
        async with turns:
            try:
                await (_revoke if place == "/v1/trackers" else _delete)(client, f"{place}/{thing}")
            except ApiError as error:
                return None if error.status == _GONE else str(error)
        return None

    troubles: list[str | None] = []
    for place, things in client.made.items():
        troubles += await asyncio.gather(*(remove(place, thing) for thing in things))
    return [trouble for trouble in troubles if trouble]


async def _revoke(client: ApiClient, path: str) -> None:
    """Revoke a tracker, which cannot be deleted, since its history stays; its external id is free
    afterwards.
    """
    await client.patch(path, {"external_id": None, "asset_id": None})
    await client.post(f"{path}/revoke", {})


async def _delete(client: ApiClient, path: str) -> None:
    await client.delete(path)
