"""Reports by mail on their page, and the link of a letter."""

import re
from urllib.parse import urlsplit

from playwright.async_api import expect

from tests.api.mailbox import Mailbox
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages
from tests.dashboard.test_reports import PLACE, a_fleet, cells


async def test_a_report_is_mailed_and_its_link_shows_it(
    pages: Pages, api: RunningApi, mailbox: Mailbox
) -> None:
    org = await a_fleet(api)
    page = await pages.sign_in(org, "dispatcher@example.com", PLACE)
    await page.get_by_label("Report").select_option("Distance")
    await page.get_by_label("By").select_option("Tag")
    await page.get_by_role("link", name="Mail this report on a schedule").click()
    form = page.get_by_role("region", name="New schedule")
    await expect(form.get_by_label("Report")).to_have_value("distance")
    await form.get_by_label("Name").fill("Ways")
    await form.get_by_label("With any of these tags").fill("crane, rented")
    await form.get_by_label("When").select_option("Monthly")
    await form.get_by_label("Day of the month").select_option("31")
    await form.get_by_label("Time zone").fill("Europe/Berlin")
    await form.get_by_role("button", name="Add schedule").click()
    row = page.get_by_role("row", name="Ways")
    await expect(row).to_contain_text("Day 31 of the month at 06:00 (Europe/Berlin)")
    (made,) = (await org.viewer.get("/v1/report-schedules")).json["data"]
    assert made["filters"] == {"group_by": "tag", "tag": "crane,rented"}
    await page.get_by_role("button", name="Send me one now").click()
    await expect(page.get_by_role("status")).to_contain_text("is on its way to you")
    (letter,) = await mailbox.letters()
    assert letter["To"] == "dispatcher@example.com"
    link = urlsplit(re.findall(r"https://\S+", letter.get_content())[0])
    await page.goto(f"{pages.url}{link.path}?{link.query}")
    await expect(page.get_by_label("Report")).to_have_value("distance")
    await expect(page.get_by_label("By")).to_have_value("tag")
    await expect(page.get_by_text("Only tagged crane, rented.")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(page.get_by_text("Only tagged")).to_have_count(0)


async def test_a_link_asks_for_a_sign_in_and_leads_on(pages: Pages, api: RunningApi) -> None:
    org = await a_fleet(api)
    link = f"{PLACE}&report=presence&tz=Europe%2FBerlin&by=asset%2Cday"
    page = await pages.sign_in(org, "viewer@example.com", link)
    await expect(page.get_by_role("table")).to_contain_text("4 h 30 min")
    await expect(page.get_by_label("By")).to_have_value("asset,day")
    (row,) = await cells(page)
    assert row[0] == "Truck"
    await expect(page.get_by_role("link", name="Mail this report")).to_have_count(0)


async def test_an_admin_chooses_who_gets_it_changes_it_and_switches_it_off(
    pages: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, org.email, "report-schedules")
    await page.get_by_role("button", name="New schedule").click()
    await page.get_by_label("Name").fill("Days")
    await page.get_by_label("viewer@example.com").check()
    await page.get_by_role("button", name="Add schedule").click()
    row = page.get_by_role("row", name="Days")
    await expect(row).to_contain_text("2 people, you too")
    await page.get_by_role("button", name="Change").click()
    await page.get_by_label("boss@example.com").uncheck()
    await page.get_by_label("Day of the week").select_option("Friday")
    await page.get_by_role("button", name="Save").click()
    await expect(row).to_contain_text("Friday at 06:00")
    await expect(row).to_contain_text("1 person")
    await page.get_by_role("button", name="Switch off").click()
    await expect(row).to_contain_text("Switched off")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No report is mailed yet.")).to_be_visible()


async def test_a_dispatcher_sees_the_others_and_leaves_them(
    pages: Pages, org: Organization
) -> None:
    ids = [(await each.get("/v1/users/me")).json["id"] for each in (org.admin, org.dispatcher)]
    body = {"name": "Days", "report": "day", "cadence": "daily", "recipient_ids": ids}
    assert (await org.admin.post("/v1/report-schedules", body)).status == 201
    page = await pages.sign_in(org, "dispatcher@example.com", "report-schedules")
    await page.get_by_role("button", name="Change").click()
    await expect(page.get_by_text("Another person gets it, too")).to_be_visible()
    await page.get_by_label("Mail it to me").uncheck()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("row", name="Days")).to_contain_text("1 person")
    (made,) = (await org.viewer.get("/v1/report-schedules")).json["data"]
    assert made["recipient_ids"] == ids[:1]
