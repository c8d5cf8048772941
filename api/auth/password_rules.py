"""The rules for new passwords, after NIST SP 800-63B: length counts, composition does not.

At least 12 characters. Refused is what is guessed first: common passwords, few characters again and
again, and little more than the user's own address or name.
"""

import unicodedata
from importlib.resources import files
from typing import Annotated

from pydantic import Field

MIN_PASSWORD_CHARACTERS = 12
MAX_PASSWORD_CHARACTERS = 256
_MIN_DIFFERENT = 5
_MIN_OWN = 8  # characters beside the user's own address or name
_MIN_WORD = 4

# A field. What is too weak is said by `fault_of`, and only where a password is set.
Password = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PASSWORD_CHARACTERS,
        examples=["correct horse battery staple"],
    ),
]

_COMMON = frozenset(files("api").joinpath("common_passwords.txt").read_text("utf-8").split())


def normalized(password: str) -> str:
    """Return one form for what looks the same, whatever keyboard it comes from."""
    return unicodedata.normalize("NFKC", password)


def fault_of(password: str, email: str, name: str | None) -> str | None:
    """Return why a password is refused, as a sentence; None where it is accepted."""
    text = normalized(password).casefold()
    if len(text) < MIN_PASSWORD_CHARACTERS:
        return f"must have at least {MIN_PASSWORD_CHARACTERS} characters"
    if len(text) > MAX_PASSWORD_CHARACTERS:
        return f"may have {MAX_PASSWORD_CHARACTERS} characters"
    if "".join(text.split()) in _COMMON:
        return "is one of the most common passwords"
    if len(set(text)) < _MIN_DIFFERENT:
        return f"must have at least {_MIN_DIFFERENT} different characters"
    if len(_without(text, _own_words(email, name))) < _MIN_OWN:
        return "must not be made of your address or name"
    return None


def _own_words(email: str, name: str | None) -> list[str]:
    local = email.partition("@")[0]
    words = [email, local, *local.replace("-", ".").replace("_", ".").split(".")]
    words += [] if name is None else [name, *name.split()]
    words = [word.casefold() for word in words if len(word) >= _MIN_WORD]
    return sorted(set(words), key=len, reverse=True)


def _without(text: str, words: list[str]) -> str:
    for word in words:
        text = text.replace(word, "")
    return text
