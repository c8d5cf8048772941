"""Zones that are drawn, by mouse and by numbers, changed and deleted."""

from typing import Any

from playwright.async_api import Page, expect

from tests.api.running import Organization
from tests.dashboard.pages import Pages

CIRCLE: dict[str, Any] = {
    "name": "Quarry",
    "geometry": {"type": "Point", "coordinates": [8.0, 47.0]},
    "radius_m": 100,
}


async def _stored(org: Organization) -> list[dict[str, Any]]:
    return (await org.admin.get("/v1/zones")).json["data"]


async def _click(page: Page, x: float, y: float) -> None:
    """Send a click to the map, at a part of its width and height."""
    box = await page.locator(".map canvas").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    await page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"], delay=20)


async def test_an_area_is_drawn_by_mouse(pages: Pages, org: Organization) -> None:
    assert (await org.admin.post("/v1/zones", CIRCLE)).status == 201
    page = await pages.sign_in(org, "dispatcher@example.com", "zones")
    await expect(page.get_by_role("button", name="Quarry")).to_be_visible()
    await page.wait_for_load_state("networkidle")
    await page.get_by_role("button", name="Area").click()
    await expect(page.get_by_role("button", name="Save")).to_be_disabled()
    for corner in ((0.3, 0.3), (0.6, 0.3), (0.6, 0.6), (0.3, 0.6), (0.3, 0.6)):
        await _click(page, *corner)
    await page.get_by_label("Name").fill("Yard")
    await page.get_by_label("Kind").select_option("yard")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Yard")).to_be_visible()
    made = next(zone for zone in await _stored(org) if zone["name"] == "Yard")
    (ring,) = made["geometry"]["coordinates"]
    assert (made["kind"], made["geometry"]["type"], len(ring)) == ("yard", "Polygon", 5)


async def test_a_circle_is_given_by_numbers_changed_and_deleted(
    pages: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "zones")
    await expect(page.get_by_text("There are no zones yet")).to_be_visible()
    await page.get_by_role("button", name="Circle").click()
    await page.get_by_label("Latitude").fill("47.05")
    await page.get_by_label("Longitude").fill("8.31")
    await page.get_by_label("Radius").fill("250")
    await page.get_by_label("Name").fill("<i>Depot</i>")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="<i>Depot</i>")).to_be_visible()
    (zone,) = await _stored(org)
    assert (zone["geometry"]["coordinates"], zone["radius_m"]) == ([8.31, 47.05], 250)
    await page.get_by_role("button", name="Change").click()
    await page.get_by_label("Radius").fill("300")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("button", name="Change")).to_be_visible()
    (zone,) = await _stored(org)
    assert (zone["radius_m"], zone["version"]) == (300, 2)
    await page.get_by_role("button", name="All zones").click()
    row = page.get_by_role("list", name="Zones").get_by_role("button", name="<i>Depot</i>")
    await row.click()
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("There are no zones yet")).to_be_visible()
    assert await _stored(org) == []


async def test_a_change_of_somebody_else_is_not_written_over(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("412 (Precondition Failed)")
    zone = (await org.admin.post("/v1/zones", CIRCLE)).json
    page = await pages.sign_in(org, "dispatcher@example.com", f"zones?zone={zone['id']}")
    await page.get_by_role("button", name="Change").click()
    await page.get_by_label("Radius").fill("300")
    changed = await org.admin.patch(f"/v1/zones/{zone['id']}", {"name": "Pit"})
    assert changed.status == 200
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text("Somebody else has changed this")
    (stored,) = await _stored(org)
    assert (stored["name"], stored["radius_m"]) == ("Pit", 100)


async def test_what_is_wrong_with_a_shape_is_said(pages: Pages, org: Organization) -> None:
    pages.expected.append("422")
    page = await pages.sign_in(org, "dispatcher@example.com", "zones")
    await page.get_by_role("button", name="Circle").click()
    await page.get_by_label("Latitude").fill("97")
    await page.get_by_label("Longitude").fill("8")
    await page.get_by_label("Name").fill("Nowhere")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text("latitude")
    await expect(page.get_by_label("Name")).to_have_value("Nowhere")


async def test_a_viewer_only_looks(pages: Pages, org: Organization) -> None:
    assert (await org.admin.post("/v1/zones", CIRCLE)).status == 201
    page = await pages.sign_in(org, "viewer@example.com", "zones")
    await expect(page.get_by_role("button", name="Quarry")).to_be_visible()
    await expect(page.get_by_role("button", name="Area")).to_have_count(0)
    await expect(page.get_by_role("link", name="Import zones")).to_have_count(0)
    await page.get_by_role("button", name="Quarry").click()
    await expect(page.get_by_role("heading", name="Quarry")).to_be_visible()
    for name in ("Change", "Delete"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
