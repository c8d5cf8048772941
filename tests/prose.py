"""Lint of the prose: docstrings, pages and messages keep the rules of plain English.

    python -m tests.prose

prints each fault as `path:line: fault` and exits with 1 if there is any. The rules:

- the docstring of a function starts with a verb in the imperative, such as "Return";
- the docstring of a module, a class, a property or a fixture starts with a noun, not with a verb or
  "What";
- no docstring, no text of the program and no page has one of the banned phrases.

The name of a test, or of a module of tests, says what it shows: its docstring may begin anyhow.

tests/cases/prose.toml holds the words. A module that stands there under `unclean` may have faults.
The list may only shrink: a listed module without a fault is itself a fault.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WORDS = ROOT / "tests" / "cases" / "prose.toml"
READ_AS_VALUES = {"property", "cached_property", "fixture", "setter"}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Rules:
    """The words of tests/cases/prose.toml, in lower case."""

    verbs: frozenset[str]
    questions: frozenset[str]
    also_nouns: frozenset[str]
    phrases: re.Pattern[str]

    def docstring_fault(self, node: Documented, docstring: str) -> str | None:
        """Return what is wrong with the first word of a docstring, or None."""
        first = docstring.split()[0].strip("`.,:;()'\"")
        word = first.lower()
        if not is_read_as_value(node):
            return None if word in self.verbs else f"{first!r} is no verb in the imperative"
        is_name = docstring.startswith("`") or first.isupper()  # such as CONNECT
        if is_name or word in self.also_nouns:
            return None
        is_wrong = word in self.questions or self.is_verb(word)
        return f"a noun is missing before {first!r}" if is_wrong else None

    def is_verb(self, word: str) -> bool:
        """Return whether a word is a verb, in the imperative or the third person."""
        return not self.verbs.isdisjoint({word, word.removesuffix("s"), word.removesuffix("es")})

    def phrase_faults(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the offset of each banned phrase in a text, and the phrase."""
        for match in self.phrases.finditer(text):
            yield match.start(), " ".join(match[0].split())


def is_read_as_value(node: Documented) -> bool:
    """Return whether callers see no call: a module, a class, a property or a fixture."""
    if isinstance(node, ast.Module | ast.ClassDef):
        return True
    names = {
        part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "")
        for decorator in node.decorator_list
        for part in ast.walk(decorator)
    }
    return not names.isdisjoint(READ_AS_VALUES)


def docstring_faults(tree: ast.Module, module: str, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yield line and fault of each docstring that begins with the wrong kind of word."""
    for node in ast.walk(tree):
        if isinstance(node, Documented):
            name, docstring = getattr(node, "name", module), ast.get_docstring(node)
            if not docstring or name.startswith("test_"):
                continue
            if fault := rules.docstring_fault(node, docstring):
                yield getattr(node, "lineno", 1), f"{name}: {fault}"


def text_faults(tree: ast.Module, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yield line and phrase of each text in a module, docstrings and messages alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for _, phrase in rules.phrase_faults(node.value):
                yield node.lineno, f"banned phrase {phrase!r}"


def page_faults(page: str, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yield line and phrase of each banned phrase in a page."""
    for offset, phrase in rules.phrase_faults(page):
        yield page.count("\n", 0, offset) + 1, f"banned phrase {phrase!r}"


def module_faults(
    name: str, source: str, rules: Rules, *, is_unclean: bool
) -> Iterator[tuple[int, str]]:
    """Yield line and fault of everything in a module; is_unclean: `unclean` lists the module."""
    tree = ast.parse(source)
    found = [*docstring_faults(tree, name, rules), *text_faults(tree, rules)]
    if not is_unclean:
        yield from found
    elif not found:
        yield 1, "is clean: take this module off the list `unclean`"


def read_rules(words: dict[str, Any]) -> Rules:
    """Return the rules that the tables of prose.toml make."""
    phrases = "|".join(phrase.replace(" ", r"\s+") for phrase in words["banned_phrases"])
    return Rules(
        verbs=frozenset(words["verbs"].split()),
        questions=frozenset(words["questions"].split()),
        also_nouns=frozenset(words["also_nouns"].split()),
        phrases=re.compile(rf"\b(?:{phrases})\b", re.IGNORECASE),
    )


def faults() -> Iterator[str]:
    """Yield `path:line: fault` for everything in the repository that breaks a rule."""
    words = tomllib.loads(WORDS.read_text())
    rules = read_rules(words)
    unclean = set(words["unclean"])
    modules = [path for package in words["packages"] for path in (ROOT / package).rglob("*.py")]
    for path in sorted(modules):
        name = str(path.relative_to(ROOT))
        source = path.read_text()
        for line, fault in module_faults(path.stem, source, rules, is_unclean=name in unclean):
            yield f"{name}:{line}: {fault}"
        unclean.discard(name)
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]):
        for line, fault in page_faults(path.read_text(), rules):
            yield f"{path.relative_to(ROOT)}:{line}: {fault}"
    for name in sorted(unclean):
        yield f"{name}:1: is not there: take it off the list `unclean`"


def main() -> None:
    """Print all faults, and exit with 1 if there is any."""
    found = list(faults())
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
