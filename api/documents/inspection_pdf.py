"""The report of an inspection, set by typst from `templates/inspection.typ`, and the texts in it.

Everything is decided here but the look. Questions that are not asked are left out, by the answers
to those before, as when the form was checked.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from api.documents.letterhead import (
    NO_LETTERHEAD,
    Letterhead,
    PrintedLetterhead,
    printed_letterhead,
)
from api.documents.texts import one_line, paragraph
from api.documents.timesheet import DocumentError
from api.documents.typst_printer import TypstPrinter, check_length, picture_name, template
from languages.catalogue import named, say
from languages.dates import full_day, full_time
from languages.language import USUAL, Language
from languages.numbers import number
from operations.inspections.answers import (
    Defect,
    Question,
    photo_ids,
    questions_of,
    shown_ids,
)
from operations.inspections.states import State

MAX_PRINTED_PHOTOS = 40
MAX_PDF_BYTES = 20_000_000
MAX_PICTURE_BYTES = 18_000_000  # of photos and signatures; the rest is for texts, fonts and a logo
_TEMPLATE = template("inspection")


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionReport:
    """A form with its template and the names of what it refers to; "" where it refers to nothing.

    photos, signatures: the files that there are, at the size in which they are printed, by the id
    of the attachment and of the question. left_out: the attachments of photos for which there is no
    room. photos_url: the page that shows all photos to those who sign in. changed_at: when the form
    changed last.
    """

    form_id: str
    organization: str
    letterhead: Letterhead = NO_LETTERHEAD
    timezone: ZoneInfo
    template_name: str
    template_version: int
    state: State
    asset: str
    site: str
    address: str
    employee: str
    submitted_by: str
    submitted_at: datetime | None
    corrects_id: str
    corrected_by_id: str
    changed_at: datetime
    sections: Sequence[Mapping[str, Any]]
    answers: Mapping[str, Any]
    defects: Sequence[Defect]
    photos: Mapping[str, bytes]
    left_out: Collection[str] = ()
    photos_url: str
    signatures: Mapping[str, bytes]

    @property
    def language(self) -> Language:
        """The language of the report."""
        return self.letterhead.language

    @property
    def asks_for_photos(self) -> bool:
        """Whether photos are among the answers."""
        return any(photo_ids(questions_of(self.sections), self.answers))


class PrintedAnswer(msgspec.Struct, frozen=True):
    """A row of a section. photos, signature: names of files."""

    label: str
    answer: str
    note: str
    is_defect: bool
    photos: tuple[str, ...]
    signature: str


class PrintedSection(msgspec.Struct, frozen=True):
    """A section with the questions that were asked."""

    title: str
    rows: tuple[PrintedAnswer, ...]


class PrintedInspection(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of a whole report. facts: label and text. more: how many photos were left out.
    photos_url: where all of them are; empty where there are none.
    """

    organization: str
    letterhead: PrintedLetterhead
    title: str
    state: str
    remark: str
    is_final: bool
    facts: tuple[tuple[str, str], ...]
    defects: tuple[tuple[str, str], ...]
    sections: tuple[PrintedSection, ...]
    more: str
    photos_url: str
    document_id: str


class InspectionPrinter(TypstPrinter):
    """A printer of inspections."""

    def pdf(self, report: InspectionReport) -> bytes:
        """Return the PDF of a report. Raises DocumentError where it is too long, or too large."""
        pictures = _Pictures(report)
        texts = _printed(report, pictures)
        check_length(texts)
        files = {**pictures.files, **report.letterhead.files}
        content = self.printed(_TEMPLATE, report.language, texts, report.changed_at, files)
        if len(content) > MAX_PDF_BYTES:
            problem = f"there are {len(content):,}; a report has at most {MAX_PDF_BYTES:,}"
            raise DocumentError("bytes", problem)
        return content


