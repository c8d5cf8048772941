"""Documents of an organization whose language is German, read back from the PDF."""

from datetime import date
from typing import Any

import pytest

from api.documents.item_pdf import ItemPrinter
from api.documents.letterhead import Letterhead
from api.documents.quote_pdf import QuotePrinter
from api.documents.timesheet import AdjustmentLine, DocumentDay, PaidHours
from api.documents.timesheet_csv import timesheet_csv
from api.documents.timesheet_print import TimesheetPrinter
from languages.catalogue import say
from languages.language import Language
from operations.quotes.document import QuoteDocument, document_line, read_document
from operations.quotes.evidence import QuoteAcceptance
from operations.quotes.sums import QuoteLine, quote_sums
from tests.api.documents.examples import at, crowded_month, document, plain_week
from tests.api.documents.reports import AT, inspection, work_order
from tests.api.documents.test_reports import pages

GERMAN = Letterhead(language="de")


def _text(pdf: bytes) -> str:
    return " ".join(pages(pdf))


def _missing(text: str, lines: tuple[str, ...]) -> list[str]:
    return [line for line in lines if line not in text]


def test_a_timesheet_is_german() -> None:
    text = _text(TimesheetPrinter(uses_system_fonts=False).pdf(plain_week(), "a4", GERMAN))
    lines = (
        "Stundenzettel",
        "Genehmigt von Maria Brunner, 9. März 2026, 09:12 Uhr",
        "Zeitraum Mo, 2. März bis So, 8. März 2026",
        "Tag Kommen Gehen Pause Stunden Baustelle und Bemerkungen Normal Überstunden Doppelt",
        "Mo, 2. März 07:30 16:30 0:45 8:15 Depot North · bestätigt",
        "In Dezimalstunden 41,50 40,65 0,85 0,00",
        "Erstellt am 1. April 2026, 09:30 Uhr",
        "Seite 1 von 1",
    )
    assert _missing(text, lines) == []


def test_the_doubts_of_a_timesheet_are_german_and_its_csv_is_as_it_was() -> None:
    text = _text(TimesheetPrinter(uses_system_fonts=False).pdf(crowded_month(), "a4", GERMAN))
    lines = (
        "Eingereicht: nicht genehmigt",
        "1 widerlegt; geprüft",
        "1 nicht bestätigt, Zeit bestritten, laut Server 2:16:12",
        "Gehen fehlt",
        "Gehen ohne Schicht · nicht eingestempelt",
        "dieser Stunden sind zweifelhaft",
        "außerhalb (Entfernung 412,3 m, Genauigkeit 12 m, Toleranz 25 m)",
        "„Gate was blocked, she parked at the mall.“",
        "Nicht geprüft.",
    )
    assert _missing(text, lines) == []
    assert b"disputed" in timesheet_csv(crowded_month())


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", "Adjustment: Travel · by Anna Keller (own hours), 3 Mar 2026 09:00"),
        ("de", "Korrektur: Travel · von Anna Keller (eigene Stunden), 3. März 2026, 09:00 Uhr"),
    ],
)
def test_a_timesheet_says_who_adjusted_their_own_hours(language: Language, says: str) -> None:
    day = date(2026, 3, 2)
    line = AdjustmentLine(1_800, "Travel", "Anna Keller", at(day, 33), is_own=True)
    sheet = document(day, day, DocumentDay(day, PaidHours(1_800), adjustments=(line,)))
    printer, letterhead = TimesheetPrinter(uses_system_fonts=False), Letterhead(language=language)
    assert says in _text(printer.pdf(sheet, "a4", letterhead))


def test_an_inspection_is_german() -> None:
    text = _text(ItemPrinter(uses_system_fonts=False).pdf(inspection(letterhead=GERMAN)))
    lines = (
        "Prüfbericht",
        "Nicht bestanden: 1 Mangel",
        "Eingereicht am 2. März 2026, 08:05 Uhr (Europe/Zurich)",
        "Do the brakes hold? Nicht in Ordnung",
        "Nicht darstellbar: att_3",
        "8,25 bar",
        "1. März 2027",
        "47.0504, 8.3093 (± 5 m)",
    )
    assert _missing(text, lines) == []


def test_a_work_order_is_german() -> None:
    text = _text(ItemPrinter(uses_system_fonts=False).pdf(work_order(letterhead=GERMAN)))
    lines = (
        "Arbeitsauftrag 48",
        "Erledigt",
        "Priorität hoch",
        "2. März 2026, 08:05 Uhr bis 2. März 2026, 16:05 Uhr",
        "Nummer Teil Geplant Verbraucht Einheit",
        "62,5 61 m",
        "Unterschrieben, obwohl 1 von 2 Punkten der Checkliste nicht erledigt ist.",
    )
    assert _missing(text, lines) == []


def german_quote(**changes: Any) -> QuoteDocument:
    lines = [
        QuoteLine("Aushub", 12_500, 24_000, 500, 810, unit="h"),
        QuoteLine("Abfuhr", 1_000, 120_000),
    ]
    values: dict[str, Any] = {
        "language": "de",
        "quote_id": "quo_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "number": 1042,
        "revision": 2,
        "organization": "Keller Tiefbau AG",
        "client_name": "Frei Immobilien AG",
        "client_address": None,
        "title": "Los 4",
        "currency": "CHF",
        "issued_on": date(2026, 3, 2),
        "valid_until": date(2026, 4, 2),
        "timezone": "Europe/Zurich",
        "lines": tuple(map(document_line, lines)),
        **quote_sums(lines)._asdict(),
        "terms": "Zahlbar in 30 Tagen.",
        "notes": None,
        **changes,
    }
    return QuoteDocument(**values)


def test_a_quote_is_german_with_its_acceptance() -> None:
    printer, document = QuotePrinter(uses_system_fonts=False), german_quote()
    accepted = QuoteAcceptance("Ann Lee", AT, "typed", say("de", "consent"), "ab" * 32)
    text = _text(printer.accepted_pdf(document, None, accepted, b""))
    lines = (
        "Angebot Q-1042 Fassung 2",
        "Datum 2. März 2026 Gültig bis 2. April 2026 (Europe/Zurich)",
        "Beschreibung Menge Einzelpreis Rabatt MwSt. Netto",
        "Aushub 12,5 h 240,00 5 % 8,1 % 2.850,00",
        "Zwischensumme 4.200,00 Rabatt −150,00 Netto 4.050,00",
        "MwSt. 8,1 % auf 2.850,00 230,85",
        "Gesamtbetrag CHF 4.280,85",
        "Bedingungen Zahlbar in 30 Tagen.",
        "Währung CHF Angenommen 2. März 2026",
        "Am 2. März 2026, 08:05 Uhr (Europe/Zurich)",
        "durch den Namen als elektronische Unterschrift",
        "Ich nehme dieses Angebot an",
    )
    assert _missing(text, lines) == []


@pytest.mark.parametrize(("is_draft", "is_said"), [(True, True), (False, False)])
def test_a_draft_of_a_german_quote_says_so(is_draft: bool, is_said: bool) -> None:
    pdf = QuotePrinter(uses_system_fonts=False).pdf(german_quote(), is_draft=is_draft)
    assert ("Entwurf" in _text(pdf)) is is_said


def test_the_language_of_a_quote_is_part_of_what_is_kept() -> None:
    document = german_quote()
    assert b'"language":"de"' in document.canonical()
    assert read_document(document.canonical()) == document
    assert read_document(document.canonical().replace(b'"language":"de",', b"")).language == "en"
