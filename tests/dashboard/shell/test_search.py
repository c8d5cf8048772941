"""The search over everything, by keyboard."""

from playwright.async_api import expect

from tests.api.live.positions import made, put
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages


async def test_a_machine_is_found_by_keyboard(
    pages: Pages, api: RunningApi, org: Organization, south: Organization
) -> None:
    put(api, org, await made(org, "Crane 7"), 47.0, 8.0)
    await made(south, "Crane of others")
    page = await pages.sign_in(org, "viewer@example.com", "breaches")
    await page.keyboard.press("Control+k")
    await page.get_by_role("combobox", name="Search").fill("cra")
    found = page.get_by_role("listbox").get_by_role("option")
    await expect(found).to_have_text(["Crane 7 Machine"])
    await page.keyboard.press("Enter")
    row = page.get_by_role("button", name="Crane 7")
    await expect(row).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_pages_are_found_by_their_names_and_roles(pages: Pages, org: Organization) -> None:
    page = await pages.sign_in(org, "viewer@example.com")
    await page.get_by_role("button", name="Search").click()
    box = page.get_by_role("combobox", name="Search")
    found = page.get_by_role("listbox").get_by_role("option")
    await box.fill("his")
    await expect(found).to_have_text(["History Page"])
    await box.fill("user")  # a page of admins
    await expect(found).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
