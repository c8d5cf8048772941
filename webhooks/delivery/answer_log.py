"""The part of a receiver's answer that the log of attempts keeps: bounded, and without secrets.

A receiver may answer with what we sent, so the secrets of the request are masked wherever they
stand, and so is what looks like a credential. A mask is as long as what it hides: nothing moves,
and no half of a secret can come into the part that is kept.

No I/O and no clock.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

BODY_CHARACTERS = 1_024
BODY_BYTES_READ = 4_096  # more than is kept: a secret that begins in the kept part ends in this one
HEADERS_MAX = 20
HEADER_BYTES_READ = 8_192  # of all values together; 4,096 of one, as of the body
_NAME_CHARACTERS = 64
_VALUE_CHARACTERS = 200
_SECRET_NAMES = re.compile(
    r"cookie|auth|token|secret|key|session|signature|password|passwd|credential|csrf|jwt", re.I
)
# The receiver chooses the text, so each alternative goes through it once: a JWT is what begins like
# one, with a dot in it or not.
_CREDENTIALS = re.compile(
    r"whsec_[A-Za-z0-9+/=]+|opsk_[A-Za-z0-9_-]+|v1,[A-Za-z0-9+/=]{20,}"
    r"|(?i:bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}|eyJ[A-Za-z0-9_.-]{8,}"
)
_SHORTEST_SECRET = 4
_SHORTEST_PART = 8
FORMS_MAX = 128
"""The texts for which an answer is searched. The owner of an endpoint chooses how many there are,
and each search costs all endpoints time: nothing is shown of an answer that would need more.
"""
_BETWEEN_PARTS = re.compile(r"""[\s,;:="']+""")


class LoggedAnswer(NamedTuple):
    """The part that is kept. headers: a JSON object of texts. Both are None without an answer."""

    headers: str | None
    body: str | None


NOTHING = LoggedAnswer(None, None)


def logged_answer(
    headers: Iterable[tuple[str, str]], body: bytes, secrets: tuple[str, ...]
) -> LoggedAnswer:
    """Return what is kept of an answer. secrets: texts of the request that nobody may read."""
    return _logged(tuple(headers), body, secrets)


@lru_cache(maxsize=256)  # a receiver answers the same again and again, but for the time
def _logged(
    headers: tuple[tuple[str, str], ...], body: bytes, secrets: tuple[str, ...]
) -> LoggedAnswer:
    hidden = _forms_of(secrets)
    is_all_hidden = len(hidden) > FORMS_MAX
    kept: dict[str, str] = {}
    rest = HEADER_BYTES_READ
    for name, value in headers:
        if len(kept) == HEADERS_MAX or rest <= 0:
            break
        value = value[:BODY_BYTES_READ]
        rest -= len(value)
        # A name that is not shown to its end may tell of a secret there.
        is_hidden = is_all_hidden or len(name) > _NAME_CHARACTERS or _is_secret(name)
        shown = "***" if is_hidden else _masked(_printed(value), hidden)
        kept[_printed(name[:_NAME_CHARACTERS])] = shown[:_VALUE_CHARACTERS]
    text = _printed(body[:BODY_BYTES_READ].decode("utf-8", "replace"), "\n\t")
    shown = "***" if is_all_hidden and text else _masked(text, hidden)[:BODY_CHARACTERS]
    return LoggedAnswer(json.dumps(kept, ensure_ascii=False), shown)


def url_secrets(url: str) -> tuple[str, ...]:
    """Return what may be a secret of a URL: its path and its query, whole and in parts. Short parts
    are words: they are none.
    """
    split = urlsplit(url)
    target = f"{split.path}?{split.query}" if split.query else split.path
    values = [value for _, value in parse_qsl(split.query)]
    values += [pair.partition("=")[2] for pair in split.query.split("&")]
    texts = {target, split.path, split.query, *split.path.split("/"), *values}
    texts |= {unquote(text) for text in texts}
    return tuple(sorted(text for text in texts if len(text) >= _SHORTEST_PART))


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


@lru_cache(maxsize=4096)
def _forms_of(secrets: tuple[str, ...]) -> Sequence[str]:
    """Return the secrets and their parts, as they are and as JSON writes them, the longest first:
    one may hold another.
    """
    long = {form for secret in secrets for form in _parts_of(secret)}
    return sorted({form for text in long for form in (text, json.dumps(text)[1:-1])}, key=_length)


def _parts_of(secret: str) -> Iterator[str]:
    """Yield a secret and what a receiver may answer of it: the token behind `Bearer`, the value
    behind `key=`, and the user and the password of `Basic`.
    """
    parts = secret.split()
    if len(parts) == 2 and parts[0].lower() == "basic":
        pair = _decoded(parts[1])
        yield from (part for part in (pair, *pair.split(":", 1)) if len(part) >= _SHORTEST_SECRET)
    if len(secret) >= _SHORTEST_SECRET:
        yield secret
    for part in (*parts, *_BETWEEN_PARTS.split(secret)):
        if len(part) >= _SHORTEST_PART:
            yield part


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except ValueError:
        return ""


def _length(text: str) -> int:
    return -len(text)


def _masked(text: str, hidden: Sequence[str]) -> str:
    if not text:
        return text
    for secret in hidden:
        text = text.replace(secret, "*" * len(secret))
    return _CREDENTIALS.sub(lambda match: "*" * len(match[0]), text)


def _printed(text: str, also: str = "") -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in also else " " for char in text)
