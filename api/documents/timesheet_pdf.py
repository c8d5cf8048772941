"""The PDF of a timesheet, set by typst from `templates/timesheet.typ`."""

from api.documents.letterhead import NO_LETTERHEAD, Letterhead
from api.documents.timesheet import TimesheetDocument
from api.documents.timesheet_print import Paper, printed
from api.documents.typst_printer import TypstPrinter, template

_TEMPLATE = template("timesheet")


class TimesheetPrinter(TypstPrinter):
    """A printer of timesheets."""

    def pdf(
        self, document: TimesheetDocument, paper: Paper, letterhead: Letterhead = NO_LETTERHEAD
    ) -> bytes:
        """Return the PDF of a document."""
        texts = printed(document, paper, letterhead)
        return self.printed(
            _TEMPLATE, letterhead.language, texts, document.generated_at, letterhead.files
        )
