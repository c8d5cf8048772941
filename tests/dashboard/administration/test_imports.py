"""Imports and uploads, on their page."""

from typing import Any

from playwright.async_api import Page, expect

from telemetry.fix import Flag
from tests.api.punching import employee
from tests.api.resources.jobs.doing import doing_jobs
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages

CSV = "external_id,name,year\nA-1,Truck <b>1</b>,2020\nA-2,Truck 2,soon\nA-3,Truck 3,\n"
GPX = """<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="47.05" lon="8.30"><time>2026-02-01T10:00:00Z</time></trkpt>
<trkpt lat="47.06" lon="8.31"><time>2026-02-01T10:01:00Z</time></trkpt>
</trkseg></trk></gpx>"""


async def _choose(page: Page, name: str, text: str) -> None:
    file: Any = {"name": name, "mimeType": "", "buffer": text.encode()}
    await page.get_by_label("File", exact=True).set_input_files(file)


async def test_a_spreadsheet_is_checked_then_imported_and_its_faults_are_shown(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "imports")
    await expect(page.get_by_text("Nothing was imported in the last week.")).to_be_visible()
    await _choose(page, "machines.csv", CSV)
    await page.get_by_role("button", name="Check only").click()
    note = page.get_by_role("alert")
    await expect(note).to_contain_text("2 lines are good, 0 known already, 1 faulty.")
    await expect(note.get_by_role("listitem")).to_contain_text("Line 3, year")
    assert (await org.viewer.get("/v1/assets")).json["data"] == []
    await page.get_by_role("button", name="Import", exact=True).click()
    await expect(page.get_by_role("status").first).to_contain_text("It is on its way")
    row = page.get_by_role("row", name="Machines from CSV")
    await expect(row).to_contain_text("Waits")
    async with doing_jobs(api.database):
        await expect(row).to_contain_text("Done")  # without anything being pressed
    await expect(row).to_contain_text("2 made")
    await row.get_by_role("button", name="What was left out").click()
    faults = page.get_by_role("list", name="What was left out")
    await expect(faults.get_by_role("listitem")).to_contain_text("Line 3, year")
    names = {asset["name"] for asset in (await org.viewer.get("/v1/assets")).json["data"]}
    assert names == {"Truck <b>1</b>", "Truck 3"}


async def test_a_track_is_uploaded_to_a_machine_and_a_job_is_cancelled(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    asset = await org.admin.post("/v1/assets", {"name": "Digger 3"})
    page = await pages.sign_in(org, "dispatcher@example.com", "imports")
    await page.get_by_label("What").select_option("Track of a machine")
    await _choose(page, "tour.kmz", GPX)
    await expect(page.get_by_role("alert")).to_contain_text("has to end with .gpx")
    upload = page.get_by_role("button", name="Upload")
    await expect(upload).to_be_disabled()
    await _choose(page, "tour.gpx", GPX)
    await expect(upload).to_be_disabled()  # of which machine?
    await page.get_by_label("Machine", exact=True).select_option("Digger 3")
    await upload.click()
    row = page.get_by_role("row", name="Track of a machine").first
    await expect(row).to_contain_text("Digger 3")
    (job,) = (await org.viewer.get("/v1/jobs")).json["data"]
    assert (job["kind"], job["asset_id"]) == ("upload_track", asset.json["id"])
    await row.get_by_role("button", name="Cancel").click()
    await expect(row).to_contain_text("Cancelled")
    await page.get_by_label("Send its events to webhooks, too").check()
    await upload.click()
    async with doing_jobs(api.database):
        await expect(page.get_by_role("row", name="2 points")).to_contain_text("Done")
    flags = api.sql("SELECT fix_flags FROM inbox WHERE org_id = %s", org.org_id)
    assert flags == [(Flag.UPLOADED,)]


async def test_a_viewer_sees_imports_and_begins_none(pages: Pages, org: Organization) -> None:
    body, csv = b"external_id\nA-1\n", {"Content-Type": "text/csv"}
    made = await org.dispatcher.send("POST", "/v1/imports/assets", data=body, headers=csv)
    assert made.status == 202
    page = await pages.sign_in(org, "viewer@example.com", "imports")
    await expect(page.get_by_role("row", name="Machines from CSV")).to_contain_text("Waits")
    await expect(page.get_by_label("File", exact=True)).to_have_count(0)
    await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


async def test_an_erasure_is_listed_and_admins_alone_cancel_it(
    pages: Pages, org: Organization
) -> None:
    anna = await employee(org)
    path = f"/v1/employees/{anna}/position-erasures"
    await org.admin.post(path, {})
    page = await pages.sign_in(org, org.email, "imports")
    row = page.get_by_role("row", name="Positions of an employee")
    await expect(row).to_contain_text(anna)
    await expect(row).to_contain_text("0 erased")
    await row.get_by_role("button", name="Cancel").click()
    await expect(row).to_contain_text("Cancelled")
