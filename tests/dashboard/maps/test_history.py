"""The way of an asset, played by time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page, expect

from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_fixes, store_visit
from tests.dashboard.pages import Pages


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


async def test_a_way_is_shown_and_played(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    pages.expected.append("404 (Not Found)")
    truck, theirs = await carried(org, "Truck 7"), await carried(south, "Theirs")
    times = [minute(0) + timedelta(seconds=10 * number) for number in range(31)]
    for number, time in enumerate(times):
        store_fixes(api, org, truck.tracker_id, [time], lon=13.4 + number / 1000, speed_mps=10.0)
    store_fixes(api, south, theirs.tracker_id, times)
    page = await pages.sign_in(org, "viewer@example.com")
    span = f"from={_ms(minute(-60))}&to={_ms(minute(60))}"
    await page.goto(f"{pages.url}/app/history?asset={truck.asset_id}&{span}")
    instant = page.get_by_role("slider", name="Moment")
    await expect(instant).to_have_attribute("min", str(_ms(times[0])))
    await expect(instant).to_have_attribute("max", str(_ms(times[-1])))
    await expect(page.get_by_role("img", name="36 km/h")).to_be_visible()
    await page.get_by_label("Pace").select_option("600")
    await page.get_by_role("button", name="Play").click()
    await expect(instant).to_have_js_property("value", str(_ms(times[-1])))
    await expect(page.get_by_role("button", name="Play")).to_be_visible()  # it stopped by itself
    await page.goto(f"{pages.url}/app/history?asset={theirs.asset_id}&{span}")
    await expect(page.get_by_role("alert")).to_contain_text("There is no such thing")
    await page.goto(f"{pages.url}/app/history?asset={truck.asset_id}&from=0&to=3600000")
    await expect(page.get_by_text("There are no positions of this time")).to_be_visible()


async def test_trips_and_stops_are_told_in_a_line_each(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    truck = await carried(org, "Truck 7")
    for number in range(41):
        km = min(max(number - 10, 0), 20)
        lon = 13.4 + km / 67.8
        store_fixes(api, org, truck.tracker_id, [minute(number)], lon=lon, speed_mps=17.0)
    made = await org.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})
    store_visit(api, org, truck, made.json["id"], minute(0), minute(11))
    page = await pages.sign_in(org, "viewer@example.com")
    span = f"from={_ms(minute(-60))}&to={_ms(minute(60))}"
    await page.goto(f"{pages.url}/app/history?asset={truck.asset_id}&{span}")
    day = page.get_by_role("list", name="Trips and stops").get_by_role("listitem")
    await expect(day).to_have_count(3)
    await expect(day.nth(0)).to_contain_text("Stop: Yard")
    await expect(day.nth(1)).to_contain_text("Trip from Yard")
    await expect(day.nth(1)).to_contain_text("20.0 km · 20 min · up to 61 km/h")
    await expect(day.nth(2)).to_contain_text("goes on")
    await expect(page.get_by_text("1 trip, 20.0 km")).to_be_visible()
    await day.nth(1).get_by_role("button").click()
    instant = page.get_by_role("slider", name="Moment")
    await expect(instant).to_have_js_property("value", str(_ms(minute(10))))


async def test_a_way_is_saved_as_a_file(pages: Pages, api: RunningApi, org: Organization) -> None:
    truck = await carried(org, "Truck 7")
    store_fixes(api, org, truck.tracker_id, [minute(0), minute(1)])
    page = await pages.sign_in(org, "viewer@example.com")
    span = f"from={_ms(minute(-60))}&to={_ms(minute(60))}"
    await page.goto(f"{pages.url}/app/history?asset={truck.asset_id}&{span}")
    for format_, extension, begin in (
        ("CSV", "csv", "id,tracker_id,"),
        ("GeoJSON", "geojson", '{"type":"FeatureCollection"'),
        ("GPX", "gpx", "<?xml"),
    ):
        async with page.expect_download() as download:
            await page.get_by_role("button", name=format_).click()
        file = await download.value
        assert file.suggested_filename == f"{truck.asset_id}-2026-03-01.{extension}"
        assert (await file.path()).read_text().startswith(begin)


async def test_a_day_is_the_most_that_is_read(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    truck = await carried(org, "Truck 7")
    store_fixes(api, org, truck.tracker_id, [minute(-60 * 30), minute(-60 * 3), minute(0)])
    page = await pages.sign_in(org, "viewer@example.com")
    span = f"from={_ms(minute(-60 * 48))}&to={_ms(minute(1))}"
    await page.goto(f"{pages.url}/app/history?asset={truck.asset_id}&{span}")
    instant = page.get_by_role("slider", name="Moment")
    await expect(instant).to_have_attribute("min", str(_ms(minute(-60 * 3))))


async def test_several_machines_are_played_on_one_clock(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    first, second = await carried(org, "Truck 1"), await carried(org, "Truck 2")
    store_fixes(api, org, first.tracker_id, [minute(0), minute(4)])
    store_fixes(api, org, second.tracker_id, [minute(-10), minute(2)])
    page = await pages.sign_in(org, "viewer@example.com")
    span = f"from={_ms(minute(-60))}&to={_ms(minute(60))}"
    at = f"at={_ms(minute(3))}"
    await page.goto(f"{pages.url}/app/history?asset={first.asset_id}&{span}&{at}")
    instant = page.get_by_role("slider", name="Moment")
    await expect(instant).to_have_js_property("value", str(_ms(minute(3))))
    await page.get_by_label("Beside it").select_option(label="Truck 2")
    await expect(instant).to_have_attribute("min", str(_ms(minute(-10))))
    await expect(instant).to_have_attribute("max", str(_ms(minute(4))))
    assert second.asset_id in page.url
    await page.reload()
    await expect(instant).to_have_attribute("min", str(_ms(minute(-10))))
    await page.get_by_role("button", name="Take away").click()
    await expect(instant).to_have_attribute("min", str(_ms(minute(0))))


_WEST, _EAST, _LAT = 13.4, 13.43, 52.5  # of the way, which a map fits with 60 pixels beside it
_PADDING = 60


async def _pixel(page: Page, lon: float) -> bytes:
    """Return the map's colour a little north of the way."""
    box = await page.locator("canvas.maplibregl-canvas").bounding_box()
    assert box is not None
    x = _PADDING + (box["width"] - 2 * _PADDING) * (lon - _WEST) / (_EAST - _WEST)
    y = box["y"] + box["height"] / 2 - 40
    return await page.screenshot(clip={"x": box["x"] + x, "y": y, "width": 1, "height": 1})


