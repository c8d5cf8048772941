"""Inspections: the questions of a template, and whether the answers of a form fit them.

Nothing here stops at the first fault: all faults are returned, each with the JSON pointer of its
place in the body. An answer is `{"value": ..., "note": ...}`; `docs/inspections.md` has the values
of each type of question. Whether the attachments of a photo exist is not known here.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple, TypeGuard, get_args

from operations.signatures import (
    MAX_SIDE_PIXELS,
    MAX_SIGNATURE_BYTES,
    SignatureError,
    read_signature,
)

QuestionType = Literal[
    "text", "number", "choice", "pass_fail", "photo", "signature", "position", "date"
]
TYPES: tuple[QuestionType, ...] = get_args(QuestionType)

MAX_QUESTIONS = 200
MAX_OPTIONS = 50
MAX_OPTION_LENGTH = 100
MAX_TEXT_LENGTH = 2_000
MAX_NOTE_LENGTH = 1_000
MAX_PHOTOS = 10
MAX_NUMBER = 1e12
MAX_ID_LENGTH = 40

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Types whose answer a condition can name.
_COMPARED: tuple[QuestionType, ...] = ("text", "number", "choice", "pass_fail", "date")


class FormFault(NamedTuple):
    """One thing that is wrong. pointer: its place, from the root of the body."""

    pointer: str
    message: str


class Condition(NamedTuple):
    """The answer to an earlier question that makes a question appear."""

    question_id: str
    equals: object


class Question(NamedTuple):
    """A question. minimum and maximum: of a number, inclusive. options: of a choice."""

    id: str
    type: QuestionType
    label: str
    required: bool = True
    options: Sequence[str] | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str | None = None
    show_if: Condition | None = None


class Defect(NamedTuple):
    """A question that was answered `fail`, with the note of the answer."""

    question_id: str
    label: str
    note: str | None


def questions_of(sections: Sequence[Mapping[str, Any]]) -> list[Question]:
    """Return the questions of stored sections, in their order."""
    return [question for _, question in _placed(sections)]


def _placed(sections: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Question]]:
    for place, section in enumerate(sections):
        for number, given in enumerate(section["questions"]):
            condition: Mapping[str, Any] | None = given["show_if"]
            show_if = None if condition is None else Condition(**condition)
            question = Question(**given)._replace(show_if=show_if)
            yield f"/sections/{place}/questions/{number}", question


# Templates ----------------------------------------------------------------------------------------


def template_faults(sections: Sequence[Mapping[str, Any]]) -> list[FormFault]:
    """Return what is wrong with the sections of a template. Their shapes are right already."""
    earlier: dict[str, Question] = {}
    faults: list[FormFault] = []
    for pointer, question in _placed(sections):
        if question.id in earlier:
            faults.append(FormFault(f"{pointer}/id", "must be the id of one question alone"))
        for field, message in _own_faults(question):
            faults.append(FormFault(f"{pointer}/{field}", message))
        if question.show_if is not None:
            faults += _condition_faults(f"{pointer}/show_if", question.show_if, earlier)
        earlier.setdefault(question.id, question)
    if len(earlier) > MAX_QUESTIONS:
        message = f"must have at most {MAX_QUESTIONS} questions together, not {len(earlier)}"
        faults.append(FormFault("/sections", message))
    return faults


def _own_faults(question: Question) -> Iterator[tuple[str, str]]:
    """Yield the field and the message of each fault that a question has by itself."""
    if question.type == "choice":
        if question.options is None or len(question.options) < 2:
            yield "options", "must be two options at least, since the type is choice"
        elif len(set(question.options)) < len(question.options):
            yield "options", "must differ from each other"
    elif question.options is not None:
        yield "options", "must be left out: only a choice has options"
    if question.type != "number":
        for field in ("minimum", "maximum", "unit"):
            if getattr(question, field) is not None:
                yield field, "must be left out: only a number has it"
    elif _less(question.maximum, question.minimum):
        yield "maximum", f"must not be less than the minimum, {question.minimum:g}"


def _less(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value < limit


def _condition_faults(
    pointer: str, condition: Condition, earlier: Mapping[str, Question]
) -> list[FormFault]:
    """Return what is wrong with a condition. Only earlier questions count, so there is no cycle."""
    asked = earlier.get(condition.question_id)
    if asked is None:
        return [FormFault(f"{pointer}/question_id", "must be the id of an earlier question")]
    if asked.type not in _COMPARED:
        types = ", ".join(_COMPARED)
        message = f"must be a question of type {types}; {asked.id} is of type {asked.type}"
        return [FormFault(f"{pointer}/question_id", message)]
    faults = list(_value_faults(asked, condition.equals))
    return [FormFault(f"{pointer}/equals{path}", message) for path, message in faults]


# Answers ------------------------------------------------------------------------------------------


def answer_faults(
    questions: Sequence[Question], answers: Mapping[str, Any], *, is_complete: bool
) -> list[FormFault]:
    """Return what is wrong with the answers of a form, in the order of the answers.

    is_complete: the form is to be submitted, so no required answer may be missing, and none may be
    there whose question is hidden.
    """
    known = {question.id: question for question in questions}
    faults: list[FormFault] = []
    for question_id, answer in answers.items():
        pointer = f"/answers/{_escaped(question_id)}"
        if question_id not in known:
            faults.append(FormFault(pointer, "must answer a question of the template"))
            continue
        for path, message in _answer_faults(known[question_id], answer):
            faults.append(FormFault(pointer + path, message))
    return faults + (_missing_or_hidden(questions, answers) if is_complete else [])


def _missing_or_hidden(
    questions: Sequence[Question], answers: Mapping[str, Any]
) -> list[FormFault]:
    shown = shown_ids(questions, answers)
    faults: list[FormFault] = []
    for question in questions:
        pointer, is_answered = f"/answers/{question.id}", question.id in answers
        if question.required and question.id in shown and not is_answered:
            faults.append(FormFault(pointer, f"must be answered: {question.label}"))
        if question.show_if is not None and is_answered and question.id not in shown:
            asked, equals = question.show_if
            message = f"must be left out: it is asked only if {asked} is {equals}"
            faults.append(FormFault(pointer, message))
    return faults


def shown_ids(questions: Sequence[Question], answers: Mapping[str, Any]) -> set[str]:
    """Return the ids of the questions that are asked, by the answers to those before."""
    shown: set[str] = set()
    for question in questions:
        condition = question.show_if
        if condition is None or (
            condition.question_id in shown
            and _same(_value_of(answers.get(condition.question_id)), condition.equals)
        ):
            shown.add(question.id)
    return shown


def _same(value: object, equals: object) -> bool:
    """Return whether two values are one: 1 and 1.0 are, 1 and true are not."""
    return isinstance(value, bool) == isinstance(equals, bool) and value == equals


def _value_of(answer: object) -> object:
    return answer.get("value") if _is_object(answer) else None


def defects_of(questions: Sequence[Question], answers: Mapping[str, Any]) -> list[Defect]:
    """Return the failed questions among those that are asked. The answers have no fault."""
    shown = shown_ids(questions, answers)
    return [
        Defect(each.id, each.label, answers[each.id].get("note"))
        for each in questions
        if each.type == "pass_fail"
        and each.id in shown
        and _value_of(answers.get(each.id)) == "fail"
    ]


def _answer_faults(question: Question, answer: object) -> Iterator[tuple[str, str]]:
    """Yield the path and the message of each fault of an answer."""
    if not _is_object(answer):
        yield "", 'must be an object with a value, like {"value": "pass", "note": "new pads"}'
        return
    for name in answer.keys() - {"value", "note"}:
        yield f"/{_escaped(name)}", "is unknown: an answer has value and note"
    if "value" in answer:
        yield from _value_faults(question, answer["value"], "/value")
    else:
        yield "/value", "must be there"
    note = answer.get("note")
    if note is not None and not _is_text(note, MAX_NOTE_LENGTH):
        yield "/note", f"must be a text of 1 to {MAX_NOTE_LENGTH} characters, without U+0000"


def _value_faults(question: Question, value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the message of each fault of a value."""
    if question.type == "position":
        yield from _position_faults(value, path)
        return
    says = _number_fault(question, value) if question.type == "number" else None
    if question.type == "choice" and value not in (question.options or ()):
        says = f"must be one of {', '.join(question.options or ())}"
    elif question.type in _SIMPLE:
        is_right, wanted = _SIMPLE[question.type]
        says = None if is_right(value) else wanted
    if says is not None:
        yield path, says


