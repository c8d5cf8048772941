"""The process that renders documents, each in a child that is killed at its limits.

    python -m api.documents.printing [small]

No template but ours is ever run, and the input is bounded: the limits hold should that be wrong. A
process for small documents (`small`) ends what takes more than a second. What typst keeps of a
document goes with the child. Requests are pickles, since they come from the API alone.
"""

import pickle
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, NamedTuple

import msgspec

from api.documents.item_pdf import ItemPrinter
from api.documents.quote_pdf import QuotePrinter
from api.documents.report_pdf import ReportPrinter
from api.documents.timesheet import DocumentError
from api.documents.timesheet_csv import timesheet_csv
from api.documents.timesheet_print import TimesheetPrinter
from api.documents.typst_printer import fonts
from api.limits.forking_process import ChildLimits, serve

LIMITS = ChildLimits(cpu_s=10, wall_s=30, memory_bytes=2 * 1024 * 1024 * 1024)
SMALL_LIMITS = ChildLimits(cpu_s=1, wall_s=10, memory_bytes=1024 * 1024 * 1024)
# Of a small document: two hundred lines of a timesheet, which take a quarter of a second.
_SMALL_TEXT_BYTES, _SMALL_PICTURE_BYTES = 16 * 1024, 2 * 1024 * 1024

_RENDERERS: Mapping[str, Callable[..., bytes]] = {
    "timesheet_csv": timesheet_csv,
    "timesheet_pdf": TimesheetPrinter().pdf,
    "quote": QuotePrinter().pdf,
    "accepted_quote": QuotePrinter().accepted_pdf,
    "item": ItemPrinter().pdf,
    "report": ReportPrinter().pdf,
}


class DocumentRequest(NamedTuple):
    """A document to make, as one message. text_bytes: without pictures, of which there are
    picture_bytes.
    """

    message: bytes
    text_bytes: int
    picture_bytes: int

    @property
    def is_small(self) -> bool:
        """Whether it takes a fraction of a second."""
        is_short = self.text_bytes <= _SMALL_TEXT_BYTES
        return is_short and self.picture_bytes <= _SMALL_PICTURE_BYTES


class DocumentAnswer(msgspec.Struct, frozen=True):
    """A document, or the attributes of the DocumentError."""

    content: bytes = b""
    field: str = ""
    problem: str = ""

    def result(self) -> bytes:
        """Return the document. Raises DocumentError."""
        if self.problem:
            raise DocumentError(self.field, self.problem)
        return self.content


class _Measuring(pickle.Pickler):
    """A pickler that finds out how many bytes are pictures."""

    picture_bytes = 0

    def persistent_id(self, obj: Any) -> None:
        if isinstance(obj, bytes):
            self.picture_bytes += len(obj)


def packed(renderer: str, *given: object, **named: object) -> DocumentRequest:
    """Return the request for a document. renderer: its name in `_RENDERERS`."""
    stream = BytesIO()
    pickler = _Measuring(stream)
    pickler.dump((renderer, given, named))
    content = stream.getvalue()
    pictures = pickler.picture_bytes
    return DocumentRequest(content, len(content) - pictures, pictures)


def rendered(message: bytes) -> DocumentAnswer:
    """Render the document of a request."""
    renderer, given, named = pickle.loads(message)
    try:
        return DocumentAnswer(_RENDERERS[renderer](*given, **named))
    except DocumentError as error:
        return DocumentAnswer(field=error.field, problem=error.problem)


def _answer(message: bytes) -> bytes:
    return msgspec.msgpack.encode(rendered(message))


if __name__ == "__main__":
    serve(fonts, _answer, SMALL_LIMITS if sys.argv[1:] == ["small"] else LIMITS)
