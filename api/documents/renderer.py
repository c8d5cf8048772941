"""Documents, rendered beside the event loop in two processes (`api.documents.printing`): one for
small documents, so that they do not wait for dear ones.
"""

from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import UUID

import msgspec

from api.documents.item_pdf import ItemDocument
from api.documents.letterhead import NO_LETTERHEAD, Letterhead, Logo
from api.documents.printing import LIMITS, DocumentAnswer, DocumentRequest, packed
from api.documents.report_pdf import ReportDocument
from api.documents.timesheet import DocumentError, TimesheetDocument
from api.documents.timesheet_print import Paper
from api.limits.fair_turns import FairTurns
from api.limits.forking_process import ForkingProcess
from operations.quotes.document import QuoteDocument
from operations.quotes.evidence import QuoteAcceptance

Form = Literal["pdf", "csv"]


class Renderer:
    """Two processes that render documents. Each is started when the first one is wanted.

    Organizations take turns (`FairTurns`). All raise DocumentError, TurnOver, and TooManyOfOne or
    TooManyOfAll at once where too many wait.
    """

    def __init__(self) -> None:
        self._small = ForkingProcess("api.documents.printing", FairTurns(), "small")
        self._dear = ForkingProcess("api.documents.printing", FairTurns())

    async def render(
        self,
        org_id: UUID,
        document: TimesheetDocument,
        form: Form,
        paper: Paper = "a4",
        letterhead: Letterhead = NO_LETTERHEAD,
    ) -> bytes:
        """Return the document's bytes. paper, letterhead: of a PDF."""
        if form == "csv":
            return await self._made(org_id, packed("timesheet_csv", document))
        return await self._made(org_id, packed("timesheet_pdf", document, paper, letterhead))

    async def item(self, org_id: UUID, document: ItemDocument) -> bytes:
        """Return the PDF of an item."""
        return await self._made(org_id, packed("item", document))

    async def report(self, org_id: UUID, document: ReportDocument) -> bytes:
        """Return the PDF of a report."""
        return await self._made(org_id, packed("report", document))

    async def item_with_photos(
        self, org_id: UUID, read: Callable[[], Awaitable[ItemDocument]]
    ) -> bytes:
        """Return the PDF of an item, which is read when it is next: its photos may be large."""

        async def request() -> DocumentRequest:
            return packed("item", await read())

        return await self._made_dearly(org_id, request)

    async def quote(
        self, org_id: UUID, document: QuoteDocument, letterhead: Letterhead, *, is_draft: bool
    ) -> bytes:
        """Return the PDF of a quote."""
        return await self._made(
            org_id, packed("quote", document, letterhead.logo, is_draft=is_draft)
        )

    async def accepted_quote(
        self,
        org_id: UUID,
        document: QuoteDocument,
        logo: Logo | None,
        acceptance: QuoteAcceptance,
        signature: bytes,
    ) -> bytes:
        """Return the PDF of a quote with its acceptance."""
        return await self._made(
            org_id, packed("accepted_quote", document, logo, acceptance, signature)
        )

    async def close(self) -> None:
        """End the processes."""
        await self._small.close()
        await self._dear.close()

    async def _made(self, org_id: UUID, request: DocumentRequest) -> bytes:
        async def read() -> DocumentRequest:
            return request

        if request.is_small:
            made = await _asked(self._small, org_id, read)
            if made is not None:
                return made.result()
        return await self._made_dearly(org_id, read)

    async def _made_dearly(
        self, org_id: UUID, read: Callable[[], Awaitable[DocumentRequest]]
    ) -> bytes:
        made = await _asked(self._dear, org_id, read)
        if made is None:
            raise DocumentError("document", f"it takes more than {LIMITS.cpu_s} s")
        return made.result()


async def _asked(
    process: ForkingProcess, org_id: UUID, read: Callable[[], Awaitable[DocumentRequest]]
) -> DocumentAnswer | None:
    """Return a process's answer; None where there is none within its limits."""

    async def message() -> bytes:
        return (await read()).message

    answer = await process.ask(org_id, message)
    return msgspec.msgpack.decode(answer, type=DocumentAnswer) if answer else None