async def _zone(org: Organization, name: str, lon: float, since: datetime | None) -> str:
    corners = [[lon, _LAT - 0.1], [lon + 0.004, _LAT - 0.1]]
    ring = [*corners, [lon + 0.004, _LAT + 0.1], [lon, _LAT + 0.1], corners[0]]
    body: dict[str, Any] = {"name": name, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    if since is not None:
        body["valid_from"] = since.isoformat()
    made = await org.admin.post("/v1/zones", body)
    assert made.status == 201, made.content
    return made.json["id"]


async def test_zones_are_shown_as_they_were(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    truck = await carried(org, "Truck 7")
    for number in range(7):
        lon = _WEST + number * (_EAST - _WEST) / 6
        store_fixes(api, org, truck.tracker_id, [minute(number)], lat=_LAT, lon=lon)
    before, middle = minute(-60), minute(3)
    moved = await _zone(org, "Moved", 13.402, before)
    deleted = await _zone(org, "Deleted", 13.408, before)
    await _zone(org, "Same", 13.424, before)
    await _zone(org, "Later", 13.414, middle)
    await _zone(org, "Not yet", 13.419, None)
    await _zone(south, "Theirs", 13.419, before)
    assert (await org.admin.delete(f"/v1/zones/{deleted}")).status == 204
    far = {"type": "Point", "coordinates": [0.0, 0.0]}
    changed = await org.admin.patch(f"/v1/zones/{moved}", {"geometry": far, "radius_m": 100})
    assert changed.status == 200
    page = await pages.sign_in(org, "viewer@example.com")
    span = f"from={_ms(minute(-60))}&to={_ms(minute(60))}"
    await page.goto(f"{pages.url}/app/history?asset={truck.asset_id}&{span}")
    instant = page.get_by_role("slider", name="Moment")
    await expect(instant).to_have_js_property("value", str(_ms(minute(0))))
    note = page.locator(".note", has_text="as they were at this moment")
    await expect(note.get_by_role("listitem")).to_have_text(
        ["Deleted is deleted", "Moved has changed: Shape"]
    )
    await page.locator(".map[data-state=drawn]").wait_for()
    nothing = await _pixel(page, 13.4225)
    async with asyncio.timeout(20):
        while await _pixel(page, 13.404) == nothing:  # the land is drawn, and then the zones
            nothing = await _pixel(page, 13.4225)
    assert await _pixel(page, 13.410) != nothing
    assert await _pixel(page, 13.426) != nothing
    assert await _pixel(page, 13.416) == nothing  # the clock is before it
    assert await _pixel(page, 13.421) == nothing  # neither there then, nor another's
    await instant.press("End")
    async with asyncio.timeout(20):
        while await _pixel(page, 13.416) == nothing:
            await page.wait_for_timeout(100)
    assert await _pixel(page, 13.421) == nothing
    await page.goto(
        f"{pages.url}/app/history?from={_ms(datetime.now(UTC))}"
        f"&to={_ms(datetime.now(UTC) + timedelta(hours=1))}"
    )
    await expect(page.get_by_role("heading", name="History")).to_be_visible()
    await page.locator(".map[data-state=drawn]").wait_for()
    await expect(note).to_have_count(0)
