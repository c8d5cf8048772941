"""A way that a job writes as a file, on its page and among the jobs."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.api.resources.jobs.test_exports import exporting
from tests.api.running import RunningApi, running_api
from tests.api.stored import carried, minute, store_fixes
from tests.dashboard.pages import Pages
from tests.servers import DatabaseUnderTest


@pytest.fixture
def api(database: DatabaseUnderTest, tmp_path: Path) -> Iterator[RunningApi]:
    """An API with an archive."""
    with running_api(database, archive_url=(tmp_path / "store").as_uri()) as api:
        yield api


async def test_a_way_is_prepared_and_fetched(pages: Pages, api: RunningApi, tmp_path: Path) -> None:
    org = api.organization("Prepares")
    truck = await carried(org)
    store_fixes(api, org, truck.tracker_id, [minute(number) for number in range(5)])
    page = await pages.sign_in(org, "dispatcher@example.com")
    begin, end = (round((minute(0) + timedelta(hours=h)).timestamp() * 1000) for h in (0, 1))
    await page.goto(f"{pages.url}/app/history?asset={truck.asset_id}&from={begin}&to={end}")
    await page.get_by_role("button", name="Prepare as Parquet").click()
    shown = page.get_by_role("status").filter(has_text="Waits")
    await expect(shown).to_be_visible()
    link = page.get_by_role("link", name="Fetch the file")
    async with exporting(api, tmp_path):
        await expect(link).to_be_visible(timeout=60_000)
    async with page.expect_download() as download:
        await link.click()
    file = await (await download.value).path()
    assert file.read_bytes()[:4] == b"PAR1"
    await page.goto(f"{pages.url}/app/imports")
    row = page.get_by_role("row", name="Export")
    await expect(row).to_contain_text("5 rows")
    await expect(row.get_by_role("link", name="Fetch the file")).to_be_visible()
