"""A work order on paper, set by typst from `templates/work_order.typ`, and the texts in it.

Everything is decided here but the look. Comments and costs are not printed: they are for the house.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from api.documents.letterhead import (
    NO_LETTERHEAD,
    Letterhead,
    PrintedLetterhead,
    printed_letterhead,
)
from api.documents.texts import duration, listed, one_line, paragraph
from api.documents.typst_printer import TypstPrinter, check_length, picture_name, template
from languages.catalogue import named, say
from languages.dates import full_time
from languages.language import Language
from languages.numbers import figure
from operations.stock import quantity_text
from operations.work_orders.states import ENDED, State

MAX_PRINTED_FILES = 100
_TEMPLATE = template("work_order")


class SheetTask(NamedTuple):
    """An item of the checklist. by: who has done it; "" where nobody has."""

    text: str
    done: bool
    by: str
    at: datetime | None


class SheetPart(NamedTuple):
    """A part that is planned or used; what it costs is not on paper."""

    number: str
    name: str
    unit: str
    planned_milli: int
    used_milli: int


class SheetSignature(NamedTuple):
    """The sign-off at the end. picture: a small copy; empty where nothing was drawn."""

    name: str
    at: datetime
    picture: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrderSheet:
    """A work order with the names of what it refers to; "" where it refers to nothing.

    reason: why it was cancelled, or could not be completed. photos: small copies. files: the names
    of other attachments.
    """

    order_id: str
    organization: str
    letterhead: Letterhead = NO_LETTERHEAD
    timezone: ZoneInfo
    number: int
    title: str
    description: str | None
    priority: str
    state: State
    reason: str
    client: str
    client_address: str
    site: str
    site_address: str
    assignees: Sequence[str]
    assets: Sequence[str]
    planned_start: datetime | None
    planned_end: datetime | None
    due_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    worked_s: int
    checklist: Sequence[SheetTask]
    parts: Sequence[SheetPart]
    signature: SheetSignature | None
    photos: Sequence[bytes]
    files: Sequence[str]
    changed_at: datetime

    @property
    def language(self) -> Language:
        """The language of the sheet."""
        return self.letterhead.language


class PrintedTask(msgspec.Struct, frozen=True):
    """A row of the checklist."""

    done: bool
    text: str
    remark: str


class PrintedPart(msgspec.Struct, frozen=True):
    """A row of the table of parts. used: room to write where nothing is used yet."""

    number: str
    name: str
    planned: str
    used: str
    unit: str


class PrintedWorkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of a whole document. facts: label and text. photos, signature: names of files.

    open_tasks: what is said beside the sign-off where the checklist was not done; else "".
    """

    label: str
    organization: str
    letterhead: PrintedLetterhead
    title: str
    state: str
    remark: str
    is_final: bool
    facts: tuple[tuple[str, str], ...]
    description: str
    checklist: tuple[PrintedTask, ...]
    parts: tuple[PrintedPart, ...]
    photos: tuple[str, ...]
    files: str
    signed_by: str
    signature: str
    open_tasks: str
    signature_lines: bool
    document_id: str


class WorkOrderPrinter(TypstPrinter):
    """A printer of work orders."""

    def pdf(self, sheet: WorkOrderSheet) -> bytes:
        """Return the PDF of a work order. Raises DocumentError where it is too long."""
        files = {f"{number}.jpg": content for number, content in enumerate(sheet.photos)}
        texts = _printed(sheet, tuple(files))
        check_length(texts)
        if texts.signature:
            assert sheet.signature is not None
            files[texts.signature] = sheet.signature.picture
        files |= sheet.letterhead.files
        return self.printed(_TEMPLATE, sheet.language, texts, sheet.changed_at, files)


def _printed(sheet: WorkOrderSheet, photos: tuple[str, ...]) -> PrintedWorkOrder:
    signature, name = sheet.signature, ""
    if signature is not None and signature.picture:
        name = picture_name("signature", signature.picture)
    return PrintedWorkOrder(
        label=say(sheet.language, "order-label", number=str(sheet.number)),
        organization=one_line(sheet.organization),
        letterhead=printed_letterhead(sheet.organization, sheet.letterhead),
        title=one_line(sheet.title),
        state=named(sheet.language, "order-state", sheet.state),
        remark=one_line(sheet.reason),
        is_final=sheet.state in ENDED,
        facts=tuple((label, text) for label, text in _facts(sheet) if text),
        description=paragraph(sheet.description),
        checklist=tuple(
            PrintedTask(task.done, paragraph(task.text), _by(sheet, task.by, task.at))
            for task in sheet.checklist
        ),
        parts=tuple(_part(sheet, part) for part in sheet.parts),
        photos=photos,
        files=listed(map(one_line, sheet.files)),
        signed_by="" if signature is None else _by(sheet, signature.name, signature.at),
        signature=name,
        open_tasks="" if signature is None else _open_tasks(sheet),
        signature_lines=sheet.state not in ENDED,
        document_id=sheet.order_id,
    )


def _open_tasks(sheet: WorkOrderSheet) -> str:
    count = sum(not task.done for task in sheet.checklist)
    if not count:
        return ""
    return say(sheet.language, "order-open-tasks", count=count, all=len(sheet.checklist))


def _part(sheet: WorkOrderSheet, part: SheetPart) -> PrintedPart:
    is_open = sheet.state not in ENDED and not part.used_milli
    return PrintedPart(
        number=one_line(part.number),
        name=one_line(part.name),
        planned=_quantity(sheet, part.planned_milli) if part.planned_milli else "–",
        used="" if is_open else _quantity(sheet, part.used_milli),
        unit=one_line(part.unit),
    )


def _quantity(sheet: WorkOrderSheet, milli: int) -> str:
    return figure(sheet.language, quantity_text(milli))


def _facts(sheet: WorkOrderSheet) -> Iterator[tuple[str, str]]:
    language = sheet.language
    yield say(language, "order-client"), one_line(sheet.client)
    yield say(language, "order-site"), one_line(sheet.site)
    yield say(language, "order-client-address"), paragraph(sheet.client_address)
    yield say(language, "order-site-address"), paragraph(sheet.site_address)
    yield say(language, "order-assigned-to"), listed(map(one_line, sheet.assignees))
    yield say(language, "order-assets"), listed(map(one_line, sheet.assets))
    yield say(language, "order-priority"), named(language, "priority", sheet.priority)
    yield say(language, "order-planned"), _planned(sheet)
    yield say(language, "order-due"), _time(sheet, sheet.due_at)
    yield say(language, "order-started"), _time(sheet, sheet.started_at)
    yield say(language, "order-ended"), _time(sheet, sheet.ended_at)
    hours = str(duration(sheet.worked_s, shows_seconds=False))
    worked = say(language, "order-hours", hours=hours) if sheet.worked_s else ""
    yield say(language, "order-worked"), worked
    yield say(language, "time-zone"), sheet.timezone.key


def _planned(sheet: WorkOrderSheet) -> str:
    start, end = _time(sheet, sheet.planned_start), _time(sheet, sheet.planned_end)
    if not (start and end):
        return start or end
    return say(sheet.language, "order-planned-span", start=start, end=end)


def _time(sheet: WorkOrderSheet, at: datetime | None) -> str:
    return "" if at is None else full_time(sheet.language, at, sheet.timezone)


def _by(sheet: WorkOrderSheet, name: str, at: datetime | None) -> str:
    return listed((one_line(name), _time(sheet, at)))
