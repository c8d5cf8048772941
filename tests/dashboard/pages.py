"""A page of the web application, as somebody has it open."""

from dataclasses import dataclass, field

from playwright.async_api import BrowserContext, ConsoleMessage, Page

from tests.api.running import PASSWORD, Organization

_WATCH_POLICY = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
# What a page that is asked for the first time says of nobody's session, and of no network.
_EXPECTED = ("401 (Unauthorized)", "ERR_CONNECTION_REFUSED", "WebSocket connection to")


@dataclass
class Pages:
    """The pages of one person. problems: errors of scripts, and what was printed as an error, but
    for what has a text that is expected.
    """

    context: BrowserContext
    url: str
    problems: list[str] = field(default_factory=list[str])
    expected: list[str] = field(default_factory=lambda: list(_EXPECTED))

    async def open(self, place: str = "") -> Page:
        """Open a place below /app/."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._note)
        page.on("dialog", lambda dialog: dialog.accept())
        await page.goto(f"{self.url}/app/{place}")
        return page

    async def sign_in(self, org: Organization, email: str, place: str = "") -> Page:
        """Open a place as a user of an organization of tests, by the page of signing in."""
        return await self.sign_in_by(email, PASSWORD, org.id, place)

    async def sign_in_by(self, email: str, password: str, org_id: str, place: str = "") -> Page:
        """Open a place, by the page of signing in."""
        page = await self.open(place)
        await page.locator("input[name=email]").fill(email)
        await page.locator("input[name=password]").fill(password)
        await page.locator("input[name=organization]").fill(org_id)
        await page.locator("button[type=submit]").click()
        await page.locator("main#content").wait_for()
        return page

    async def check(self) -> None:
        """Assert that no page had an error, or broke the policy of what may be loaded and run."""
        for page in self.context.pages:
            assert await page.evaluate("window.violations") == []
        assert self.problems == []

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(each in message.text for each in self.expected):
            self.problems.append(message.text)


async def pages_of(context: BrowserContext, url: str) -> Pages:
    """Return the pages that a context opens, of the API at this address."""
    context.set_default_timeout(20_000)
    await context.add_init_script(_WATCH_POLICY)
    return Pages(context, url)
