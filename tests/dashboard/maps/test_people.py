"""Employees on the map: who sees them, and what ends when the organization shows them no more."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.api.live.positions import made, put, put_employee
from tests.api.punching import employee, phone, show
from tests.api.running import Organization, RunningApi
from tests.dashboard.pages import Pages

NAME = "Anna Keller"


async def _at_work(api: RunningApi, org: Organization, name: str = NAME) -> str:
    """Return an employee whose phone has told a position."""
    anna = await employee(org, name=name)
    tracker_id = await phone(org, anna)
    assert (await org.admin.patch(f"/v1/trackers/{tracker_id}", {"name": "Phone 7"})).status == 200
    put_employee(api, org, anna, 47.0, 8.0, tracker_id)
    return anna


def _people(page: Page) -> Any:
    return page.get_by_role("button", name="People")


def _row(page: Page, name: str = NAME) -> Any:
    return page.get_by_role("list").get_by_role("button", name=name)


async def test_a_dispatcher_sees_people_and_where_they_go(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    await show(org)
    anna = await _at_work(api, org)
    put(api, org, await made(org, "Truck 7"), 47.1, 8.1)
    page = await pages.sign_in(org, "dispatcher@example.com")
    await expect(_people(page)).to_contain_text("1")
    await expect(_row(page)).to_contain_text("Person · Standing")
    await _row(page).click()
    card = page.get_by_role("region", name="Person")
    await expect(card).to_contain_text("Last seen")
    await expect(card).to_contain_text("Phone 7")
    assert f"person={anna}" in page.url
    await page.reload()
    await expect(card).to_contain_text(NAME)  # the address keeps who is chosen
    boris = await _at_work(api, org, "Boris <i>Frei</i>")
    await expect(_row(page, "Boris <i>Frei</i>")).to_be_visible()
    await card.get_by_role("button", name="Close").click()
    await expect(card).to_have_count(0)
    await _people(page).click()
    await expect(_row(page)).to_have_count(0)
    await expect(_row(page, "Truck 7")).to_be_visible()
    await page.reload()
    await expect(_people(page)).to_have_attribute("aria-pressed", "false")
    await expect(_row(page, "Truck 7")).to_be_visible()
    await expect(_row(page)).to_have_count(0)
    assert boris


@pytest.mark.parametrize("who", ["viewer", "technician"])
async def test_nobody_else_sees_them_or_the_switch(
    pages: Pages, api: RunningApi, org: Organization, who: str
) -> None:
    await show(org)
    await _at_work(api, org)
    put(api, org, await made(org, "Truck 7"), 47.1, 8.1)
    page = await pages.sign_in(org, f"{who}@example.com")
    await expect(_row(page, "Truck 7")).to_contain_text("Standing")
    await expect(_people(page)).to_have_count(0)
    await expect(page.get_by_text(NAME)).to_have_count(0)


async def test_an_admin_turns_it_on_and_off_and_open_pages_follow(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    await _at_work(api, org)
    put(api, org, await made(org, "Truck 7"), 47.1, 8.1)
    page = await pages.sign_in(org, org.email, "organization")
    part = page.get_by_role("region", name="People on the map")
    box = part.get_by_label("Dispatchers and admins see where employees are")
    await expect(box).not_to_be_checked()
    await box.check()
    await part.get_by_role("button", name="Save").click()
    await expect(part.get_by_role("status")).to_have_text("Saved.")
    await page.get_by_role("link", name="Map", exact=True).click()
    await expect(_row(page)).to_be_visible()
    await show(org, False)  # by somebody else
    await expect(_row(page)).to_have_count(0)
    await expect(_people(page)).to_have_count(0)
    await expect(page.locator(".banner")).to_have_count(0)
    crane = await made(org, "Crane 2")
    put(api, org, crane, 47.2, 8.2)  # all else goes on
    await expect(_row(page, "Crane 2")).to_contain_text("Standing")


async def test_without_webgl_people_are_in_the_list(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    await show(org)
    await _at_work(api, org)
    await pages.context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page = await pages.sign_in(org, org.email)
    await expect(page.get_by_text("WebGL is missing")).to_be_visible()
    await _row(page).click()
    await expect(page.get_by_role("region", name="Person")).to_contain_text("Phone 7")
    pages.problems.clear()  # the map's own, of having no canvas
