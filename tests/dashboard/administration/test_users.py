"""The people of an organization on their page."""

from playwright.async_api import expect

from tests.api.mailbox import Mailbox
from tests.api.running import Organization
from tests.dashboard.pages import Pages


async def test_a_person_is_invited_gets_a_role_and_is_switched_off(
    pages: Pages, org: Organization, mailbox: Mailbox
) -> None:
    page = await pages.sign_in(org, org.email, "users")
    await page.get_by_label("Email").fill("new@example.com")
    await page.get_by_label("Role", exact=True).select_option("dispatcher")
    await page.get_by_role("button", name="Invite").click()
    row = page.get_by_role("row", name="new@example.com")
    await expect(row).to_contain_text("Invited")
    assert await mailbox.token("new@example.com")
    await row.get_by_label("Role of new@example.com").select_option("viewer")
    await row.get_by_role("button", name="Switch off").click()
    await expect(row).to_contain_text("May not sign in")
    await page.get_by_label("Email").fill("robot@example.com")
    await page.get_by_label("For a program").check()
    await page.get_by_role("button", name="Invite").click()
    await expect(page.get_by_role("row", name="robot@example.com")).to_contain_text("For programs")
    users = (await org.admin.get("/v1/users", limit=100)).json["data"]
    (made,) = [user for user in users if user["email"] == "new@example.com"]
    assert (made["role"], made["active"]) == ("viewer", False)
    own = page.get_by_role("row", name=org.email)  # nobody locks themselves out
    await expect(own.get_by_role("button")).to_have_count(0)


async def test_what_is_wrong_is_said_where_it_stands(pages: Pages, org: Organization) -> None:
    pages.expected.append("409 (Conflict)")
    page = await pages.sign_in(org, org.email, "users")
    await page.get_by_label("Email").fill("viewer@example.com")
    await page.get_by_role("button", name="Invite").click()
    await expect(page.get_by_role("alert")).to_contain_text("Another user has this address")


async def test_pages_of_admins_are_not_shown_to_others(pages: Pages, org: Organization) -> None:
    pages.expected.append("403 (Forbidden)")
    page = await pages.sign_in(org, "viewer@example.com")
    navigation = page.get_by_role("navigation", name="Main navigation")
    await expect(navigation.get_by_role("link")).to_have_text(
        [
            "Map",
            "History",
            "Reports",
            "Zones",
            "Alerts",
            "Breaches",
            "Trackers",
            "Gateways",
            "Imports",
        ]
    )
    await page.goto(f"{pages.url}/app/users")
    await expect(page.get_by_role("alert")).to_contain_text("Your role does not allow this")
