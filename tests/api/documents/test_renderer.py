"""Documents beside the event loop: the same bytes, and small ones do not wait for dear ones."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import pytest

from api.documents.item_pdf import ItemDocument
from api.documents.printing import packed
from api.documents.renderer import Renderer
from api.documents.timesheet import DocumentError, TimesheetDocument
from api.documents.timesheet_csv import timesheet_csv
from api.documents.timesheet_print import TimesheetPrinter
from api.limits.turns import MOST_OF_EACH, TooManyOfOne
from tests.api.documents import examples
from tests.api.documents.reports import inspection

pytestmark = pytest.mark.about("quotes", "work orders", "timesheets", "inspections")

NORTH, SOUTH = UUID(int=1), UUID(int=2)


def dear() -> TimesheetDocument:
    """Return a timesheet of nearly five hundred lines."""
    days = [date(2026, 3, number) for number in range(1, 32)]
    shifts = {day: [examples.shift(day, n / 3, n / 3 + 0.2) for n in range(16)] for day in days}
    return examples.document(
        days[0], days[-1], *(examples.day_of(day, *shifts[day]) for day in days)
    )


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    """A renderer with processes of its own."""
    made = Renderer()
    yield made
    await made.close()


async def test_both_forms_are_rendered(renderer: Renderer) -> None:
    week = examples.plain_week()
    assert await renderer.render(NORTH, week, "csv") == timesheet_csv(week)
    assert await renderer.render(NORTH, week, "pdf", "us-letter") == TimesheetPrinter().pdf(
        week, "us-letter"
    )


async def test_an_organization_has_a_bound(renderer: Renderer) -> None:
    week = examples.plain_week()
    waiting = [
        asyncio.create_task(renderer.render(NORTH, week, "pdf")) for _ in range(MOST_OF_EACH)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyOfOne):
        await renderer.render(NORTH, week, "pdf")
    assert await renderer.render(SOUTH, week, "csv")
    assert not all(task.done() for task in waiting)
    assert len({await task for task in waiting}) == 1
    assert await renderer.render(NORTH, week, "csv")


async def test_small_documents_do_not_wait_for_dear_ones(renderer: Renderer) -> None:
    waiting = [asyncio.create_task(renderer.render(NORTH, dear(), "pdf")) for _ in range(4)]
    for _ in range(2):
        assert await renderer.render(SOUTH, examples.plain_week(), "pdf")
    assert not any(task.done() for task in waiting[1:])
    await asyncio.gather(*waiting)


async def test_an_inspection_with_photos_reads_them_when_it_is_next(renderer: Renderer) -> None:
    report, has_read = inspection(), asyncio.Event()

    async def with_pictures() -> ItemDocument:
        has_read.set()
        return report

    before = asyncio.create_task(renderer.render(NORTH, dear(), "pdf"))
    await asyncio.sleep(0)
    printed = asyncio.create_task(renderer.item_with_photos(NORTH, with_pictures))
    await asyncio.sleep(0)
    assert not has_read.is_set()
    await before
    assert (await printed).startswith(b"%PDF")


async def test_what_cannot_be_printed_says_so(renderer: Renderer) -> None:
    report = inspection(answers={}, template_name="x" * 500_000)
    with pytest.raises(DocumentError, match="characters: there are too many"):
        await renderer.item(NORTH, report)


def test_lines_and_pictures_make_a_document_dear() -> None:
    assert packed("timesheet_pdf", examples.plain_week()).is_small
    assert packed("timesheet_pdf", examples.crowded_month()).is_small
    assert not packed("timesheet_pdf", dear()).is_small
    assert packed("item", inspection(), bytes(1_000_000)).is_small
    assert not packed("item", inspection(), bytes(3_000_000)).is_small
