"""Documents, rendered beside the event loop: on a thread of its own, with bounded queues.

A thread is enough: typst releases the interpreter, the input is bounded, and no template but ours
is ever run. Organizations take turns: each has at most one document under way or at the head of the
line.
"""

from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import UUID

from api.documents.inspection_pdf import InspectionPrinter, InspectionReport
from api.documents.letterhead import NO_LETTERHEAD, Letterhead, Logo
from api.documents.quote_pdf import QuotePrinter
from api.documents.timesheet import TimesheetDocument
from api.documents.timesheet_csv import timesheet_csv
from api.documents.timesheet_pdf import TimesheetPrinter
from api.documents.timesheet_print import Paper
from api.documents.work_order_pdf import WorkOrderPrinter, WorkOrderSheet
from api.limits.turns import MOST_ORGANIZATIONS, Turns
from operations.quotes.document import QuoteDocument
from operations.quotes.evidence import QuoteAcceptance
from service.worker_thread import OneThread

Form = Literal["pdf", "csv"]


class Renderer:
    """The thread that renders documents. The fonts are read when the first PDF is wanted."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._thread = OneThread("documents", waiting=MOST_ORGANIZATIONS)
        self._printer = TimesheetPrinter()
        self._quotes = QuotePrinter()
        self._inspections = InspectionPrinter()
        self._work_orders = WorkOrderPrinter()

    async def render(
        self,
        org_id: UUID,
        document: TimesheetDocument,
        form: Form,
        paper: Paper = "a4",
        letterhead: Letterhead = NO_LETTERHEAD,
    ) -> bytes:
        """Return the document's bytes, in the organization's turn. paper, letterhead: of a PDF.

        Raises TooManyOfOne or TooManyOfAll at once where too many wait.
        """
        async with self._turns.turn(org_id):
            if form == "csv":
                return await self._thread.run(timesheet_csv, document)
            return await self._thread.run(self._printer.pdf, document, paper, letterhead)

    async def inspection(
        self, org_id: UUID, read: Callable[[], Awaitable[InspectionReport]]
    ) -> bytes:
        """Return the PDF of an inspection. read: returns the report, when it is next, so that no
        photos of those that wait are in memory. Raises as `render` does, and DocumentError.
        """
        async with self._turns.turn(org_id):
            return await self._thread.run(self._inspections.pdf, await read())

    async def work_order(
        self, org_id: UUID, read: Callable[[], Awaitable[WorkOrderSheet]]
    ) -> bytes:
        """Return the PDF of a work order. Takes and raises the same as `inspection`."""
        async with self._turns.turn(org_id):
            return await self._thread.run(self._work_orders.pdf, await read())

    async def quote(
        self, org_id: UUID, document: QuoteDocument, letterhead: Letterhead, *, is_draft: bool
    ) -> bytes:
        """Return the PDF of a quote. Raises as `render` does, and DocumentError."""
        async with self._turns.turn(org_id):
            return await self._thread.run(
                self._quotes.pdf, document, letterhead.logo, is_draft=is_draft
            )

    async def accepted_quote(
        self,
        org_id: UUID,
        document: QuoteDocument,
        logo: Logo | None,
        acceptance: QuoteAcceptance,
        signature: bytes,
    ) -> bytes:
        """Return the PDF of a quote with its acceptance. Raises as `render` does."""
        async with self._turns.turn(org_id):
            return await self._thread.run(
                self._quotes.accepted_pdf, document, logo, acceptance, signature
            )

    def close(self) -> None:
        """End the thread."""
        self._thread.close()
