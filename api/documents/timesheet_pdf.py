"""The PDF of a timesheet, set by typst from `templates/timesheet.typ`."""

from api.documents.timesheet import TimesheetDocument
from api.documents.timesheet_print import Paper, printed
from api.documents.typst_printer import TypstPrinter, template

_TEMPLATE = template("timesheet")


class TimesheetPrinter(TypstPrinter):
    """A printer of timesheets."""

    def pdf(self, document: TimesheetDocument, paper: Paper) -> bytes:
        """Return the PDF of a document."""
        return self.printed(_TEMPLATE, printed(document, paper), document.generated_at)
