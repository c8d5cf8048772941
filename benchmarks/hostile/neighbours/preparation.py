"""Things that are there before an attack: two organizations, and what the attack needs, made
through the API as anybody could.

A `Ground` is what the victim or an attacker knows, as JSON: ports, a token, the ids of its things.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.hostile.neighbours.wire import HOST, Tracker
from stack.cli.organizations.org import create_with_admin
from stack.scenario.api_client import ApiClient
from stack.servers.postgres import free_port
from stack.servers.runtime import StackInfo

TRACKERS = 10
AT_A_TIME = 8
ZONES = 1_000
FIXES = 100_000
FIXES_A_MESSAGE = 500
ENDPOINTS = 1_000
CROSSED_LAT, CROSSED_LON = 10.0, 20.0
PHOTO_PX = (8_000, 8_000)
"""64 megapixels, of which no more are taken."""
PHOTO_BYTES = 25 << 20
Ground = dict[str, Any]
Made = TypeVar("Made")


class Organization:
    """A new organization with its first admin, and what is made in it."""

    def __init__(self, client: ApiClient, ground: Ground, folder: Path) -> None:
        self.client, self.ground, self.folder = client, ground, folder

    async def trackers(self, number: int) -> list[list[str]]:
        """Make assets with a tracker each; returns the trackers' ids and secrets."""

        async def one(place: int) -> list[str]:
            asset = await self.client.post("/v1/assets", {"name": f"asset {place}"})
            body = {"name": f"tracker {place}", "asset_id": asset["id"]}
            tracker = await self.client.post("/v1/trackers", body)
            self.ground["asset_id"] = asset["id"]
            return [tracker["id"], tracker["secret"]]

        return await each(one, range(number))


@asynccontextmanager
async def organization(info: StackInfo, name: str, folder: Path) -> AsyncIterator[Organization]:
    """Provide an organization, as `opsc org create` makes one, whose admin has signed in and made a
    key. Raises StackError.
    """
    owner = info.database["opsc_owner"]
    admin = await create_with_admin(owner, name, f"admin@{name}.example", "unlimited")
    async with ApiClient(info.api_url) as client:
        await client.sign_in(*admin)
        key = await client.post("/v1/api-keys", {"name": "measurement"})
        ground = {
            **admin._asdict(),
            "token": key["secret"],
            "api_port": urlsplit(info.api_url).port,
            "listen_port": urlsplit(info.broker_url).port,
        }
        yield Organization(client, ground, folder)


async def each(make: Callable[[Any], Awaitable[Made]], things: Iterable[Any]) -> list[Made]:
    """Make all, a few at a time; the first error ends it."""
    turns = asyncio.Semaphore(AT_A_TIME)

    async def one(thing: Any) -> Made:
        async with turns:
            return await make(thing)

    return list(await asyncio.gather(*map(one, things)))


async def victim(made: Organization) -> None:
    """Make ten trackers, and an endpoint for the receiver."""
    port = free_port(0)
    made.ground |= {"trackers": await made.trackers(TRACKERS), "receiver_port": port}
    body = {"url": f"http://{HOST}:{port}/hook", "types": ["work_order.created"]}
    await made.client.post("/v1/webhook-endpoints", body)


async def nothing(made: Organization) -> None:
    """Make nothing."""


async def one_asset(made: Organization) -> None:
    """Make an asset, with its tracker."""
    made.ground["trackers"] = await made.trackers(1)


