"""The choices of how times, speeds and lengths are shown."""

from playwright.async_api import expect

from tests.api.running import Organization, RunningApi
from tests.dashboard.breaches import breach
from tests.dashboard.pages import Pages


async def test_times_and_lengths_are_shown_as_chosen(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    await org.admin.patch("/v1/organization", {"timezone": "Asia/Tokyo"})
    breach(api, org, "Truck 1", accuracy_m=100.0)
    page = await pages.sign_in(org, "viewer@example.com", "breaches")
    feed = page.get_by_role("list", name="Breaches")
    await expect(feed).to_contain_text("± 100 m")
    for choice, option, shown in (
        ("Time zone", "UTC", "12:00:00"),
        ("Time zone", "Asia/Tokyo", "21:00:00"),
        ("Clock", "12 hours", "9:00:00 pm"),
        ("Units", "mph, feet", "± 328 ft"),
    ):
        await page.locator(".display summary").click()
        await page.get_by_label(choice).select_option(label=option)
        await page.wait_for_load_state()
        await expect(feed).to_contain_text(shown)
    await expect(page.get_by_text("Times: Asia/Tokyo")).to_be_visible()
