"""No pattern takes longer than in proportion to a text, whatever the text is.

Foreign texts are looked at by regular expressions, which may try a part again from each of its
places. Each pattern in the source is given texts that are made of itself: its beginning, what it
repeats many times, and an end that does not fit.
"""

import ast
import re
import re._constants as kinds  # pyright: ignore
import re._parser as parser  # pyright: ignore
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi.routing import APIRoute
from starlette.routing import compile_path

from api.app import RESOURCES
from api.resources import batches
from api.resources.assets import tracks
from api.resources.inspections import photo_page
from api.resources.quotes import acceptance

ROOT = Path(__file__).parents[3]
WINGS = ("api", "db", "geofence", "ingest", "listener", "mqtt", "operations", "service",
         "telemetry", "use_cases", "webhooks")  # fmt: skip
METHODS = ("fullmatch", "match", "search", "findall", "finditer", "split", "sub")
SHORT = 3_000
ENDS = ("\x00", "!", "\ud7ff", "")
NOTICED_S = 0.004  # less is noise


class Used(NamedTuple):
    """A pattern of the source, and the methods that are called on it."""

    place: str
    pattern: "re.Pattern[Any]"
    methods: frozenset[str]


def _constant(node: ast.expr) -> Any:
    """Return the value of a text that is written out; None for any other."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _flags(nodes: list[ast.expr]) -> int:
    """Return the flags that a call names, like `re.ASCII`."""
    named = [
        each.attr for node in nodes for each in ast.walk(node) if isinstance(each, ast.Attribute)
    ]
    return sum(getattr(re, name) for name in named)


def patterns() -> Iterator[Used]:
    """Yield each pattern of the source that is a text written out."""
    for wing in WINGS:
        for path in sorted((ROOT / wing).rglob("*.py")):
            yield from _patterns_in(path)


def _patterns_in(path: Path) -> Iterator[Used]:
    tree = ast.parse(path.read_text())
    called: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called.setdefault(node.value.id, set()).add(node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _calls_re(node.value) == "compile":
            assert isinstance(node.value, ast.Call)
            name = node.targets[0]
            methods = called.get(name.id, set()) if isinstance(name, ast.Name) else set[str]()
            yield from _used(path, node.value, methods)
        elif (method := _calls_re(node)) in METHODS:
            assert isinstance(node, ast.Call)
            yield from _used(path, node, {method})


def _calls_re(node: ast.AST) -> str:
    """Return which function of `re` a node calls; empty for any other."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        on = node.func.value
        if isinstance(on, ast.Name) and on.id == "re":
            return node.func.attr
    return ""


def _used(path: Path, call: ast.Call, methods: set[str]) -> Iterator[Used]:
    text = _constant(call.args[0])
    wanted = frozenset(methods & set(METHODS))
    if text is not None and wanted:
        place = f"{path.relative_to(ROOT)}:{call.lineno}"
        yield Used(place, re.compile(text, _flags(call.args[1:])), wanted)


# Texts that a pattern is slow with ----------------------------------------------------------------


class Sampler:
    """A maker of texts that fit parts of a pattern. blanks_last: of a set of characters others come
    first, since what is repeated may end at a blank.
    """

    def __init__(self, *, blanks_last: bool) -> None:
        every = [*"a0A_-.:/!~é\x01", *(chr(number) for number in range(256))]
        self._order = sorted(every, key=lambda character: character.isspace() == blanks_last)

    def of(self, tree: Any) -> str:
        """Return a text that fits a part, each repeated part once."""
        return "".join(self.one(kind, value) for kind, value in tree)

    def one(self, kind: Any, value: Any) -> str:
        """Return a text that fits one element."""
        match kind:
            case kinds.LITERAL:
                return chr(value)
            case kinds.NOT_LITERAL:
                return "a" if value != ord("a") else "b"
            case kinds.ANY:
                return "a"
            case kinds.IN:
                return self._one_of(value)
            case kinds.MAX_REPEAT | kinds.MIN_REPEAT | kinds.POSSESSIVE_REPEAT:
                return self.of(value[2]) * max(value[0], 1)
            case kinds.SUBPATTERN:
                return self.of(value[3])
            case kinds.BRANCH:
                return self.of(value[1][0])
            case kinds.ATOMIC_GROUP:
                return self.of(value)
            case _:  # places and looks around: they take no character
                return ""

    def _one_of(self, items: Any) -> str:
        """Return a character of a set."""
        negated = items[0][0] is kinds.NEGATE
        named = [item for item in items if item[0] is not kinds.NEGATE]
        for character in self._order:
            if any(_is_in(ord(character), *item) for item in named) != negated:
                return character
        return "a"

    def pumped(self, tree: Any, before: str = "") -> Iterator[tuple[str, str]]:
        """Yield for each part that may repeat without end what stands before it, and the part."""
        for kind, value in tree:
            if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT):
                if value[1] > 100:
                    yield before, self.of(value[2])
                    # What begins like the whole pattern is begun again at each place.
                    yield "", before + self.of(value[2])
                yield from self.pumped(value[2], before)
            elif kind is kinds.SUBPATTERN:
                yield from self.pumped(value[3], before)
            elif kind is kinds.BRANCH:
                for branch in value[1]:
                    yield from self.pumped(branch, before)
            before += self.one(kind, value)
        yield before, before
        yield "", before