async def zones_and_fixes(made: Organization) -> None:
    """Make 1,000 zones with 60 vertices, and 100,000 fixes of four trackers, some in a zone."""
    trackers = made.ground["trackers"] = await made.trackers(4)
    angles = np.linspace(0, 2 * np.pi, 60)
    circle = np.column_stack((np.cos(angles), np.sin(angles))) * 0.004
    circle[-1] = circle[0]
    zones = [
        {"name": f"a zone {number}", "geometry": _polygon(circle, number * 0.01, 47.0)}
        for number in range(ZONES)
    ]
    answer = await _post_list(made, "/v1/zones/batch", zones)
    made.ground["zone_id"] = answer[0]["id"]
    await asyncio.gather(*(_send_fixes(made, one, FIXES // 4) for one in trackers))


async def many_fixes(made: Organization) -> None:
    """Make 20,000 fixes."""
    made.ground["trackers"] = await made.trackers(1)
    await _send_fixes(made, made.ground["trackers"][0], FIXES // 5)


async def a_zone_of_many_fixes(made: Organization) -> None:
    """Make 200,000 fixes of four trackers within a day, and then a zone around all of them."""
    trackers = made.ground["trackers"] = await made.trackers(4)
    await asyncio.gather(*(_send_fixes(made, one, FIXES // 2) for one in trackers))
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * 0.1
    body = {"name": "zone", "geometry": _polygon(square, 0.0, 47.0)}
    made.ground["zone_id"] = (await made.client.post("/v1/zones", body))["id"]


async def endpoints(made: Organization) -> None:
    """Make 1,000 webhook endpoints: half lead to nobody, half to a receiver that hangs."""
    hanging, nobody = free_port(0), free_port(0)
    made.ground["hanging_port"] = hanging

    async def one(number: int) -> None:
        port = hanging if number % 2 else nobody
        body = {"url": f"http://{HOST}:{port}/{number}", "types": ["*"]}
        await made.client.post("/v1/webhook-endpoints", body)

    await each(one, range(ENDPOINTS))


async def crossed_zones(made: Organization) -> None:
    """Make ten zones over one place, and four trackers."""
    made.ground["trackers"] = await made.trackers(4)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * 0.0009
    geometry = _polygon(square, CROSSED_LON, CROSSED_LAT)
    zones = [
        {"name": f"zone {number}", "geometry": geometry, "valid_from": "2020-01-01T00:00:00Z"}
        for number in range(10)
    ]
    await _post_list(made, "/v1/zones/batch", zones)


async def one_zone(made: Organization) -> None:
    """Make a zone."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * 0.01
    body = {"name": "zone", "geometry": _polygon(square, 8.0, 47.0)}
    made.ground["zone_id"] = (await made.client.post("/v1/zones", body))["id"]


async def one_work_order(made: Organization) -> None:
    """Make a work order."""
    order = await made.client.post("/v1/work-orders", {"title": "x"})
    made.ground["work_order_id"] = order["id"]


async def photo(made: Organization) -> None:
    """Make a JPEG of 64 megapixels, and an asset to put it on."""
    await one_asset(made)
    path = made.folder / "photo.jpg"
    await asyncio.to_thread(_write_photo, path)
    made.ground["photo"] = str(path)


def _write_photo(path: Path) -> None:
    """Write a photo of noise, as large as is taken in pixels, and filled up to the bytes."""
    small = np.random.default_rng(1).integers(0, 256, (500, 500, 3), np.uint8)
    image = Image.fromarray(small).resize(PHOTO_PX, Image.Resampling.NEAREST)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=85)
    data = written.getvalue()
    path.write_bytes(data + bytes(max(0, PHOTO_BYTES - len(data))))


async def longest_papers(made: Organization) -> None:
    """Make a quote of 200 lines, and a timesheet of a month with two shifts a day."""
    client = await made.client.post("/v1/clients", {"name": "client"})
    line = {"description": "excavation " * 90, "quantity_thousandths": 1, "unit_price_cents": 1}
    quote = {
        "client_id": client["id"],
        "title": "quote",
        "lines": [line] * 200,
        "currency": "CHF",
        "valid_until": "2099-01-01",
        "terms": "terms " * 1_600,
        "notes": "notes " * 1_600,
    }
    made_quote = await made.client.post("/v1/quotes", quote)
    employee = await made.client.post("/v1/employees", {"name": "employee"})
    begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    times = [
        begin - timedelta(days=1 + day) + timedelta(hours=6 * at)
        for day in range(27, -1, -1)
        for at in range(4)
    ]

    for number, time in enumerate(times):
        body = {
            "employee_id": employee["id"],
            "kind": "out" if number % 2 else "in",
            "time": time.isoformat(),
            "reason": "entered by hand " * 60,
        }
        await made.client.post("/v1/punches", body)
    sheets = await made.client.get("/v1/timesheets", {"limit": 10})
    papers = [f"/v1/timesheets/{one['id']}" for one in sheets["data"]]
    made.ground["papers"] = [f"/v1/quotes/{made_quote['id']}/pdf", *papers]


async def _send_fixes(made: Organization, tracker: Sequence[str], number: int) -> None:
    """Send old fixes, a second apart, that go through the first zones."""
    name, secret = tracker
    session = await Tracker.open(made.ground["listen_port"], HOST, name, secret)
    begin = datetime.now(UTC) - timedelta(seconds=number + 60)
    try:
        await asyncio.gather(
            *(session.publish(_fixes(begin, first)) for first in range(0, number, FIXES_A_MESSAGE))
        )
    finally:
        session.close()


def _fixes(begin: datetime, first: int) -> bytes:
    """Return a message of fixes, a second apart, the first one this many seconds after begin."""
    fixes = (
        f'{{"time":"{(begin + timedelta(seconds=at)).isoformat()}",'
        f'"lat":47.0,"lon":{at % 5_000 * 1e-5:.5f}}}'
        for at in range(first, first + FIXES_A_MESSAGE)
    )
    return f"[{','.join(fixes)}]".encode()


async def _post_list(made: Organization, path: str, things: Sequence[Ground]) -> list[Ground]:
    """Make a batch, whose body is a list; returns what was made."""
    body: Any = things
    return (await made.client.post(path, body))["data"]


def _polygon(ring: NDArray[np.float64], lon: float, lat: float) -> Ground:
    """Return a ring that was drawn round 0, at a place."""
    return {"type": "Polygon", "coordinates": [np.round(ring + np.array([lon, lat]), 6).tolist()]}
