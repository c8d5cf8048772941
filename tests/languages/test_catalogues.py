"""Each text that the code says is in every catalogue, with its variables, and no other text is."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest
from fluent.syntax import FluentParser
from fluent.syntax import ast as ftl
from fluent.syntax.visitor import Visitor

from api.documents.report_pdf import is_for_people
from api.documents.typst_printer import VARIABLES
from api.resources.reports.days import DayReportItem
from api.resources.reports.parts import StopReportItem, TripReportItem
from api.resources.reports.stays import PresenceReportItem, VisitReportItem
from api.resources.reports.sums import DistanceReportItem, UtilizationReportItem
from api.resources.webhooks.bodies import EndpointItem
from geofence.punches.claim import RULES, Worth
from languages.catalogue import UnknownTextError, named, say
from languages.language import LANGUAGES, Language
from operations.hours.shifts import FLAGS
from operations.hours.timesheet_states import State as TimesheetState
from operations.quotes.document import quote_label
from operations.quotes.evidence import CONSENT_VERSION, AcceptedHow
from operations.work_orders.states import PRIORITIES, STATES
from telemetry.punch import PunchKind

ROOT = Path(__file__).parents[2]
REASONS = ROOT / "geofence/punches/reasons.py"
WRITERS = [
    *(path for wing in ("api", "languages", "webhooks") for path in ROOT.glob(f"{wing}/**/*.py"))
]
TEMPLATES = [*ROOT.glob("api/documents/templates/*.typ")]
OF_TEMPLATES = set(VARIABLES)


class _Parts(Visitor):
    """The variables of a text, and the texts that it refers to."""

    def __init__(self) -> None:
        self.variables: set[str] = set()
        self.texts: set[str] = set()

    def visit_VariableReference(self, node: ftl.VariableReference) -> None:
        self.variables.add(node.id.name)

    def visit_MessageReference(self, node: ftl.MessageReference) -> None:
        self.texts.add(node.id.name)


@cache
def _parts(language: Language) -> Mapping[str, _Parts]:
    source = (ROOT / f"languages/{language}.ftl").read_text("utf-8")
    found: dict[str, _Parts] = {}
    for entry in FluentParser().parse(source).body:
        assert not isinstance(entry, ftl.Junk), entry.content
        if isinstance(entry, ftl.Message):
            assert entry.id.name not in found, f"{entry.id.name} is there twice"
            found[entry.id.name] = _Parts()
            found[entry.id.name].visit(entry)
    return found


def variables(language: Language) -> dict[str, set[str]]:
    """Return the variables of each text, with those of the texts in it."""
    parts = _parts(language)

    def of(name: str) -> set[str]:
        return parts[name].variables.union(*map(of, parts[name].texts))

    return {name: of(name) for name in parts}


def _units(names: Iterable[str]) -> set[str]:
    return {re.sub("_(s|m|mps)$", "", name) for name in names}


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text("utf-8")))]


def _constants(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


REPORTS = {
    "day": DayReportItem,
    "trips": TripReportItem,
    "stops": StopReportItem,
    "visits": VisitReportItem,
    "distance": DistanceReportItem,
    "utilization": UtilizationReportItem,
    "presence": PresenceReportItem,
}
FAMILIES: dict[str, Iterable[str]] = {
    "accepted": get_args(AcceptedHow),
    "endpoint-disabled": get_args(
        get_args(EndpointItem.model_fields["disabled_reason"].annotation)[0]
    ),
    "figure": _units(
        text for text in _constants(REASONS) if re.fullmatch("[a-z_]+_(s|m|mps)", text)
    ),
    "flag": FLAGS,
    "inspection-answer": ("pass", "fail"),
    "inspection-state": ("draft", "superseded"),
    "order-state": STATES,
    "priority": PRIORITIES,
    "punch": get_args(PunchKind),
    "report-column": {
        name for row in REPORTS.values() for name in row.model_fields if is_for_people(name)
    },
    "report-title": REPORTS,
    "rule": RULES,
    "timesheet-state": get_args(TimesheetState),
    "verdict": get_args(Worth),
}
"""The names of the API that are said, by the beginning of the names of their texts."""


def _of_families() -> set[str]:
    return {
        f"{family}-{name}".replace("_", "-") for family in FAMILIES for name in FAMILIES[family]
    }


def _calls(function: str) -> Iterator[tuple[Path, ast.Call]]:
    for path in WRITERS:
        for node in _nodes(path):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if called.lstrip("_") == function:
                    yield path, node


def _said() -> Iterator[tuple[str, set[str]]]:
    """Yield the names that the code says itself, with the values that it passes."""
    for _, call in _calls("say"):
        name = call.args[1]
        if isinstance(name, ast.Constant):
            yield name.value, {str(keyword.arg) for keyword in call.keywords}


def _passed_on() -> set[str]:
    """Return the names that the customer's page passes on, and says elsewhere without values."""
    texts = (text for path in WRITERS for text in _constants(path))
    return {text for text in texts if re.fullmatch("page-[a-z-]+", text)} - dict(_said()).keys()


