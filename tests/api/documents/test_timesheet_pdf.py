"""The printed timesheet, read back from the PDF."""

import io
import re
from dataclasses import replace
from datetime import UTC, date
from functools import cache
from unicodedata import category

import pytest
from pypdf import PdfReader

from api.documents.texts import one_line
from api.documents.timesheet import (
    MAX_TEXT_LENGTH,
    AdjustmentLine,
    DocumentDay,
    PaidHours,
    ShiftLine,
    TimesheetDecision,
    TimesheetDocument,
)
from api.documents.timesheet_print import Paper, TimesheetPrinter
from tests.api.documents import examples
from tests.api.documents.examples import at

MONDAY = date(2026, 3, 2)
SIZES: dict[Paper, tuple[int, int]] = {"a4": (595, 842), "us-letter": (612, 792)}
EXAMPLES = ("plain_week", "crowded_month", "empty_period")
NAMES = [
    "#panic() #let x = 1",
    "*Anna* _Keller_ `raw`",
    "$x^2$ 100 $",
    "back\\slash \\ \\u{41}",
    "\"Anna\" 'Keller' “Anna”",
    "two\nlines\r\nor three",
    "// comment /* another */ here",
    "<label> @reference [content] {code}",
    "= Heading - list + item / term: text",
    "--- -- ... ~ -?",
    "Дмитрий Щёголев",
    "Ωμέγα Παπαδόπουλος",
    "Łukasz Żółć-Gęśla",
    'null", "employee": "Eve',
]


@pytest.fixture(scope="module")
def printer() -> TimesheetPrinter:
    """A printer that knows the embedded fonts alone, on whatever machine."""
    return TimesheetPrinter(uses_system_fonts=False)