def _is_in(code: int, kind: Any, value: Any) -> bool:
    match kind:
        case kinds.LITERAL:
            return code == value
        case kinds.RANGE:
            return value[0] <= code <= value[1]
        case _:  # a category
            classes = {
                kinds.CATEGORY_DIGIT: r"\d", kinds.CATEGORY_NOT_DIGIT: r"\D",
                kinds.CATEGORY_SPACE: r"\s", kinds.CATEGORY_NOT_SPACE: r"\S",
                kinds.CATEGORY_WORD: r"\w", kinds.CATEGORY_NOT_WORD: r"\W",
            }  # fmt: skip
            return re.match(classes[value], chr(code)) is not None


def texts(pattern: "re.Pattern[Any]", length: int) -> Iterator[Any]:
    """Yield long texts of a pattern's own parts."""
    is_bytes = isinstance(pattern.pattern, bytes)
    tree = parser.parse(pattern.pattern, pattern.flags)
    samplers = [Sampler(blanks_last=each) for each in (True, False)]
    for before, part in dict.fromkeys(pair for each in samplers for pair in each.pumped(tree)):
        if part:
            for end in ENDS:
                text = before + part * (length // len(part)) + end
                yield text.encode("latin-1", "replace") if is_bytes else text


def took_s(call: Callable[[Any], Any], text: Any) -> float:
    """Return the least processor time of a few calls."""
    least = float("inf")
    for _ in range(3):
        began = time.process_time()
        call(text)
        least = min(least, time.process_time() - began)
    return least


def call_of(pattern: "re.Pattern[Any]", method: str) -> Callable[[Any], Any]:
    """Return what the source does with a text."""
    if method == "sub":
        return lambda text: pattern.sub(lambda found: found[0], text)
    if method == "finditer":
        return lambda text: list(pattern.finditer(text))
    return getattr(pattern, method)


def slow_text(pattern: "re.Pattern[Any]", methods: frozenset[str]) -> str | None:
    """Return the beginning of a text of which four times as much takes more than six times as
    long; None where there is none.
    """
    for method in sorted(methods):
        call = call_of(pattern, method)
        for short, long in zip(texts(pattern, SHORT), texts(pattern, 4 * SHORT), strict=True):
            long_s = took_s(call, long)
            if long_s > NOTICED_S and long_s > 6 * took_s(call, short):
                return f"{method} of {short[:60]!r}..."
    return None


USED = list(patterns())


@pytest.mark.parametrize("used", USED, ids=[used.place for used in USED])
def test_the_time_of_a_pattern_grows_no_faster_than_its_text(used: Used) -> None:
    assert slow_text(used.pattern, used.methods) is None


PATHS = sorted({route.path for module in (*RESOURCES, batches, tracks, acceptance, photo_page)
                for route in module.router.routes if isinstance(route, APIRoute)})  # fmt: skip


@pytest.mark.parametrize("path", [path for path in PATHS if "{" in path])
def test_the_time_of_a_route_grows_no_faster_than_a_path(path: str) -> None:
    """A path is looked at before its sender is known, by each route of hundreds."""
    match = compile_path(path)[0].match
    begin, _, rest = path.partition("{")
    for character in ("_", "a", "%", "."):
        for end in ("/", "/" + rest.partition("}/")[2], "\n"):
            short, long = (begin + character * length + end for length in (SHORT, 4 * SHORT))
            long_s = took_s(match, long)
            assert long_s < NOTICED_S or long_s < 6 * took_s(match, short), (character, end)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r".*[Tt ]\d\d:\d\d\S* \d\d(:?\d\d)?", "fullmatch"),
        (r"(a+)+b", "match"),
        (r"\s+$", "search"),
        (r"x*y", "findall"),
    ],
)
def test_a_pattern_that_tries_again_from_each_place_is_found(pattern: str, method: str) -> None:
    if pattern == r"(a+)+b":  # whose time doubles with each character
        text = "a" * 22
        assert took_s(re.compile(pattern).match, text) > 6 * took_s(
            re.compile(pattern).match, text[:18]
        )
        return
    assert slow_text(re.compile(pattern), frozenset({method})) is not None
