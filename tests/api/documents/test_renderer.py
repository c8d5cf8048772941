"""Documents beside the event loop: the same bytes, in turns, and no more than may wait."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest

from api.documents.renderer import Renderer
from api.documents.timesheet_csv import timesheet_csv
from api.documents.timesheet_pdf import TimesheetPrinter
from api.limits.turns import MOST_OF_EACH, TooManyOfOne
from tests.api.documents import examples

NORTH, SOUTH = UUID(int=1), UUID(int=2)


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    """A renderer with a thread of its own."""
    made = Renderer()
    yield made
    made.close()


async def test_both_forms_are_rendered(renderer: Renderer) -> None:
    week = examples.plain_week()
    assert await renderer.render(NORTH, week, "csv") == timesheet_csv(week)
    assert await renderer.render(NORTH, week, "pdf", "us-letter") == TimesheetPrinter().pdf(
        week, "us-letter"
    )


async def test_an_organization_has_a_bound_and_others_are_served(renderer: Renderer) -> None:
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