def _number_fault(question: Question, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be a number"
    if not -MAX_NUMBER <= value <= MAX_NUMBER:  # nor is NaN
        return f"must be a number from {-MAX_NUMBER:g} to {MAX_NUMBER:g}"
    unit = f" {question.unit}" if question.unit else ""
    if _less(value, question.minimum):
        return f"must be at least {question.minimum:g}{unit}, not {value:g}"
    if _less(question.maximum, value):
        return f"must be at most {question.maximum:g}{unit}, not {value:g}"
    return None


def _position_faults(value: object, path: str) -> Iterator[tuple[str, str]]:
    if not _is_object(value):
        yield path, 'must be an object like {"lat": 47.05, "lon": 8.31, "accuracy_m": 5}'
        return
    for name in value.keys() - {"lat", "lon", "accuracy_m"}:
        yield f"{path}/{_escaped(name)}", "is unknown: a position has lat, lon and accuracy_m"
    for name, least, most in (("lat", -90, 90), ("lon", -180, 180), ("accuracy_m", 0, 100_000)):
        given = value.get(name)
        if given is None and name == "accuracy_m":
            continue
        if _number_fault(Question(name, "number", name, True, None, least, most), given):
            yield f"{path}/{name}", f"must be a number from {least} to {most}"


def _is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_text(value: object, max_length: int) -> bool:
    return (
        isinstance(value, str)
        and len(value.strip()) > 0
        and len(value) <= max_length
        and "\x00" not in value
    )


def _is_day(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(_DAY.fullmatch(value) and date.fromisoformat(value))
    except ValueError:
        return False


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _texts(value: object) -> list[str]:
    """Return the ids of a photo; nothing where the value is none."""
    listed = value if _is_list(value) else []
    texts = [each for each in listed if isinstance(each, str) and len(each) <= MAX_ID_LENGTH]
    is_right = 0 < len(listed) <= MAX_PHOTOS and len(set(texts)) == len(listed)
    return texts if is_right else []


def _is_signature(value: object) -> bool:
    """Return whether a value is a drawn signature, as far as its first and last bytes say."""
    try:
        return isinstance(value, str) and bool(read_signature(value))
    except SignatureError:
        return False


# By type: whether a value is right, and what would be.
_SIMPLE: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "text": (
        lambda value: _is_text(value, MAX_TEXT_LENGTH),
        f"must be a text of 1 to {MAX_TEXT_LENGTH} characters, without U+0000",
    ),
    "pass_fail": (lambda value: value in ("pass", "fail"), "must be pass or fail"),
    "photo": (
        lambda value: bool(_texts(value)),
        f"must be a list of 1 to {MAX_PHOTOS} different ids of attachments, like att_...",
    ),
    "signature": (
        _is_signature,
        f"must be a PNG of at most {MAX_SIGNATURE_BYTES:,} bytes and {MAX_SIDE_PIXELS:,} pixels a"
        " side, as base64",
    ),
    "date": (_is_day, "must be a day, like 2026-01-31"),
}


def signatures_in(answers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the answers that look like drawn signatures, by the ids of their questions. A question
    of another type may have such an answer, too.
    """
    for question_id, answer in answers.items():
        value = _value_of(answer)
        if isinstance(value, str) and _is_signature(value):
            yield question_id, value


def photo_ids(
    questions: Sequence[Question], answers: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield each id of a photo, as it was sent, with its pointer; nothing of faulty answers."""
    for question in questions:
        value = _value_of(answers.get(question.id))
        if question.type == "photo":
            for place, text in enumerate(_texts(value)):
                yield f"/answers/{question.id}/value/{place}", text


def _escaped(step: str) -> str:
    """Return a step of a JSON pointer (RFC 6901)."""
    return step.replace("~", "~0").replace("/", "~1")
