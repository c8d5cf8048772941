"""Reports on a page: chosen, shown and saved."""

from pathlib import Path

from playwright.async_api import Page, expect

from tests.api.punching import employee, phone
from tests.api.resources.reports.made import at, store_way
from tests.api.resources.reports.test_movement import DAY
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, store_visit
from tests.dashboard.pages import Pages

PLACE = "reports?from=2026-03-10&to=2026-03-11"


async def a_fleet(api: RunningApi) -> Organization:
    """Return an organization with a truck that drove and was in a zone, and an employee."""
    org = api.organization("Fleet")
    await org.admin.patch("/v1/organization", {"timezone": "Europe/Berlin"})
    truck, _ = await carried(org, "Truck"), await carried(org, "Crane")
    store_way(api, org, truck.tracker_id, "2026-03-10T07:00", DAY, speed_mps=12.5)
    device = await phone(org, await employee(org, name="Anna"), at("2026-03-10T06:00"))
    store_way(api, org, device, "2026-03-10T07:00", DAY)
    zone = (await org.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})).json["id"]
    store_visit(api, org, truck, zone, at("2026-03-10T08:00"), at("2026-03-10T12:30"))
    return org


async def cells(page: Page) -> list[list[str]]:
    return [
        [text.strip() for text in await row.locator("th, td").all_inner_texts()]
        for row in await page.locator("tbody tr").all()
    ]


async def test_reports_are_chosen_and_saved(pages: Pages, api: RunningApi, tmp_path: Path) -> None:
    org = await a_fleet(api)
    page = await pages.sign_in(org, "dispatcher@example.com", PLACE)
    await expect(page.get_by_role("table", name="Days")).to_contain_text("Truck")
    (row,) = await cells(page)
    assert [row[0], row[4], row[5]] == ["Truck", "60.0 km", "1 h 0 min"]
    await page.get_by_label("Report").select_option("Hours on site")
    await expect(page.get_by_role("table", name="Hours on site")).to_contain_text("4 h 30 min")
    await page.get_by_label("By").select_option("Machine")
    await expect(page.get_by_role("table")).not_to_contain_text("Yard")
    assert "by=asset" in page.url
    await page.get_by_label("Report").select_option("Trips")
    await expect(page.get_by_role("row")).to_have_count(3)
    await page.get_by_label("Machine").select_option("Crane")
    await expect(page.get_by_text("There is nothing to report of these days.")).to_be_visible()
    await page.get_by_label("Of", exact=True).select_option("People, by their trackers")
    await expect(page.get_by_role("row", name="Anna")).to_have_count(2)
    for extension, begin in (("CSV", b"asset_id,"), ("XLSX", b"PK"), ("PDF", b"%PDF")):
        async with page.expect_download() as download:
            await page.get_by_role("button", name=f"Save as {extension}").click()
        saved = await download.value
        assert saved.suggested_filename == f"trips-2026-03-10.{extension.lower()}"
        await saved.save_as(tmp_path / extension)
        assert (tmp_path / extension).read_bytes().startswith(begin)


async def test_what_is_too_much_is_said(pages: Pages, api: RunningApi) -> None:
    pages.expected.append("400 (Bad Request)")
    org = await a_fleet(api)
    page = await pages.sign_in(org, "viewer@example.com", PLACE)
    await expect(page.get_by_role("table")).to_contain_text("Truck")
    await expect(page.get_by_label("Of", exact=True)).to_have_count(0)
    await page.get_by_label("From").fill("2026-01-01")
    await expect(page.get_by_role("alert")).to_contain_text("A report has 31 days at most")
