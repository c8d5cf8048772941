"""The way of an asset, played by time."""

from datetime import datetime, timedelta

from playwright.async_api import expect

from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, minute, store_fixes
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
