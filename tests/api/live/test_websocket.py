"""`/v1/ws`, with a client of the package `websockets`."""

from tests.api.live.reading import emit, subscribed
from tests.api.running import Organization, RunningApi


async def test_events_come_as_they_happen(api: RunningApi, north: Organization) -> None:
    async with subscribed(api.url, north.viewer) as reader:
        seqs = emit(api, north, 3, zone_name="Hof ä")
        first = await reader.next()
        shown = await north.viewer.get(f"/v1/events/{first['event']['id']}")
        assert first == {"op": "event", "event": shown.json}
        assert [first["event"]["seq"], *await reader.seqs(2)] == seqs


async def test_a_reader_goes_on_behind_its_last_seq(api: RunningApi, north: Organization) -> None:
    seqs = emit(api, north, 700)
    async with subscribed(api.url, north.viewer, after=seqs[0] - 1) as reader:
        more = emit(api, north, 5)
        assert await reader.seqs(705) == seqs + more
