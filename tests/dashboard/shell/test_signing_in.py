"""Signing in, the links of letters, and signing out."""

from playwright.async_api import expect

from tests.api.mailbox import Mailbox
from tests.api.running import PASSWORD, Organization, RunningApi
from tests.dashboard.pages import Pages


async def test_who_signs_in_comes_to_the_page_that_was_asked_for(
    pages: Pages, north: Organization
) -> None:
    page = await pages.sign_in(north, north.email, "keys")
    await expect(page.get_by_role("heading", name="API keys")).to_be_visible()
    assert page.url.endswith("/app/keys")
    again = await pages.open("keys")  # the cookie is enough
    await expect(again.get_by_role("heading", name="API keys")).to_be_visible()


async def test_a_wrong_password_is_said_in_words(pages: Pages, north: Organization) -> None:
    page = await pages.open()
    await page.get_by_label("Email").fill(north.email)
    await page.get_by_label("Password", exact=True).fill("something else")
    await page.get_by_label("Organization id").fill(north.id)
    await page.get_by_role("button", name="Sign in").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The email or the password is wrong")
    await expect(alert).to_contain_text("Request ")
    await expect(page.get_by_role("button", name="Sign in")).to_be_enabled()


async def test_signing_out_ends_it(pages: Pages, north: Organization) -> None:
    page = await pages.sign_in(north, north.email)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto(f"{pages.url}/app/keys")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    # The organization is remembered.
    await expect(page.get_by_label("Organization id")).to_have_value(north.id)


async def test_an_invited_person_gets_in_by_the_link_of_the_letter(
    pages: Pages, org: Organization, mailbox: Mailbox
) -> None:
    pages.expected.append("400 (Bad Request)")
    invited = await org.admin.post("/v1/users", {"email": "new@example.com", "role": "viewer"})
    assert invited.status == 201
    token = await mailbox.token("new@example.com")
    page = await pages.context.new_page()
    await page.goto(f"{pages.url}/invitation#token={token}")  # as the letter has it
    await page.get_by_label("Password", exact=True).fill("a much better password")
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_role("navigation", name="Main navigation")).to_be_visible()
    await expect(page.get_by_text("new@example.com")).to_be_visible()
    assert token not in page.url
    await expect(page.get_by_role("link", name="API keys")).to_have_count(0)  # of admins alone
    used = await pages.open(f"invitation#token={token}")
    await used.get_by_label("Password", exact=True).fill("another good password")
    await used.get_by_role("button", name="Set the password").click()
    await expect(used.get_by_role("alert")).to_contain_text("was used already")


async def test_a_forgotten_password_is_set_anew(
    pages: Pages, org: Organization, mailbox: Mailbox
) -> None:
    page = await pages.open("sign-in")
    await page.get_by_role("link", name="Forgot the password?").click()
    # The page before has such a field too.
    await expect(page.get_by_role("button", name="Send the link")).to_be_visible()
    await page.get_by_label("Email").fill("viewer@example.com")
    await page.get_by_label("Organization id").fill(org.id)
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_role("status")).to_contain_text("is on its way")
    token = await mailbox.token("viewer@example.com")
    page = await pages.open(f"password-reset#token={token}")
    await page.get_by_label("Password", exact=True).fill(f"{PASSWORD} and more")
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_text("viewer@example.com")).to_be_visible()


async def test_a_person_whose_session_ends_elsewhere_has_to_sign_in(
    pages: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, org.email)
    assert (await org.admin.post("/v1/users/me/sign-out", {})).status in (200, 204)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_the_end_of_a_session_is_announced(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    page = await pages.sign_in(org, "viewer@example.com", "alerts")
    notice = page.get_by_text("You will be signed out at")
    await expect(page.get_by_text("Nothing is open")).to_be_visible()
    await expect(notice).to_have_count(0)
    api.sql(
        "UPDATE sign_ins SET expires_at = now() + interval '50 minutes'"
        " WHERE org_id = %s AND kind = 'session' RETURNING id",
        org.org_id,
    )
    await page.reload()
    await expect(notice).to_be_visible()
