"""Machines and their trackers, from the first one on."""

import re

from playwright.async_api import expect

from tests.api.live.positions import put
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages


async def test_a_new_organization_comes_to_its_first_position(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    await expect(page.get_by_text("There are no trackers yet")).to_be_visible()
    await page.get_by_label("Name of the machine").fill("Excavator 1")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Waiting for the first position")).to_be_visible()
    (tracker,) = (await org.admin.get("/v1/trackers")).json["data"]
    await expect(page.get_by_text(f"trackers/{tracker['id']}/fixes").first).to_be_visible()
    code = page.get_by_role("img", name="QR code that sets up the app OwnTracks")
    await expect(code).to_be_visible()
    link = page.get_by_role("link", name="Set up OwnTracks on this phone")
    await expect(link).to_have_attribute("href", re.compile(r"^owntracks:///config\?inline=\w+"))
    put(api, org, tracker["asset_id"], 47.0, 8.0)
    await expect(page.get_by_text("The first position has come")).to_be_visible()
    row = page.get_by_role("row", name="Excavator 1")
    first = await page.locator("code.secret").inner_text()
    drawn = await code.locator("path").get_attribute("d")
    await row.get_by_role("button", name="Set up again").click()
    await expect(page.locator("code.secret")).not_to_have_text(first)
    assert await code.locator("path").get_attribute("d") != drawn
    await row.get_by_role("button", name="Revoke").click()
    await expect(row).to_contain_text("Revoked")


async def test_a_machine_is_added_with_its_id_at_a_gateway(pages: Pages, org: Organization) -> None:
    pages.expected.append("409 (Conflict)")
    taken = {"name": "Another", "external_id": "356307042441013"}
    assert (await org.admin.post("/v1/trackers", taken)).status == 201
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    name, external_id = page.get_by_label("Name of the machine"), page.get_by_label("external_id")
    await name.fill("Excavator 1")
    await external_id.fill("356307042441013")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Something else has this external id")).to_be_visible()
    await external_id.fill(" 356307042441014 ")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("If a gateway forwards for this device")).to_be_visible()
    await expect(page.get_by_role("row", name="Excavator 1")).to_contain_text("356307042441014")
    stored = (await org.admin.get("/v1/trackers")).json["data"]
    assert {each["external_id"] for each in stored} == {"356307042441013", "356307042441014"}
    assert len((await org.admin.get("/v1/assets")).json["data"]) == 1
    await expect(external_id).to_have_value("")


async def test_a_machine_is_added_with_the_imei_of_its_box(pages: Pages, org: Organization) -> None:
    pages.expected.append("409 (Conflict)")
    taken = {"name": "Another", "imei": "356307042441013"}
    assert (await org.admin.post("/v1/trackers", taken)).status == 201
    page = await pages.sign_in(org, "dispatcher@example.com", "trackers")
    name, imei = page.get_by_label("Name of the machine"), page.get_by_label("IMEI of a box")
    await name.fill("Excavator 1")
    await imei.fill("356307042441013")
    await page.get_by_role("button", name="Add the machine").click()
    await expect(page.get_by_text("Another tracker has this IMEI")).to_be_visible()
    await imei.fill("490154203237518")
    await page.get_by_role("button", name="Add the machine").click()
    row = page.get_by_role("row", name="Excavator 1")
    await expect(row).to_contain_text("IMEI 490154203237518")


async def test_a_viewer_only_looks(pages: Pages, api: RunningApi, org: Organization) -> None:
    await org.admin.post("/v1/trackers", {"name": "T-1"})
    page = await pages.sign_in(org, "viewer@example.com", "trackers")
    await expect(page.get_by_role("row", name="T-1")).to_contain_text("Nothing was heard of it")
    await expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    await expect(page.get_by_label("Name of the machine")).to_have_count(0)