class _Pictures:
    """The files of a report, which get their names as they are asked for."""

    def __init__(self, report: InspectionReport) -> None:
        self._report = report
        self._photos = 0
        self.left_out = 0
        self.files: dict[str, bytes] = {}

    @property
    def has_photos(self) -> bool:
        """The form has photos, whether they are printed or not."""
        return self._photos + self.left_out > 0

    def photos(self, attachment_ids: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """Return the names of those that are printed, and a text about those that cannot be."""
        names: list[str] = []
        missing: list[str] = []
        for each in attachment_ids:
            if self._photos >= MAX_PRINTED_PHOTOS or each in self._report.left_out:
                self.left_out += 1
                continue
            self._photos += 1
            if each in self._report.photos:
                names.append(self._named(self._report.photos[each]))
            else:
                missing.append(each)
        if not missing:
            return tuple(names), ""
        photos = ", ".join(missing)
        return tuple(names), say(self._report.language, "inspection-photos-missing", photos=photos)

    def signature(self, question_id: str) -> str:
        """Return the name of a signature; "" where it cannot be shown."""
        content = self._report.signatures.get(question_id)
        return "" if content is None else self._named(content)

    def _named(self, content: bytes) -> str:
        name = picture_name(str(len(self.files)), content)
        self.files[name] = content
        return name


def _printed(report: InspectionReport, pictures: _Pictures) -> PrintedInspection:
    questions = questions_of(report.sections)
    shown = shown_ids(questions, report.answers)
    by_id = {question.id: question for question in questions}
    sections = tuple(
        PrintedSection(
            one_line(section["title"]),
            tuple(
                _answer(by_id[each["id"]], report, pictures)
                for each in section["questions"]
                if each["id"] in shown
            ),
        )
        for section in report.sections
    )
    return PrintedInspection(
        organization=one_line(report.organization),
        letterhead=printed_letterhead(report.organization, report.letterhead),
        title=one_line(report.template_name),
        state=_state(report),
        remark=_remark(report),
        is_final=report.state == "submitted",
        facts=tuple(_facts(report)),
        defects=tuple((paragraph(each.label), paragraph(each.note)) for each in report.defects),
        sections=tuple(section for section in sections if section.rows),
        more=_more(report, pictures.left_out),
        photos_url=report.photos_url if pictures.has_photos else "",
        document_id=report.form_id,
    )


def _more(report: InspectionReport, left_out: int) -> str:
    return say(report.language, "inspection-more-photos", count=left_out) if left_out else ""


def _result(report: InspectionReport) -> str:
    if not report.defects:
        return say(report.language, "inspection-passed")
    return say(report.language, "inspection-failed", count=len(report.defects))


def _state(report: InspectionReport) -> str:
    if report.state == "submitted":
        return _result(report)
    return named(report.language, "inspection-state", report.state)


def _remark(report: InspectionReport) -> str:
    language, form = report.language, report.corrected_by_id
    if report.state == "draft":
        return say(language, "inspection-not-submitted")
    if not form:
        return ""
    return say(language, "inspection-corrected-by", result=_result(report), form=form)


def _facts(report: InspectionReport) -> Iterator[tuple[str, str]]:
    language, at, submitted = report.language, report.submitted_at, ""
    if at is not None:
        submitted = f"{full_time(language, at, report.timezone)} ({report.timezone.key})"
    for label, text in (
        (say(language, "inspection-asset"), one_line(report.asset)),
        (say(language, "inspection-site"), one_line(report.site)),
        (say(language, "inspection-address"), paragraph(report.address)),
        (say(language, "inspection-by"), one_line(report.employee)),
        (say(language, "inspection-submitted-by"), one_line(report.submitted_by)),
        (say(language, "inspection-submitted"), submitted),
        (say(language, "inspection-template-version"), str(report.template_version)),
        (say(language, "inspection-corrects"), report.corrects_id),
    ):
        if text:
            yield label, text


def _answer(question: Question, report: InspectionReport, pictures: _Pictures) -> PrintedAnswer:
    given = report.answers.get(question.id)
    text, names, signature = "–", (), ""
    if given is not None:
        value = given["value"]
        match question.type:
            case "photo":
                names, text = pictures.photos(value)
            case "signature":
                signature = pictures.signature(question.id)
                text = "" if signature else say(report.language, "inspection-signature-missing")
            case _:
                text = _value_text(report.language, question, value)
    return PrintedAnswer(
        label=paragraph(question.label),
        answer=text,
        note=paragraph(None if given is None else given.get("note")),
        is_defect=question.id in {defect.question_id for defect in report.defects},
        photos=names,
        signature=signature,
    )


def _value_text(language: Language, question: Question, value: Any) -> str:
    match question.type:
        case "number":
            return one_line(f"{number(language, value)} {question.unit or ''}")
        case "pass_fail":
            return named(language, "inspection-answer", value)
        case "date":
            return full_day(language, date.fromisoformat(value))
        case "position":
            accuracy = value.get("accuracy_m")
            within = "" if accuracy is None else f" (± {number(language, accuracy)} m)"
            # As programs read it.
            return f"{number(USUAL, value['lat'])}, {number(USUAL, value['lon'])}{within}"
        case _:
            return paragraph(value)
