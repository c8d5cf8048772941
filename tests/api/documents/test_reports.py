"""The printed inspection and work order, read back from the PDF."""

import io
import random
import re
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfReader

from api.documents.item_pdf import MAX_PDF_BYTES, ItemPrinter
from api.documents.timesheet import DocumentError
from api.documents.typst_printer import MAX_CHARACTERS
from api.resources.inspections.forms import MAX_PRINTED_PHOTOS
from tests.api.documents.reports import inspection, part, question, task, transition, work_order
from tests.api.documents.test_timesheet_pdf import NAMES
from tests.api.photos.pictures import picture, saved

pytestmark = pytest.mark.every_python

_printer = ItemPrinter(uses_system_fonts=False)


def pages(content: bytes) -> list[str]:
    read = PdfReader(io.BytesIO(content)).pages
    return [" ".join(page.extract_text().split()) for page in read]


def flat(content: bytes) -> str:
    return re.sub(r"\s", "", "".join(pages(content)))


def images(content: bytes) -> int:
    return sum(len(page.images) for page in PdfReader(io.BytesIO(content)).pages)


def test_an_inspection_shows_what_was_asked_and_answered() -> None:
    content = _printer.pdf(inspection())
    text = " ".join(pages(content))
    for line in (
        "Keller Tiefbau AG",
        "Failed: 1 defect",
        "Daily check of a crane",
        "Crane 7, Liebherr LTM 1060",
        "Bahnhofstrasse 12 6003 Luzern",
        "2 Mar 2026 08:05 (Europe/Zurich)",
        "Defects Do the brakes hold? The left one drags. Pads are worn to 2 mm.",
        "How worn are the pads? badly",
        "Photos of the pads Cannot be shown: att_3",
        "8.25 bar",
        "Is the cable free of broken wires? Pass",
        "Remarks –",
        "1 Mar 2027",
        "47.0504, 8.3093 (± 5 m)",
        "insp_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "Page 1 of 2",
    ):
        assert line in text
    assert "Why do they hold?" not in text
    assert images(content) == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"status": "draft", "submitted_at": None}, "Draft not submitted"),
        (
            {"status": "superseded", "superseded_by_id": "insp_2"},
            "Superseded Failed: 1 defect; corr",
        ),
        ({"supersedes_id": "insp_1"}, "Corrects insp_1"),
        ({"signatures": {}}, "Signed; the signature cannot be shown."),
        ({"defects": []}, "Passed"),
    ],
)
def test_an_inspection_says_what_it_is_worth(changes: dict[str, Any], says: str) -> None:
    assert says in " ".join(pages(_printer.pdf(inspection(**changes))))


def test_an_inspection_shows_a_bounded_number_of_photos() -> None:
    ids = [f"att_{number}" for number in range(MAX_PRINTED_PHOTOS + 105)]
    asked = [question(f"p{number}", "photo", "Photos") for number in range(0, len(ids), 10)]
    answers = {
        each["id"]: {"value": ids[10 * number : 10 * number + 10]}
        for number, each in enumerate(asked)
    }
    sections = [{"title": "All", "questions": asked}]
    photos = dict.fromkeys(ids[1:MAX_PRINTED_PHOTOS], picture())
    named = {"photos": photos, "left_out": ids[MAX_PRINTED_PHOTOS:]}
    content = _printer.pdf(inspection(sections=sections, answers=answers, **named))
    read = pages(content)
    assert "105 more photos are kept with the form." in read[-1]
    assert [text for text in read if "Cannot be shown" in text] == [read[0]]
    assert "Cannot be shown: att_0 " in read[0]
    assert f"Page {len(read)} of {len(read)}" in read[-1]
    assert len(read) > MAX_PRINTED_PHOTOS / 2


def test_two_photos_fill_a_page_of_an_inspection() -> None:
    ids = [f"att_{number}" for number in range(9)]
    sections = [{"title": "All", "questions": [question("p", "photo", "Photos")]}]
    photos = {each: picture("JPEG", (1028, 771 - place)) for place, each in enumerate(ids)}
    report = inspection(sections=sections, answers={"p": {"value": ids}}, photos=photos)
    counts = [len(page.images) for page in PdfReader(io.BytesIO(_printer.pdf(report))).pages]
    assert counts == [1, 2, 2, 2, 2]


def test_an_inspection_says_where_its_photos_are_and_how_many_are_not_printed() -> None:
    report = inspection(left_out=["att_2", "att_3"], photos={"att_1": picture()})
    text = flat(_printer.pdf(report))
    assert "2morephotosarekeptwiththeform." in text
    assert "Cannotbeshown" not in text
    assert "whosignin:https://ops.example.com/inspection-photos/insp_1" in text


