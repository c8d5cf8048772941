"""The navigation: in groups, and on a phone over the page."""

from playwright.async_api import expect

from tests.api.running import Organization
from tests.dashboard.pages import Pages

# Chooses a page, and types where the person was before, as the next thing that the browser does.
_LEAVE_AND_TYPE = """async (link) => {
  const search = document.querySelector('input[type=search]')
  const type = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set
  link.click()
  await null
  type.call(search, 'Excavator')
  search.dispatchEvent(new Event('input', { bubbles: true }))
}"""


async def test_on_a_phone_it_opens_over_the_page_and_closes_again(
    pages: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "breaches")
    navigation = page.get_by_role("navigation", name="Main navigation")
    groups = navigation.get_by_role("group")
    await expect(groups).to_have_count(2)
    administration = groups.filter(has_text="Administration")
    await expect(administration.get_by_role("link")).to_have_text(["Organization", "Quarantine"])
    menu = page.get_by_role("button", name="Menu")
    await expect(menu).to_have_count(0)  # there is room beside the page
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(navigation).to_have_count(0)
    await menu.click()
    await expect(navigation.get_by_role("link", name="Quarantine")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(navigation).to_have_count(0)
    await menu.click()
    await navigation.get_by_role("link", name="Quarantine").click()
    await expect(page.get_by_role("heading", name="Quarantine")).to_be_visible()
    await expect(navigation).to_have_count(0)
    await menu.click()
    await navigation.get_by_role("link", name="Quarantine").click()  # where one is already
    await expect(navigation).to_have_count(0)


async def test_what_is_typed_while_a_page_is_left_does_not_lead_back(
    pages: Pages, org: Organization
) -> None:
    page = await pages.sign_in(org, "dispatcher@example.com", "")
    await expect(page.get_by_label("Find an asset by its name")).to_be_visible()
    await page.get_by_role("link", name="Quarantine").evaluate(_LEAVE_AND_TYPE)
    await expect(page.get_by_role("heading", name="Quarantine")).to_be_visible()
