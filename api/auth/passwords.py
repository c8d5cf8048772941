"""Passwords: which are taken, and their hashes.

The rules are those of NIST SP 800-63B: length counts, composition does not. A password has at least
12 characters. Refused is what is guessed first: common passwords, few characters again and again,
and little more than the user's own address or name.

The hash is argon2id (RFC 9106) with 19 MiB, two passes and one lane: what OWASP recommends for a
server where memory is shared. A hash costs about 20 ms of a core, so a process makes one at a time
and the queue before it is bounded: beyond it the answer is 429, and signing in cannot take the
machine away from everything else.
"""

import unicodedata
from importlib.resources import files
from typing import Annotated

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import Field

from api.http.problems import FaultCode, Problem, bad_field, busy
from service.worker_thread import OneThread, QueueFull

MIN_PASSWORD_CHARACTERS = 12
MAX_PASSWORD_CHARACTERS = 256
_MIN_DIFFERENT = 5
_MIN_OWN = 8  # characters beside the user's own address or name
_MIN_WORD = 4

# A field. What is too weak is said by `check_new_password`, and only where a password is set.
Password = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PASSWORD_CHARACTERS,
        examples=["correct horse battery staple"],
    ),
]

_COMMON = frozenset(files("api.auth").joinpath("common_passwords.txt").read_text("utf-8").split())
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
# Hash of nothing that anybody has: verifying against it costs what a real one costs.
_NOBODY = _hasher.hash("nobody")


def check_new_password(password: str, email: str, name: str | None) -> None:
    """Refuse a password that is guessed first. Raises Problem (422) at /password."""
    text = _normalized(password).casefold()
    if len(text) < MIN_PASSWORD_CHARACTERS:
        says = f"must have at least {MIN_PASSWORD_CHARACTERS} characters"
        raise _refused(says, "min_length", MIN_PASSWORD_CHARACTERS)
    if len(text) > MAX_PASSWORD_CHARACTERS:
        says = f"may have {MAX_PASSWORD_CHARACTERS} characters"
        raise _refused(says, "max_length", MAX_PASSWORD_CHARACTERS)
    if "".join(text.split()) in _COMMON:
        raise _refused("is one of the most common passwords", "password_common")
    if len(set(text)) < _MIN_DIFFERENT:
        says = f"must have at least {_MIN_DIFFERENT} different characters"
        raise _refused(says, "password_repeats", _MIN_DIFFERENT)
    if len(_without(text, _own_words(email, name))) < _MIN_OWN:
        raise _refused("must not be made of your address or name", "password_own")


def _refused(says: str, code: FaultCode, limit: int | None = None) -> Problem:
    return bad_field("/password", f"The password {says}.", code=code, limit=limit)


def hash_password(password: str) -> str:
    """Return a new salted hash. Blocks for about 20 ms."""
    return _hasher.hash(_normalized(password))


class Passwords:
    """A thread that hashes and verifies passwords. Its calls raise Problem (429) where too many
    wait."""

    def __init__(self) -> None:
        self._thread = OneThread("argon2", waiting=32)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password fits. None (no such user) takes the same work and is
        False."""
        try:
            fits = await self._thread.run(_fits, password_hash or _NOBODY, password)
        except QueueFull:
            raise busy("Too many sign-ins at once: try again in a second.") from None
        return fits and password_hash is not None

    async def hash(self, password: str) -> str:
        """Return a new salted hash, as `hash_password` does."""
        try:
            return await self._thread.run(hash_password, password)
        except QueueFull:
            raise busy("Too many sign-ins at once: try again in a second.") from None

    def close(self) -> None:
        self._thread.close()


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, _normalized(password))
    except (VerificationError, InvalidHashError):
        return False


def _normalized(password: str) -> str:
    """Return one form for what looks the same, whatever keyboard it comes from."""
    return unicodedata.normalize("NFKC", password)


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
