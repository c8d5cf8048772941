"""A browser for each module, and pages of somebody of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

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


@pytest.fixture
async def browser(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Browser]:
    """A browser. Playwright's own Node needs a library that a small Debian lacks."""
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", str(NODE))
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=program(), args=ARGUMENTS, env={**environment()}
        )
        yield started
        await started.close()


@pytest.fixture
async def pages(browser: Browser, api: RunningApi) -> AsyncIterator[Pages]:
    """The pages of one person, in English, who must not have seen an error at the end."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    made = await pages_of(context, api.url)
    yield made
    await made.check()
