"""The PDF of an item: the template gets the JSON that the API has of it, and sets it.

Beside the item stand the letterhead, and how the language writes each time, day and whole number
that is in the JSON: a template has no time zone, and no language of its own. Other numbers are
texts already: a template would round them.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from api.documents.letterhead import NO_LETTERHEAD, Letterhead, printed_letterhead
from api.documents.texts import paragraph
from api.documents.timesheet import DocumentError
from api.documents.typst_printer import TypstPrinter, check_length, template
from languages.dates import full_day, full_time
from languages.language import Language
from languages.numbers import number

MAX_PDF_BYTES = 20_000_000
MAX_PICTURE_BYTES = 18_000_000  # of all pictures; the rest is for texts, fonts and a logo
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDocument:
    """An item to print. content: its JSON, and that of what is printed with it. files: pictures,
    decoded before, by the names that stand in the content. changed_at: when it changed last.
    """

    template: Literal["work_order", "inspection"]
    organization: str
    letterhead: Letterhead = NO_LETTERHEAD
    timezone: str
    content: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    changed_at: datetime


class ItemPrinter(TypstPrinter):
    """A printer of items."""

    def pdf(self, document: ItemDocument) -> bytes:
        """Return the PDF. Raises DocumentError where it is too long, or too large."""
        letterhead, language = document.letterhead, document.letterhead.language
        texts: dict[str, Any] = {
            "letterhead": printed_letterhead(document.organization, letterhead),
            "time_zone": document.timezone,
            "times": {},
            "figures": {},
        }
        texts |= _printable(document.content, language, ZoneInfo(document.timezone), texts)
        check_length(texts)
        files = {**document.files, **letterhead.files}
        content = self.printed(
            template(document.template), language, texts, document.changed_at, files
        )
        if len(content) > MAX_PDF_BYTES:
            problem = f"there are {len(content):,}; a report has at most {MAX_PDF_BYTES:,}"
            raise DocumentError("bytes", problem)
        return content


def _printable(value: Any, language: Language, zone: ZoneInfo, texts: dict[str, Any]) -> Any:
    """Return JSON with texts that can be printed. Each time, day and whole number in it is added to
    `texts`, by how the JSON has it.
    """
    match value:
        case float():
            return number(language, value)
        case int() if not isinstance(value, bool):
            texts["figures"][str(value)] = number(language, value)
            return value
        case str():
            with suppress(ValueError):  # what people wrote is no time, whatever it looks like
                if _TIME.fullmatch(value):
                    texts["times"][value] = full_time(language, datetime.fromisoformat(value), zone)
                elif _DAY.fullmatch(value):
                    texts["times"][value] = full_day(language, date.fromisoformat(value))
            return paragraph(value)
        case dict():
            of: dict[str, Any] = value
            return {name: _printable(each, language, zone, texts) for name, each in of.items()}
        case list():
            some: list[Any] = value
            return [_printable(each, language, zone, texts) for each in some]
        case _:
            return value
