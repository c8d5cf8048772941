"""The headers of requests, read as RFC 9110 writes them: text in, values out.

What a header means to a request is decided elsewhere: in `api.http.etags`,
`api.http.answers.compression`, `api.request.geojson`, `api.request.route`, `api.request.access` and
the resources.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from starlette.datastructures import Headers

from languages.language import LANGUAGES, USUAL, Language

_MAX_WEIGHTS = 20
_TAG = re.compile(r'[ \t]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))")


class EntityTag(NamedTuple):
    """A tag with its quotes."""

    text: str
    is_weak: bool


class ByteSpan(NamedTuple):
    """Bytes of a file: [begin, end)."""

    begin: int
    end: int


def media_type(headers: Headers) -> str:
    """Return the Content-Type without its parameters, in lower case; "" if there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def charset(headers: Headers) -> str:
    """Return the charset of the Content-Type, in lower case; "" if there is none."""
    for parameter in headers.get("content-type", "").lower().split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return value.strip().strip('"')
    return ""


def authorization(headers: Headers) -> tuple[str, str]:
    """Return the scheme of the Authorization header, in lower case, and what follows it."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return scheme.lower(), credentials.strip()


def weights(header: str) -> dict[str, float]:
    """Return the names in an Accept, Accept-Encoding or Accept-Language header, in lower case, with
    their weights.

    A weight that cannot be read is 0. The greatest weight of a name counts. Names behind the first
    twenty are left out.
    """
    weight_of: dict[str, float] = {}
    for member in header.lower().split(",")[:_MAX_WEIGHTS]:
        name, *parameters = (part.strip() for part in member.split(";"))
        weight_of[name] = max(weight_of.get(name, 0.0), _weight(parameters))
    return weight_of


def liked_language(headers: Headers) -> Language:
    """Return the language that a browser likes most; the usual one where it names none of ours."""
    weight_of = dict.fromkeys(LANGUAGES, 0.0)
    for tag, weight in weights(headers.get("accept-language", "")).items():
        for language in LANGUAGES:
            if tag.partition("-")[0] == language:
                weight_of[language] = max(weight_of[language], weight)
    return max((USUAL, *LANGUAGES), key=weight_of.__getitem__)


def wants_page(headers: Headers) -> bool:
    """Return whether a browser asks for a page for people: programs do not name text/html."""
    return weights(headers.get("accept", "")).get("text/html", 0.0) > 0


def accepts_page(headers: Headers) -> bool:
    """Return whether a page is a good answer: also to programs that take whatever there is."""
    return accepted_weight(weights(headers.get("accept", "*/*")), "text/html") > 0


def preferred(accept: str, offered: Sequence[str]) -> str:
    """Return the type that an Accept header weighs most: of those that weigh the same one that it
    names, before one that is of a kind like text/* or */*; the first of these.
    """
    return max(offered, key=partial(_range_of, weights(accept)))


def accepted_weight(weight_of: Mapping[str, float], name: str) -> float:
    """Return the weight of a media type: its own, or that of its kind, like text/*, or of */*."""
    return _range_of(weight_of, name)[0]


def _range_of(weight_of: Mapping[str, float], name: str) -> tuple[float, int]:
    """Return the weight of the range that a media type is of, and how exact that is."""
    kind = name.partition("/")[0]
    for exactness, range_name in ((2, name), (1, f"{kind}/*"), (0, "*/*")):
        if range_name in weight_of:
            return (weight_of[range_name], exactness) if weight_of[range_name] else (0.0, 0)
    return 0.0, 0


def entity_tags(header: str) -> list[EntityTag] | None:
    """Return the tags in an If-Match or If-None-Match header; None where the list has a fault."""
    tags: list[EntityTag] = []
    place = 0
    while place < len(header):
        match = _TAG.match(header, place)
        if match is None:
            return None
        tags.append(EntityTag(match[2], match[1] is not None))
        place = match.end()
    return tags


def byte_span(header: str, size: int) -> ByteSpan | None:
    """Return the bytes that a Range header asks for, of a file of `size` bytes.

    None is the whole file: the header is no range of bytes, or several. A span without bytes cannot
    be satisfied.
    """
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return ByteSpan(max(size - int(suffix), 0), size)
    if last is not None and int(last) < int(first):
        return None
    return ByteSpan(int(first), size if last is None else min(int(last) + 1, size))


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return min(max(0.0, float(value)), 1.0)
            except ValueError:
                return 0.0
    return 1.0
