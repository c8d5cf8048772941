"""The organization on its page: what is set, the plan and what is used of it."""

from typing import Any

from playwright.async_api import Page, expect

from tests.api.photos.pictures import picture
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages

FIXES, HOURS = "Positions and zones", "Hours and pay"


async def _stored(org: Organization) -> Any:
    return (await org.viewer.get("/v1/organization")).json


async def _save(page: Page, title: str) -> None:
    part = page.get_by_role("region", name=title)
    await part.get_by_role("button", name="Save").click()
    await expect(part.get_by_role("status")).to_have_text("Saved.")


async def test_an_admin_sets_how_positions_punches_and_hours_are_judged(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("422 (Unprocessable")
    page = await pages.sign_in(org, org.email, "organization")
    fixes = page.get_by_role("region", name=FIXES)
    await fixes.get_by_label("Vehicles, km/h").fill("90")
    await fixes.get_by_label("Worst accuracy, m").fill("far")
    await fixes.get_by_role("button", name="Save").click()
    await expect(fixes.get_by_text("A number is needed here.")).to_be_visible()
    await fixes.get_by_label("Worst accuracy, m").fill("99999")
    await fixes.get_by_role("button", name="Save").click()
    field = fixes.locator(".field", has=page.get_by_label("Worst accuracy, m"))
    await expect(field).to_contain_text("At most 10,000.")  # by the code of the API
    await fixes.get_by_label("Worst accuracy, m").fill("50,5")
    await _save(page, FIXES)
    punches = page.get_by_role("region", name="Punches")
    await punches.get_by_label("Punches that are not verified").select_option("block")
    await punches.get_by_label("Shortest flight, min").fill("40")
    await _save(page, "Punches")
    hours = page.get_by_role("region", name=HOURS)
    await hours.get_by_label("Thresholds").select_option("own")
    await hours.get_by_label("Hours a week, h").fill("42")
    await hours.get_by_label("Round to").select_option("5")
    await hours.get_by_role("button", name="Add an automatic break").click()
    await _save(page, HOURS)
    stored = await _stored(org)
    assert stored["max_accuracy_m"] == 50.5
    assert stored["max_speed_mps"] | {"vehicle": 25} == stored["max_speed_mps"]
    assert stored["punch_policy"] == "block"
    assert stored["punch_rules"]["min_flight_s"] == 2400
    rules = stored["timesheet_rules"]
    assert rules["overtime"]["weekly_s"] == 42 * 3600
    assert rules["rounding"]["step_s"] == 300
    assert rules["automatic_breaks"] == [{"after_s": 21_600, "break_s": 1_800}]


async def test_an_admin_switches_events_of_trips_on_and_off(
    pages: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, org.email, "organization")
    part = page.get_by_role("region", name="Events of trips")
    box = part.get_by_label("Tell when machines set out, arrive and stop")
    await expect(box).not_to_be_checked()
    for is_on in (True, False):
        await box.set_checked(is_on)
        await _save(page, "Events of trips")
        assert (await _stored(org))["trip_events"] is is_on


async def test_what_somebody_else_changed_is_not_written_over(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("412 (Precondition Failed)")
    page = await pages.sign_in(org, org.email, "organization")
    names = page.get_by_role("region", name="Name and address")
    await names.get_by_label("Address").fill("Hafenstrasse 1\n8000 Zürich")
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Choose a picture").click()
    await (await chooser.value).set_files(
        {"name": "logo.png", "mimeType": "image/png", "buffer": picture("PNG")}
    )
    await expect(page.get_by_role("img", name="Logo")).to_be_visible()
    await _save(page, "Name and address")  # what was typed is still there
    await org.admin.patch("/v1/organization", {"max_accuracy_m": 80})
    await names.get_by_label("Time zone").fill("Europe/Zurich")
    await names.get_by_role("button", name="Save").click()
    await expect(names.get_by_role("alert")).to_contain_text("Somebody else has changed this")
    stored = await _stored(org)
    assert (stored["timezone"], stored["max_accuracy_m"]) == ("UTC", 80)
    assert stored["address"] == "Hafenstrasse 1\n8000 Zürich"
    assert stored["logo_sha256"] is not None


async def test_a_dispatcher_reads_it(pages: Pages, api: RunningApi, org: Organization) -> None:
    await org.admin.post("/v1/assets", {"name": "Crane"})
    api.sql("UPDATE organizations SET positions_days = 30 WHERE org_id = %s", org.org_id)
    page = await pages.sign_in(org, "dispatcher@example.com", "organization")
    usage = page.get_by_role("region", name="Plan and usage")
    row = usage.get_by_role("row", name="Machines")
    await expect(row).to_contain_text("1 of 1,000,000")
    await expect(page.get_by_role("region", name="Retention")).to_contain_text("30 days")
    await expect(page.get_by_label("Worst accuracy, m")).to_be_disabled()
    await expect(page.get_by_role("button", name="Save")).to_have_count(0)
    await expect(page.get_by_role("button", name="Choose a picture")).to_have_count(0)
