"""Texts by name, from the Fluent catalogue of a language: `en.ftl`, `de.ftl`.

A text of the catalogue may have variables, such as `{ $name }`, which take their values as they
are. A number that decides between forms ("1 photo is", "2 photos are") is an int.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol, cast

import rustfluent  # pyright: ignore[reportMissingTypeStubs]

from languages.language import Language


class UnknownTextError(LookupError):
    """A name that no text of the catalogue has."""


class _Bundle(Protocol):
    """The texts of a language; rustfluent has no types."""

    def get_translation(
        self, identifier: str, variables: Mapping[str, str | int], use_isolating: bool
    ) -> str: ...


@cache
def _bundle(language: Language) -> _Bundle:
    path = Path(__file__).with_name(f"{language}.ftl")
    make = cast(Callable[..., _Bundle], rustfluent.Bundle)  # pyright: ignore
    return make(language, [path], strict=True)


def say(language: Language, name: str, /, **values: str | int) -> str:
    """Return the text of a name. values: of its variables. Raises UnknownTextError."""
    try:
        return _bundle(language).get_translation(name, values, use_isolating=False)
    except ValueError:
        message = f"{name!r}; it must be a name in languages/{language}.ftl"
        raise UnknownTextError(message) from None


@cache
def names_in(family: str) -> tuple[str, ...]:
    """Return the names of the texts of a family."""
    source = Path(__file__).with_name("en.ftl").read_text("utf-8")
    return tuple(re.findall(rf"^({family}-[a-z-]+) =", source, re.MULTILINE))


def named(language: Language, family: str, name: str) -> str:
    """Return the text of a name of the API: of `flag` and `missing_out`, "missing out". A name that
    has none, since an earlier version stored it, is said as it is.
    """
    try:
        return say(language, f"{family}-{name.replace('_', '-')}")
    except UnknownTextError:
        return name.replace("_", " ")
