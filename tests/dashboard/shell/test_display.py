"""The choices of the language, and of how times, speeds and lengths are shown."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.api.mailbox import Mailbox
from tests.api.running import PASSWORD, Organization, RunningApi
from tests.dashboard.breaches import breach
from tests.dashboard.pages import Pages, pages_of
from tests.waiting import until

VIEWER, TECHNICIAN = "viewer@example.com", "technician@example.com"


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere(browser: Browser, api: RunningApi) -> AsyncIterator[Pages]:
    """The pages of a browser in another country, in English too."""
    context = await browser.new_context(locale="en-US", timezone_id="America/New_York")
    made = await pages_of(context, api.url)
    yield made
    await made.check()


async def _choose(page: Page, label: str, option: str) -> None:
    await page.get_by_label(label, exact=True).select_option(label=option)


async def _saved(org: Organization, **chosen: str) -> None:
    """Wait until the API has this of the viewer."""

    async def is_saved() -> bool:
        me = (await org.viewer.get("/v1/users/me")).json
        return {name: me[name] for name in chosen} == chosen

    await until(is_saved, wait_s=20)


async def _sees(page: Page, heading: str, *parts: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    for part in parts:
        await expect(page.locator("main li").first).to_contain_text(part)


async def test_times_and_lengths_are_shown_as_chosen(
    pages: Pages, api: RunningApi, org: Organization
) -> None:
    await org.admin.patch("/v1/organization", {"timezone": "Asia/Tokyo"})
    breach(api, org, "Truck 1", accuracy_m=100.0)
    page = await pages.sign_in(org, VIEWER, "breaches")
    feed = page.get_by_role("list", name="Breaches")
    await expect(feed).to_contain_text("± 100 m")
    await page.locator(".display summary").click()
    for choice, option, shown in (
        ("Time zone", "UTC", "12:00:00"),
        ("Time zone", "Asia/Tokyo", "21:00:00"),
        ("Clock", "12 hours", "9:00:00 pm"),
        ("Units", "mph, feet", "± 328 ft"),
    ):
        await _choose(page, choice, option)
        await expect(feed).to_contain_text(shown)
    await expect(page.get_by_text("Times: Asia/Tokyo")).to_be_visible()


async def test_choices_follow_the_person_to_another_browser(
    pages: Pages, elsewhere: Pages, api: RunningApi, org: Organization
) -> None:
    await org.admin.patch("/v1/organization", {"timezone": "Asia/Tokyo"})
    breach(api, org, "Truck 1", accuracy_m=100.0)
    page = await pages.sign_in(org, VIEWER, "breaches")
    await page.locator(".display summary").click()
    await _choose(page, "Units", "mph, feet")
    await _choose(page, "Time zone", "Asia/Tokyo")
    await _choose(page, "Language", "Deutsch")
    german = ("Verstöße", "21:00:00", "± 328 ft")
    await _sees(page, *german)
    await _saved(org, language="de", units="imperial", timezone="Asia/Tokyo")
    page = await elsewhere.sign_in(org, VIEWER, "breaches")
    await _sees(page, *german)
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await page.get_by_role("button", name="Abmelden").click()
    await expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    await page.reload()  # the browser keeps the language until somebody signs in
    await expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    other = await elsewhere.sign_in(org, TECHNICIAN, "breaches")
    await _sees(other, "Breaches", "7:00:00", "± 100 m")


async def test_who_has_chosen_no_language_has_that_of_the_organization(
    pages: Pages, elsewhere: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, org.email, "organization")
    part = page.get_by_role("region", name="Name and address")
    await part.get_by_label("Language", exact=True).select_option(label="Deutsch")
    await part.get_by_role("button", name="Save").click()
    await _sees(page, "Organisation")
    await org.viewer.patch("/v1/users/me", {"language": "en"})
    page = await elsewhere.sign_in(org, VIEWER, "breaches")
    await _sees(page, "Breaches")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await _sees(await elsewhere.sign_in(org, TECHNICIAN, "breaches"), "Verstöße")


async def test_an_invited_person_keeps_the_language_of_the_page_of_the_letter(
    pages: Pages, elsewhere: Pages, org: Organization, mailbox: Mailbox
) -> None:
    pages.expected.append("422 (Unprocessable")
    await org.admin.post("/v1/users", {"email": "new@example.com", "role": "viewer"})
    page = await pages.open(f"invitation#token={await mailbox.token('new@example.com')}")
    await _choose(page, "Language", "Deutsch")
    await page.get_by_label("Passwort", exact=True).fill("passwordpassword")
    await page.get_by_role("button", name="Passwort setzen").click()
    await expect(page.get_by_role("alert")).to_contain_text("eines der häufigsten Passwörter")
    await page.get_by_label("Passwort", exact=True).fill("a much better password")
    await page.get_by_role("button", name="Passwort setzen").click()
    await expect(page.get_by_role("button", name="Abmelden")).to_be_visible()
    page = await elsewhere.sign_in_by(
        "new@example.com", "a much better password", org.id, "breaches"
    )
    await _sees(page, "Verstöße")


async def test_a_choice_without_a_network_holds_and_is_saved_when_there_is_one(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("ERR_INTERNET_DISCONNECTED")
    page = await pages.sign_in(org, VIEWER, "breaches")
    await pages.context.set_offline(True)
    await _choose(page, "Language", "Deutsch")
    await _sees(page, "Verstöße")
    await pages.context.set_offline(False)
    await _saved(org, language="de")


async def test_a_choice_that_cannot_be_saved_holds_until_the_page_is_left(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("ERR_FAILED")
    await pages.context.clock.install()
    page = await pages.sign_in(org, VIEWER, "breaches")
    await page.route("**/v1/users/me", lambda route: route.abort())
    await _choose(page, "Language", "Deutsch")
    lost = page.get_by_text("Ihre Wahl konnte nicht gespeichert werden")
    for _ in range(20):
        if await lost.count():
            break
        await page.clock.run_for(10_000)
    await expect(lost).to_be_visible()
    await _sees(page, "Verstöße")
    await page.unroute("**/v1/users/me")
    await _choose(page, "Sprache", "English")
    await _saved(org, language="en")
    await expect(page.locator(".banner")).to_have_count(0)


async def test_a_choice_that_is_not_saved_is_not_of_who_signs_in_next(
    pages: Pages, org: Organization
) -> None:
    pages.expected.append("ERR_FAILED")
    await pages.context.clock.install()
    page = await pages.sign_in(org, VIEWER, "breaches")
    await page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=10))
    await page.route("**/v1/users/me", lambda route: route.abort())

    async def appears(seen: Locator) -> None:
        """Let as little time pass as that takes: after a second the page tries again to save."""

        async def is_there() -> bool:
            await page.clock.run_for(2)
            return await seen.count() > 0

        await until(is_there, wait_s=20)

    async with page.expect_event("requestfailed"):
        await _choose(page, "Language", "Deutsch")
    async with page.expect_response("**/v1/auth/session"):
        await page.get_by_role("button", name="Abmelden").click()
    await appears(page.get_by_role("heading", name="Anmelden"))
    await page.unroute("**/v1/users/me")
    await page.locator("input[name=email]").fill(TECHNICIAN)
    await page.locator("input[name=password]").fill(PASSWORD)
    async with page.expect_response("**/v1/auth/session"):
        await page.locator("button[type=submit]").click()
    await appears(page.get_by_role("button", name="Sign out"))
    await page.clock.run_for(60_000)
    await page.clock.resume()
    await page.get_by_role("link", name="Alerts").click()
    await _sees(page, "Alerts")
    assert (await org.technician.get("/v1/users/me")).json["language"] is None
