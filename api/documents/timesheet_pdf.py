"""The PDF of a timesheet, set by typst from `timesheet.typ`.

The same document gives the same bytes, as long as the fonts are the same. No package is downloaded,
and no font of the system is needed: the embedded ones have Latin, Greek and Cyrillic letters. What
they lack, such as Chinese characters, is taken from the fonts of the machine if it has any.
"""

from importlib.resources import files
from pathlib import Path

import msgspec
from typst import Compiler, Fonts

from api.documents.timesheet import TimesheetDocument
from api.documents.timesheet_print import Paper, printed

MEDIA_TYPE = "application/pdf"
_TEMPLATE = files("api.documents").joinpath("timesheet.typ").read_bytes()
_REMEMBERED = 10  # documents whose parts typst keeps for the next ones


class TimesheetPrinter:
    """A printer of timesheets, for one thread at a time. typst releases the interpreter meanwhile.

    uses_system_fonts: for letters that the embedded fonts do not have.
    """

    def __init__(self, *, uses_system_fonts: bool = True) -> None:
        self._uses_system_fonts = uses_system_fonts
        self._compiler: Compiler | None = None

    def pdf(self, document: TimesheetDocument, paper: Paper) -> bytes:
        """Return the PDF of a document."""
        data = msgspec.json.encode(printed(document, paper)).decode()
        compiler = self._compiler or self._new_compiler()
        self._compiler = None  # one that failed is not used again
        content = compiler.compile(
            _TEMPLATE,
            sys_inputs={"document": data},
            timestamp=int(document.generated_at.timestamp()),
        )
        _forget(compiler)
        self._compiler = compiler
        assert isinstance(content, bytes)
        return content

    def _new_compiler(self) -> Compiler:
        """Return a compiler. It is kept, since making one reads the list of all fonts."""
        fonts = Fonts(include_system_fonts=self._uses_system_fonts)
        return Compiler(root=Path(__file__).parent, font_paths=fonts)


def _forget(compiler: Compiler) -> None:
    """Drop the parts of a document that typst keeps, up to a hundred megabytes: no other document
    has a use for them. Empty pages take their place.
    """
    for _ in range(_REMEMBERED + 1):
        compiler.compile(b"", sys_inputs=None, format="svg")
