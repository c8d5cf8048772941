"""The rules of a zone in its form, what the API says of them meanwhile, and a trial."""

from datetime import UTC, datetime, timedelta

from playwright.async_api import Page, expect

from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, store_fixes
from tests.dashboard.pages import Pages


async def _begin_circle(page: Page) -> None:
    await page.get_by_role("button", name="Circle").click()
    await page.get_by_label("Latitude").fill("47.05")
    await page.get_by_label("Longitude").fill("8.31")
    await page.get_by_label("Name").fill("Depot")


async def test_all_rules_are_set_and_what_is_wrong_is_said_at_once(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("422")  # of a body that is no zone
    crane = (await org.admin.post("/v1/assets", {"name": "Crane 7"})).json["id"]
    page = await pages.sign_in(org, "dispatcher@example.com", "zones")
    await _begin_circle(page)
    await expect(page.get_by_text("3.14 ha")).to_be_visible()
    limit = page.get_by_label("Speed limit, km/h")
    await limit.fill("0")
    await expect(page.get_by_text("More than 0.")).to_be_visible()
    await limit.fill("fast")
    await expect(page.get_by_text("A number is needed here.")).to_be_visible()
    await limit.fill("36")
    await expect(page.get_by_text("More than 0.")).to_have_count(0)
    await page.get_by_label("Long stay, minutes").fill("1,5")
    await page.get_by_label("Alerts").select_option("Chosen here")
    await page.get_by_label("Leaving", exact=True).uncheck()
    await page.get_by_label("Passing through", exact=True).check()
    await page.get_by_label("Machines", exact=True).select_option("Only some")
    await expect(page.get_by_text("must have ids or tags")).to_be_visible()
    await page.get_by_label("With any of these tags").fill("crane, rented,crane")
    await page.get_by_label("Crane 7").check()
    await page.get_by_label("Hours", exact=True).select_option("At some hours of the week")
    await page.get_by_role("combobox", name="Time zone").fill("Mars/Olympus")
    zone_field = page.locator(".field", has=page.get_by_role("combobox", name="Time zone"))
    await expect(zone_field.locator("[slot=errorMessage]")).to_be_visible()
    await page.get_by_role("combobox", name="Time zone").fill("Europe/Zurich")
    await page.get_by_label("From", exact=True).fill("18:00")
    await page.get_by_label("To", exact=True).fill("00:00")
    await page.get_by_role("button", name="Add hours").click()
    second = page.get_by_role("group", name="Hours 2")
    for day in ("Mon", "Tue", "Wed", "Thu", "Fri"):
        await second.get_by_label(day).uncheck()
    await expect(second.get_by_role("status")).not_to_be_empty()  # hours on no day
    await second.get_by_label("Sun").check()
    await page.get_by_text("When it counts as entered or left").click()
    await page.get_by_label("Positions to leave").fill("3")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Depot")).to_be_visible()
    await expect(page.get_by_text("Crane 7, #crane, #rented")).to_be_visible()
    (zone,) = (await org.admin.get("/v1/zones")).json["data"]
    assert (zone["speed_limit_mps"], zone["dwell_seconds"]) == (10, 90)
    assert zone["alert_on"] == ["enter", "pass_through"]
    assert zone["assets"] == {"ids": [crane], "tags": ["crane", "rented"]}
    workdays = ["mon", "tue", "wed", "thu", "fri"]
    assert zone["schedule"] == {
        "timezone": "Europe/Zurich",
        "windows": [
            {"days": workdays, "from": "18:00", "to": "24:00"},
            {"days": ["sun"], "from": "07:00", "to": "18:00"},
        ],
    }
    assert (zone["exit_confirm_fixes"], zone["exit_buffer_m"]) == (3, None)
    await page.get_by_role("button", name="Change").click()
    await expect(page.get_by_label("Speed limit, km/h")).to_have_value("36")
    await expect(page.get_by_label("Positions to leave")).to_have_value("3")
    await page.get_by_label("End by silence, minutes").fill("60")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Depot")).to_be_visible()
    (changed,) = (await org.admin.get("/v1/zones")).json["data"]
    times = ("version", "valid_from", "created_at", "updated_at", "judges_from")
    other = {name for name in zone if name not in times and changed[name] != zone[name]}
    assert (other, changed["close_after_silence_seconds"]) == (
        {"close_after_silence_seconds"},
        3600,
    )


async def test_a_zone_is_tried_before_it_is_saved(
    api: RunningApi, pages: Pages, org: Organization
) -> None:
    truck = await carried(org, "Truck 3")
    begun = datetime.now(UTC) - timedelta(hours=3)
    times = [begun + timedelta(minutes=minute) for minute in range(4)]
    store_fixes(api, org, truck.tracker_id, times, lat=47.05, lon=8.31)
    page = await pages.sign_in(org, "dispatcher@example.com", "zones")
    await _begin_circle(page)
    await page.get_by_label("Long stay, minutes").fill("2")
    await page.get_by_role("button", name="Try it over the last 24 hours").click()
    found = page.get_by_role("list", name="The last 24 hours").get_by_role("listitem")
    await expect(found).to_have_count(2)
    await expect(found.nth(0)).to_contain_text("Truck 3 entered")
    await expect(found.nth(0)).to_contain_text("alerts")
    await expect(found.nth(1)).to_contain_text("stayed long")
    await expect(page.get_by_text("1 machine and 4 positions")).to_be_visible()
    assert (await org.admin.get("/v1/zones")).json["total"] == 0
    # The form goes, and with it the effect that has scrolled to the trial.
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Depot")).to_be_visible()
    assert (await org.admin.get("/v1/zones")).json["total"] == 1