def _of_templates() -> set[str]:
    sources = (path.read_text("utf-8") for path in TEMPLATES)
    return {name for source in sources for name in re.findall(r'say\("([^"]*)"', source)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_catalogues_have_the_same_texts_with_the_same_variables(language: Language) -> None:
    assert len(variables(language)) > 200
    assert variables(language) == variables("en")


def test_what_is_said_by_name_is_there_with_its_variables() -> None:
    known, said = variables("en"), [*_said()]
    assert len(said) > 100
    assert [(name, values) for name, values in said if known.get(name) != values] == []


def test_names_are_said_as_they_stand_in_the_code_but_in_three_places() -> None:
    """What is put together elsewhere, the tests below would not see."""
    others = {path for path, call in _calls("say") if not isinstance(call.args[1], ast.Constant)}
    assert {str(path.relative_to(ROOT)) for path in others} == {
        "api/documents/typst_printer.py",  # what a template says
        "api/resources/quotes/acceptance.py",  # what is passed on
        "languages/catalogue.py",  # `named`
    }


def test_what_templates_say_is_there() -> None:
    known = variables("en")
    assert len(_of_templates()) > 30
    assert {name for name in _of_templates() if not known.get(name, {"?"}) <= OF_TEMPLATES} == set()


def test_what_is_passed_on_is_there_and_has_no_variables() -> None:
    known = variables("en")
    assert len(_passed_on()) > 10
    assert {name for name in _passed_on() if known.get(name) != set()} == set()


def test_every_name_of_the_api_that_is_said_has_a_text() -> None:
    constants = (
        [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
        for _, call in _calls("named")
    )
    sources = (path.read_text("utf-8") for path in TEMPLATES)
    said = {found[0] for found in constants if found}
    said |= {name for source in sources for name in re.findall(r'named\("([^"]*)"', source)}
    assert said == FAMILIES.keys()
    known = variables("en")
    assert {name for name in _of_families() if known.get(name) != set()} == set()


def test_no_text_is_there_that_nobody_says() -> None:
    within = {text for parts in _parts("en").values() for text in parts.texts}
    said = dict(_said()).keys() | _of_families() | _passed_on() | _of_templates() | within
    assert variables("en").keys() - said == set()


def test_a_name_without_a_text_is_a_fault_or_said_as_it_is() -> None:
    with pytest.raises(UnknownTextError, match=r"'no-such-text'.*languages/de\.ftl"):
        say("de", "no-such-text")
    assert named("de", "flag", "of_an_earlier_version") == "of an earlier version"
    assert named("de", "flag", "missing_out") == "Gehen fehlt"


def test_a_count_decides_between_forms_and_values_stay_as_they_are() -> None:
    photos = [say("de", "inspection-more-photos", count=count) for count in (1, 2)]
    assert photos == [
        "1 weiteres Foto ist beim Formular hinterlegt.",
        "2 weitere Fotos sind beim Formular hinterlegt.",
    ]
    name = "{ $name } \u202e" + "x" * 5_000
    assert say("en", "hello-name", name=name) == f"Hello {name},"


def test_a_consent_that_changes_has_another_version() -> None:
    """Who changes a text of it raises CONSENT_VERSION, and writes the new hashes here."""
    hashes = {each: sha256(say(each, "consent").encode()).hexdigest()[:16] for each in LANGUAGES}
    assert (CONSENT_VERSION, hashes) == (
        "2",
        {"en": "cdce4de75e4dda91", "de": "9b00cbba9e2acdeb"},
    )


@pytest.mark.parametrize("revision", [1, 2])
def test_a_quote_is_called_in_english_as_the_api_calls_it(revision: int) -> None:
    label = say("en", "quote-label", number="1042", revision=revision)
    assert label == quote_label(1042, revision)
