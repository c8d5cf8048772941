"""Map pictures of a server elsewhere, where the installation names one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from tests.api.live.positions import made, put
from tests.api.resources.quoting import png
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages


class TileServer:
    """Answers with one picture, or a style, and counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.url = self.style_url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        headers = {"Access-Control-Allow-Origin": "*"}
        if self.status != 200:
            return web.Response(status=self.status, headers=headers)
        if request.path.endswith(".json"):
            return web.json_response(self._style(), headers=headers)
        if request.path.endswith(".mvt"):  # a tile without layers
            return web.Response(content_type="application/x-protobuf", headers=headers)
        return web.Response(body=png(256, 256), content_type="image/png", headers=headers)

    def _style(self) -> dict[str, Any]:
        """Return a style with names that our own layers have, and glyphs that are nowhere."""
        source = {"type": "raster", "tiles": [self.url], "attribution": "Streets of the style"}
        name = {"text-field": ["get", "name"], "text-font": ["Nowhere Regular"]}
        places = {"type": "FeatureCollection", "features": []}
        roads = {"type": "vector", "tiles": [self.url.replace(".png", ".mvt")]}
        return {
            "version": 8,
            "glyphs": f"{self.style_url}/{{fontstack}}/{{range}}.pbf",
            "sources": {
                "land": source,
                "cities": {"type": "geojson", "data": places},
                "roads": roads,
            },
            "layers": [
                {"id": "zones", "type": "raster", "source": "land"},
                {"id": "cities", "type": "symbol", "source": "cities", "layout": name},
                {"id": "roads", "type": "line", "source": "roads", "source-layer": "roads"},
            ],
        }


@pytest_asyncio.fixture(loop_scope="session")
async def tiles() -> AsyncIterator[TileServer]:
    """A server of pictures."""
    server, app = TileServer(), web.Application()
    app.router.add_get("/{z}/{x}/{y}.png", server.answer)
    app.router.add_get("/{z}/{x}/{y}.mvt", server.answer)
    app.router.add_get("/style.json", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/{{z}}/{{x}}/{{y}}.png"
    server.style_url = f"http://{host}:{port}/style.json"
    yield server
    await runner.cleanup()


async def test_pictures_are_above_the_land_and_their_loss_is_said(
    pages: Pages,
    api: RunningApi,
    org: Organization,
    tiles: TileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages.expected.append("500 (Internal Server Error)")
    monkeypatch.setitem(api.settings.__dict__, "map_tiles", tiles.url)
    monkeypatch.setitem(api.settings.__dict__, "map_attribution", "Streets of ours")
    put(api, org, await made(org, "Truck 1"), 47.0, 8.0)
    page = await pages.sign_in(org, "viewer@example.com")
    await page.locator(".map[data-state=drawn]").wait_for()
    assert tiles.asked
    await expect(page.locator(".maplibregl-ctrl-attrib")).to_contain_text("Streets of ours")
    await expect(page.locator(".map-notice")).to_have_count(0)
    tiles.status = 500
    await page.reload()
    await expect(page.get_by_text("The street map cannot be reached")).to_be_visible()
    await expect(page.get_by_role("button", name="Truck 1")).to_be_visible()


async def test_a_style_lies_above_the_land_and_its_loss_is_said(
    pages: Pages,
    api: RunningApi,
    org: Organization,
    tiles: TileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages.expected.append("500 (Internal Server Error)")
    monkeypatch.setitem(api.settings.__dict__, "map_tiles", tiles.style_url)
    put(api, org, await made(org, "Truck 1"), 47.0, 8.0)
    page = await pages.sign_in(org, "viewer@example.com")
    await page.locator(".map[data-state=drawn]").wait_for()
    attribution = page.locator(".maplibregl-ctrl-attrib")
    await expect(attribution).to_contain_text("Streets of the style")
    assert any(path.endswith(".png") for path in tiles.asked)
    assert any(path.endswith(".mvt") for path in tiles.asked)  # by the worker, under its own policy
    assert not any(".pbf" in path for path in tiles.asked)
    await expect(page.locator(".map-notice")).to_have_count(0)
    tiles.status = 500
    await page.reload()
    await expect(page.get_by_text("The street map cannot be reached")).to_be_visible()
    await expect(page.get_by_role("button", name="Truck 1")).to_be_visible()


async def test_without_a_server_nothing_is_fetched_elsewhere(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    asked: list[str] = []
    pages.context.on("request", lambda request: asked.append(request.url))
    page = await pages.sign_in(org, "viewer@example.com")
    await page.locator(".map[data-state=drawn]").wait_for()
    attribution = page.locator(".maplibregl-ctrl-attrib")
    await expect(attribution).to_contain_text("Natural Earth | GeoNames (CC BY 4.0)")
    assert len(asked) > 10
    assert all(url.startswith((api.url, "blob:", "data:")) for url in asked)


async def test_larger_cities_are_named(pages: Pages, org: Organization) -> None:
    page = await pages.sign_in(org, "viewer@example.com")
    box = await page.locator("canvas.maplibregl-canvas").bounding_box()
    assert box is not None
    centre = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    async def picture(east: float, south: float) -> bytes:
        """Return 40 pixels around a place, as far from the centre of the map."""
        x, y = centre[0] + east, centre[1] + south
        return await page.screenshot(clip={"x": x - 20, "y": y - 5, "width": 40, "height": 10})

    async with asyncio.timeout(20):
        # Paris, and the same land south of it: a map without positions begins at 8.5, 47, zoom 4.
        while await picture(-140, -63) == await picture(-140, -20):
            await page.wait_for_timeout(200)
