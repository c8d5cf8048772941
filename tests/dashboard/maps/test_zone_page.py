"""A zone's page: who is inside, who was, and its versions."""

from datetime import UTC, datetime, timedelta

from playwright.async_api import expect

from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, store_fixes, store_visit
from tests.dashboard.pages import Pages

NOW = datetime.now(UTC)


async def test_a_zone_shows_its_visits_and_its_versions(
    api: RunningApi, pages: Pages, org: Organization
) -> None:
    circle = {"type": "Point", "coordinates": [8.0, 47.0]}
    made = await org.admin.post("/v1/zones", {"name": "Pit", "geometry": circle, "radius_m": 100})
    path = f"/v1/zones/{made.json['id']}"
    changes = {"name": "Quarry", "radius_m": 300, "speed_limit_mps": 10}
    assert (await org.dispatcher.patch(path, changes)).status == 200
    inside, gone = await carried(org, "Crane 7"), await carried(org, "Truck 3")
    store_visit(api, org, inside, made.json["id"], NOW - timedelta(minutes=5))
    visit = store_visit(
        api, org, gone, made.json["id"], NOW - timedelta(hours=3), NOW - timedelta(hours=1)
    )
    api.sql(
        "UPDATE visits SET exit_cause = 'silence', overspeed_at = entered_at,"
        " overspeed_mps = 12.5 WHERE exit_cause IS NOT NULL AND org_id = %s",
        org.org_id,
    )
    assert visit
    page = await pages.sign_in(org, org.email, f"zones?zone={made.json['id']}")
    await expect(page.get_by_role("heading", name="Quarry")).to_be_visible()
    now_inside = page.get_by_role("region", name="Inside now")
    await expect(now_inside.get_by_role("listitem")).to_have_count(1)
    await expect(now_inside).to_contain_text("Crane 7")
    last = page.get_by_role("region", name="Last visits").get_by_role("listitem")
    await expect(last).to_have_count(1)
    for text in ("Truck 3", "2 h 0 min", "went silent", "45 km/h"):
        await expect(last).to_contain_text(text)
    versions = page.get_by_role("region", name="Versions").get_by_role("listitem")
    await expect(versions).to_have_count(2)
    await expect(versions.nth(0)).to_contain_text("dispatcher@example.com")
    await expect(versions.nth(0)).to_contain_text("Name, Shape, Speed limit, km/h")
    await expect(versions.nth(1)).to_contain_text(org.email)
    await expect(versions.nth(1)).to_contain_text("made")
    facts = page.locator("dl.facts")
    await expect(facts).to_contain_text("36")
    await versions.nth(1).get_by_role("button").click()
    await expect(versions.nth(1).get_by_role("button")).to_have_attribute("aria-pressed", "true")
    await expect(facts).not_to_contain_text("Speed limit")


async def test_who_changed_it_is_for_admins(pages: Pages, org: Organization) -> None:
    circle = {"type": "Point", "coordinates": [8.0, 47.0]}
    zone = {"name": "Pit", "geometry": circle, "radius_m": 100}
    made = await org.admin.post("/v1/zones", zone)
    page = await pages.sign_in(org, "viewer@example.com", f"zones?zone={made.json['id']}")
    await expect(page.get_by_text("Nobody is inside just now.")).to_be_visible()
    await expect(page.get_by_text("No visit has ended here yet")).to_be_visible()
    versions = page.get_by_role("region", name="Versions").get_by_role("listitem")
    await expect(versions).to_have_count(1)
    await expect(versions).not_to_contain_text("@")


async def test_a_zone_tells_who_was_there_before_it_was_drawn(
    api: RunningApi, pages: Pages, org: Organization
) -> None:
    """A line leads to the way of the machine at that time."""
    who = await carried(org, "Crane 7")
    for minutes, lat in ((90, 47.1), (60, 47.0), (40, 47.0), (30, 47.1), (20, 47.1)):
        at = NOW - timedelta(minutes=minutes)
        store_fixes(api, org, who.tracker_id, [at], lon=8.0, lat=lat)
    circle = {"type": "Point", "coordinates": [8.0, 47.0]}
    zone = {"name": "Pit", "geometry": circle, "radius_m": 100}
    made = await org.admin.post("/v1/zones", zone)
    page = await pages.sign_in(org, "viewer@example.com", f"zones?zone={made.json['id']}")
    past = page.get_by_role("region", name="Who was here")
    await past.get_by_label("Time").select_option(label="the last 7 days")
    rows = past.get_by_role("listitem")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Crane 7")
    await expect(rows).to_contain_text("30 min")
    await rows.get_by_role("link", name="Crane 7").click()
    await expect(page.get_by_role("heading", name="History")).to_be_visible()
    await expect(page.get_by_role("heading", name="Trips and stops")).to_be_visible()
