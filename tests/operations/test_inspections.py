"""Templates and answers of inspections: by a table of cases, and against a plain reading."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.inspections.answers import (
    TYPES,
    Condition,
    Question,
    answer_faults,
    defects_of,
    questions_of,
    shown_ids,
    template_faults,
)
from operations.signatures import MAX_SIGNATURE_BYTES

CASES = json.loads((Path(__file__).parents[1] / "cases" / "inspections.json").read_text("utf-8"))
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
BLANK = dict.fromkeys(("options", "minimum", "maximum", "unit", "show_if"))


def sections(questions):
    """Return one section with the questions, as it is stored."""
    whole = [{"label": each["id"], "required": True} | BLANK | each for each in questions]
    return [{"title": "x", "questions": whole}]


@pytest.mark.parametrize("case", CASES["templates"], ids=lambda case: case["name"])
def test_a_template_has_the_faults_of_the_table(case):
    found = template_faults(sections(case["questions"]))
    assert [fault.pointer for fault in found] == case["faults"]


@pytest.mark.parametrize("case", CASES["answers"], ids=lambda case: case["name"])
def test_answers_have_the_faults_of_the_table(case):
    questions = questions_of(sections(case["questions"]))
    found = answer_faults(questions, case["answers"], is_complete=case.get("is_complete", True))
    assert [fault.pointer for fault in found] == case["faults"]
    if not found:
        defects = [each.question_id for each in defects_of(questions, case["answers"])]
        assert defects == case.get("defects", [])


def test_every_type_has_a_good_and_a_bad_answer_in_the_table():
    seen = {
        (question["type"], bool(case["faults"]))
        for case in CASES["answers"]
        for question in case["questions"]
    }
    assert seen >= {(each, bad) for each in TYPES for bad in (True, False)}


def test_a_signature_has_a_bound():
    question = Question("a", "signature", "A")
    start, end = PNG[:33], PNG[-12:]
    for size, is_good in ((MAX_SIGNATURE_BYTES, True), (MAX_SIGNATURE_BYTES + 1, False)):
        content = start + bytes(size - len(start) - len(end)) + end
        answers = {"a": {"value": base64.b64encode(content).decode()}}
        assert (answer_faults([question], answers, is_complete=True) == []) == is_good


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), 1e13])
def test_a_number_has_a_bound(value):
    assert answer_faults([Question("a", "number", "A")], {"a": {"value": value}}, is_complete=True)


def test_a_template_has_at_most_two_hundred_questions():
    many = [{"id": f"q{number}", "type": "text"} for number in range(201)]
    assert template_faults(sections(many[:200])) == []
    assert [fault.pointer for fault in template_faults(sections(many))] == ["/sections"]


@st.composite
def pass_fail_questions(draw):
    """Draw questions, each shown always or by an answer to an earlier one."""
    questions = []
    for number in range(draw(st.integers(1, 8))):
        earlier = draw(st.sampled_from([None, *questions, *questions]))
        equals = draw(st.sampled_from(("pass", "fail")))
        show_if = None if earlier is None else Condition(earlier.id, equals)
        required = draw(st.booleans())
        questions.append(Question(f"q{number}", "pass_fail", "x", required, show_if=show_if))
    return questions


@given(pass_fail_questions(), st.lists(st.sampled_from(("pass", "fail")) | st.none(), min_size=8))
def test_exactly_the_shown_and_required_questions_must_be_answered(questions, values):
    given_values = dict(zip((each.id for each in questions), values, strict=False))
    answers = {name: {"value": value} for name, value in given_values.items() if value is not None}
    by_id = {each.id: each for each in questions}

    def is_shown(question):
        condition = question.show_if
        return condition is None or (
            given_values.get(condition.question_id) == condition.equals
            and is_shown(by_id[condition.question_id])
        )

    shown = {each.id for each in questions if is_shown(each)}
    assert shown_ids(questions, answers) == shown
    missing = {each.id for each in questions if each.required} & shown - answers.keys()
    hidden = answers.keys() - shown
    faults = answer_faults(questions, answers, is_complete=True)
    assert sorted(each.pointer for each in faults) == sorted(
        f"/answers/{each}" for each in missing | hidden
    )
    assert answer_faults(questions, answers, is_complete=False) == []
    failed = {name for name in shown & answers.keys() if answers[name]["value"] == "fail"}
    assert {each.question_id for each in defects_of(questions, answers)} == failed


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from((*TYPES, "other", "~/")), VALUES))
def test_whatever_is_sent_is_answered_with_faults_and_never_raises(answers):
    questions = [Question(each, each, each, options=("a", "b")) for each in TYPES]
    for answer in (answers, {name: {"value": value} for name, value in answers.items()}):
        assert answer_faults(questions, answer, is_complete=True)