def test_a_report_is_not_larger_than_letters_may_be() -> None:
    noise = random.Random(1)
    photos: dict[str, bytes] = {}
    while sum(map(len, photos.values())) <= MAX_PDF_BYTES:
        image = Image.frombytes("RGB", (1028, 771), noise.randbytes(3 * 1028 * 771))
        photos[f"att_{len(photos)}"] = saved(image, "JPEG", quality=100)
    sections = [{"title": "All", "questions": [question("p", "photo", "Photos")]}]
    answers = {"p": {"value": [*photos]}}
    report = inspection(sections=sections, answers=answers, photos=photos)
    with pytest.raises(DocumentError) as error:
        _printer.pdf(report)
    assert error.value.field == "bytes"


def test_a_work_order_shows_what_is_to_be_done_and_who_signed() -> None:
    content = _printer.pdf(work_order())
    (text,) = pages(content)
    for line in (
        "Work order 48",
        "Completed",
        "Replace the crane's cable",
        "Frei Immobilien AG",
        "Pilatusstrasse 3 6003 Luzern",
        "Anna Keller, Bruno Meier",
        "2 Mar 2026 08:05 to 2 Mar 2026 16:05",
        "7:35 h",
        "Bring the spare drum.",
        "Lock the main switch. Anna Keller, 2 Mar 2026 08:05",
        "Number Part Planned Used Unit ROPE-20-1770",
        "Wire rope 20 mm, 1770 N/mm2 62.5 61 m CLAMP 4 Clamp 4 0 piece",
        "GREASE Grease for wire ropes – 0.75 kg",
        "Certificate of the cable.pdf, Notes.txt",
        "Peter Frei, 2 Mar 2026 15:38",
    ):
        assert line in text
    assert images(content) == 3


def test_a_work_order_that_is_not_done_has_room_for_a_signature() -> None:
    (text,) = pages(_printer.pdf(work_order(status="assigned", transition=None)))
    assert "Sign-off Name Signature Date" in text
    assert "CLAMP 4 Clamp 4 piece GREASE Grease for wire ropes – 0.75 kg" in text
    (text,) = pages(
        _printer.pdf(work_order(status="cancelled", transition=transition(reason="Rain.")))
    )
    assert "Cancelled Rain." in text
    assert "Sign-off" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_never_markup(name: str) -> None:
    wanted = re.sub(r"\s", "", " ".join(name.split()))
    report = inspection(
        organization=name,
        template_name=name,
        asset_name=name,
        sections=[{"title": name, "questions": [question("q", "text", name)]}],
        answers={"q": {"value": name, "note": name}},
    )
    assert flat(_printer.pdf(report)).count(wanted) >= 7
    named: dict[str, Any] = {
        "checklist": [task(name, "2026-03-02T07:05:00Z", "usr_1")],
        "users": {"usr_1": name},
        "parts": [part("N 1", name, "piece", 1, 0)],
        "files": [name],
    }
    sheet = work_order(organization=name, title=name, client_name=name, **named)
    assert flat(_printer.pdf(sheet)).count(wanted) >= 7


@pytest.mark.parametrize("word", ["W", "word ", "語", "شغل ", "👩\u200d👩\u200d👧", "a\n"])
def test_texts_may_be_long_and_of_any_letters(word: str) -> None:
    long = (word * 2_000)[:2_000]
    asked = [question(f"q{number}", "text", long[:500]) for number in range(2)]
    answers = {each["id"]: {"value": long, "note": long[:1_000]} for each in asked}
    sections = [{"title": long[:200], "questions": asked}]
    report = inspection(
        sections=sections, answers=answers, asset_name=long[:200], organization=long
    )
    named: dict[str, Any] = {
        "assignee_names": [long[:200]] * 5,
        "parts": [part(long[:100], long[:200], long[:20], 0.001, 1_000_000)] * 3,
    }
    sheet = work_order(title=long[:200], description=long, **named)
    for content in (_printer.pdf(report), _printer.pdf(sheet)):
        read = PdfReader(io.BytesIO(content)).pages
        assert f"Page {len(read)} of {len(read)}" in read[-1].extract_text()


def test_a_document_has_a_bounded_number_of_characters() -> None:
    for most, text in ((MAX_CHARACTERS, "x"), (MAX_CHARACTERS // 20, "x\n")):
        with pytest.raises(DocumentError) as error:
            _printer.pdf(work_order(description=text * most))
        assert error.value.field == "characters"


def test_the_same_report_has_the_same_bytes() -> None:
    first = _printer.pdf(inspection())
    _printer.pdf(work_order())
    assert _printer.pdf(inspection()) == first
    assert ItemPrinter(uses_system_fonts=False).pdf(inspection()) == first
