"""The live map and its list."""

import asyncio

from playwright.async_api import expect

from tests.api.live.positions import made, put
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages


async def test_positions_come_by_themselves(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    truck, theirs = await made(org, "Truck 7"), await made(south, "Theirs")
    put(api, org, truck, 47.0, 8.0)
    put(api, south, theirs, 47.0, 8.0)
    page = await pages.sign_in(org, "viewer@example.com")
    row = page.get_by_role("button", name="Truck 7")
    await expect(row).to_contain_text("Standing")
    await expect(page.get_by_text("Theirs")).to_have_count(0)
    await expect(page.locator("canvas")).to_be_visible()
    crane = await made(org, "Crane <b>2</b>")
    put(api, org, crane, 47.1, 8.1)
    await expect(page.get_by_role("button", name="Crane <b>2</b>")).to_be_visible()


async def test_assets_without_a_position_are_listed(pages: Pages, org: Organization) -> None:
    await made(org, "In the yard")
    page = await pages.sign_in(org, "viewer@example.com")
    row = page.get_by_role("button", name="In the yard")
    await expect(row).to_contain_text("No position")


async def test_the_list_is_filtered_and_the_address_keeps_it(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    for number in range(3):
        put(api, org, await made(org, f"Truck {number}"), 47.0, 8.0)
    page = await pages.sign_in(org, org.email)
    rows = page.get_by_role("list", name="Assets").get_by_role("button")
    await expect(rows).to_have_count(3)
    await page.get_by_role("searchbox").fill("truck 2")
    await expect(rows).to_have_count(1)
    await rows.first.click()
    await expect(rows.first).to_have_attribute("aria-pressed", "true")
    await page.reload()
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("searchbox").fill("no such thing")
    await expect(page.get_by_text("No asset fits")).to_be_visible()


async def test_without_webgl_the_list_is_there(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    put(api, org, await made(org, "Truck 7"), 47.0, 8.0)
    await pages.context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page = await pages.sign_in(org, org.email)
    await expect(page.get_by_text("WebGL is missing")).to_be_visible()
    await expect(page.get_by_role("button", name="Truck 7")).to_be_visible()
    pages.problems.clear()  # the map's own, of having no canvas


async def test_marks_move_with_their_assets(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    pixel = 360 / (512 * 2**15)  # a degree of the equator, as close as a map of one asset begins
    truck = await made(org, "Truck 7")
    put(api, org, truck, 0.0, 8.0)
    page = await pages.sign_in(org, "viewer@example.com")
    await page.locator(".map[data-state=drawn]").wait_for()
    row = page.get_by_role("button", name="Truck 7")
    canvas = page.locator("canvas.maplibregl-canvas")
    box = await canvas.bounding_box()
    assert box is not None

    async def click(east: float) -> None:
        x, y = box["x"] + box["width"] / 2 + east, box["y"] + box["height"] / 2
        await page.mouse.click(x, y)

    await click(0)
    await expect(row).to_have_attribute("aria-pressed", "true")
    await click(100)
    await expect(row).to_have_attribute("aria-pressed", "false")
    put(api, org, truck, 0.0, 8.0 + 100 * pixel)
    async with asyncio.timeout(20):
        while await row.get_attribute("aria-pressed") == "false":
            await click(100)
            await asyncio.sleep(0.5)
    await expect(page.locator(".map[data-state=drawn]")).to_be_visible()
    await click(-100)  # the map has followed: its old place
    await expect(row).to_have_attribute("aria-pressed", "false")