def pages(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


def flat(content: bytes) -> str:
    """Return all text without blanks, as lines are broken anywhere."""
    return re.sub(r"\s", "", "".join(pages(content)))


@cache
def month() -> str:
    content = TimesheetPrinter(uses_system_fonts=False).pdf(examples.crowded_month(), "a4")
    return " ".join(" ".join(pages(content)).split())


def with_name(name: str) -> TimesheetDocument:
    week = examples.plain_week()
    shift = replace(week.days[0].shifts[0], site=name)
    adjustment = AdjustmentLine(60, name, name, at(MONDAY, 30))
    days = (replace(week.days[0], shifts=(shift,), adjustments=(adjustment,)),)
    decision = TimesheetDecision(name, at(MONDAY, 40))
    return replace(week, employee=name, organization=name, days=days, decision=decision)


@pytest.mark.parametrize("paper", SIZES)
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_page_has_its_size_its_number_and_the_document(
    printer: TimesheetPrinter, example: str, paper: Paper
) -> None:
    document = getattr(examples, example)()
    content = printer.pdf(document, paper)
    read = PdfReader(io.BytesIO(content)).pages
    for number, page in enumerate(read, start=1):
        assert (round(page.mediabox.width), round(page.mediabox.height)) == SIZES[paper]
        text = page.extract_text()
        assert f"Page {number} of {len(read)}" in text
        assert document.document_id in text
        assert "Generated 1 Apr 2026 09:30" in text


def test_a_week_shows_days_sums_and_who_approved(printer: TimesheetPrinter) -> None:
    text = " ".join(pages(printer.pdf(examples.plain_week(), "a4"))[0].split())
    for line in (
        "Keller Tiefbau AG",
        "Approved by Maria Brunner, 9 Mar 2026 09:12",
        "Employee Anna Keller",
        "Number E-204",
        "Period Mon 2 Mar to Sun 8 Mar 2026 Time zone Europe/Zurich",
        "Mon 2 Mar 07:30 16:30 0:45 8:15 Depot North · verified 8:15 – –",
        "Wed 4 Mar 07:30 17:30 0:45 9:15 Depot North · verified 8:24 0:51 –",
        "Sat 7 Mar Sun 8 Mar",
        "Sum 3:45 41:30 40:39 0:51 –",
        "In decimal hours 41.50 40.65 0.85 0.00",
        "Employee: I confirm these hours.",
        "Approved for payroll.",
    ):
        assert line in text
    assert "?" not in text


@pytest.mark.parametrize(
    "line",
    [
        "Submitted: not approved",
        # Seconds are there where any time has some.
        "Mon 2 Mar 07:00:36 11:31:12 – 4:30:36 Depot North · verified",
        # A doubt that was reviewed, one that was not, a missing punch, and one too many.
        "4:30:36 Depot North · 1 failed; reviewed1",
        "? 4:30:36 Depot North · 1 unverified, disputed, by the server 2:16:122",
        "07:00:00 06:30:00 +1 – ? 13:00:00 Depot North · missing out 8:24:00 3:36:00 1:00:00",
        "18:24:00 Out without a shift · not in3",
        "22:00:00 24:00:00 – 2:00:00 Gotthard, night closure",
        "+0:30:00 Adjustment: Travel from the depot to the site ·",
        "−0:15:00 Adjustment: Breakfast was not punched",
        "by Maria Brunner, 21 Mar 2026 10:00",
        "Sun 29 Mar 01:15:00 CET 05:30:00 CEST – 3:15:00",
        "Sum – 202:48:36 186:09:36 15:39:00 1:00:00",
        "In decimal hours 202.81 186.16 15.65 1.00",
        "? 17:30:36 of these hours are doubtful",
        "Adjustments make +0:15:00 of the sum.",
        "1 In Tue 3 Mar 07:00:36: failed; outside (distance 412.3 m, accuracy 12 m, tolerance"
        " 25 m). Accepted by Maria Brunner, 4 Mar 2026 09:15: “Gate was blocked",
        "2 In Tue 10 Mar 07:00:36: unverified; disputed, uncertain (distance 18 m, accuracy 65 m,"
        " tolerance 25 m), offline (delay 2:14:11, limit 0:02:00); the server saw Tue 10 Mar"
        " 09:15:00. Not reviewed.",
        "3 Out Wed 25 Mar 18:24:00: verified; not in. Not reviewed.",
    ],
)
def test_a_crowded_month_shows(line: str) -> None:
    assert line in month()


def test_no_page_of_a_month_is_without_the_day_of_its_first_row(printer: TimesheetPrinter) -> None:
    for page in pages(printer.pdf(examples.crowded_month(), "a4")):
        after_head = page.partition("Double\n")[2]
        assert re.match(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d+ Mar|Sum ", after_head)


def test_an_empty_period_shows_its_days(printer: TimesheetPrinter) -> None:
    text = " ".join(pages(printer.pdf(examples.empty_period(), "a4"))[0].split())
    assert "Open: not final" in text
    assert "Mon 9 Mar Tue 10 Mar Wed 11 Mar Thu 12 Mar Fri 13 Mar Sat 14 Mar Sun 15 Mar" in text
    assert "Sum – – – – – In decimal hours 0.00 0.00 0.00 0.00" in text


def test_what_rounding_adds_is_a_row(printer: TimesheetPrinter) -> None:
    day = DocumentDay(MONDAY, PaidHours(18_000), (examples.shift(MONDAY, 8, 12.9),))
    document = examples.document(MONDAY, MONDAY, day)
    assert "+0:06 Rounding 5:00 – –" in " ".join(pages(printer.pdf(document, "a4"))[0].split())


def test_an_open_shift_has_no_end(printer: TimesheetPrinter) -> None:
    shift = ShiftLine(at(MONDAY, 8), None, 0, 0, "Depot", verified=1, flags=("open",))
    document = examples.document(MONDAY, MONDAY, DocumentDay(MONDAY, shifts=(shift,)))
    text = " ".join(pages(printer.pdf(document, "a4"))[0].split())
    assert "Mon 2 Mar 08:00 open – ? – Depot · open – – –" in text


def test_an_email_address_is_copied_as_it_is(printer: TimesheetPrinter) -> None:
    email = "anna.keller.payroll@keller-tiefbau.example"
    text = "".join(pages(printer.pdf(with_name(email), "a4")))
    invisible = {character for character in text if category(character) == "Cf"}
    assert (email in text, invisible) == (True, set())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_markup(printer: TimesheetPrinter, name: str) -> None:
    wanted = re.sub(r"\s", "", one_line(name))
    assert flat(printer.pdf(with_name(name), "a4")).count(wanted) >= 5


def test_a_letter_without_a_font_does_not_stop_the_document(printer: TimesheetPrinter) -> None:
    found = flat(printer.pdf(with_name("Anna 👷🏽 李雷 Keller"), "a4"))
    assert found.count("Keller") >= 5


@pytest.mark.parametrize("word", ["W", "word ", "👩\u200d👩\u200d👧"])
def test_a_text_may_be_long(printer: TimesheetPrinter, word: str) -> None:
    long = (word * MAX_TEXT_LENGTH)[:MAX_TEXT_LENGTH]
    content = printer.pdf(replace(examples.plain_week(), organization=long, employee=long), "a4")
    assert "Page 2 of" in pages(content)[1]
    assert max(len(line) for page in pages(content) for line in page.splitlines()) < 200


@pytest.mark.parametrize("paper", SIZES)
def test_the_same_document_has_the_same_bytes(
    printer: TimesheetPrinter, paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = printer.pdf(examples.crowded_month(), paper)
    printer.pdf(examples.empty_period(), paper)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    another = TimesheetPrinter(uses_system_fonts=False)
    assert {first, printer.pdf(examples.crowded_month(), paper)} == {first}
    assert another.pdf(examples.crowded_month(), paper) == first


def test_the_file_says_what_it_is(printer: TimesheetPrinter) -> None:
    document = examples.plain_week()
    reader = PdfReader(io.BytesIO(printer.pdf(document, "a4")))
    assert reader.metadata is not None
    assert reader.metadata.title == "Timesheet Anna Keller"
    assert reader.metadata.author == "Keller Tiefbau AG"
    created = reader.metadata.creation_date
    assert created is not None
    assert created.astimezone(UTC) == document.generated_at


def test_fonts_of_the_machine_change_nothing_that_the_embedded_ones_have() -> None:
    document = examples.plain_week()
    both = (TimesheetPrinter(uses_system_fonts=uses) for uses in (False, True))
    assert len({each.pdf(document, "a4") for each in both}) == 1
