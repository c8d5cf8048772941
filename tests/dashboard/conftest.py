"""A browser for each worker, and pages of somebody of its own for each test."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, async_playwright, expect
from pytest_asyncio import is_async_test

from api.resources import dashboard
from tests.api.conftest import api, mailbox, north, org, shared_api, south
from tests.api.running import RunningApi
from tests.clients.node import NODE
from tests.dashboard.browser import ARGUMENTS, environment, program
from tests.dashboard.pages import Pages, pages_of

expect.set_options(timeout=20_000)  # as all else in a page: how soon it is there, no test says

__all__ = ["api", "mailbox", "north", "org", "shared_api", "south"]


@pytest.fixture(scope="session", autouse=True)
def built() -> Path:
    """The built application."""
    page = dashboard.BUILT / "index.html"
    assert page.is_file(), "the web application has not been built: run make setup"
    return page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests in the loop of the session, where the browser is."""
    folder, in_the_session = Path(__file__).parent, pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if item.path.is_relative_to(folder) and is_async_test(item):
            item.add_marker(in_the_session, append=False)


@dataclass
class Chromium:
    """The browser of a worker, which outlives its tests."""

    ends: AsyncExitStack
    running: Browser | None = None

    async def started(self) -> Browser:
        """Return the browser, started again where it or what drives it died."""
        if self.running is None or not await _answers(self.running):
            with pytest.MonkeyPatch.context() as patch:
                # Playwright's own Node needs a library that a small Debian lacks.
                patch.setenv("PLAYWRIGHT_NODEJS_PATH", str(NODE))
                playwright = await self.ends.enter_async_context(async_playwright())
            self.running = await playwright.chromium.launch(
                executable_path=program(), args=ARGUMENTS, env={**environment()}
            )
        return self.running


async def _answers(browser: Browser) -> bool:
    try:
        await (await browser.new_context()).close()
    except Error:
        return False
    return True


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    """The browser of this worker."""
    async with AsyncExitStack() as ends:
        yield Chromium(ends)


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Chromium) -> AsyncIterator[Browser]:
    """A browser that runs; what a test opens in it ends with the test."""
    running = await chromium.started()
    yield running
    for context in running.contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def pages(browser: Browser, api: RunningApi) -> AsyncIterator[Pages]:
    """The pages of one person, in English, who must not have seen an error at the end."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    made = await pages_of(context, api.url)
    yield made
    await made.check()
