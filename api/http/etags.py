"""Entity tags and the conditions that requests put on them (RFC 9110, sections 8.8.3 and 13).

The tag of a thing is a hash of its representation: strong, and the same in every process. A GET
answers 304 where `If-None-Match` has the tag. A change with `If-Match` is made only to what the
client has seen: the handler calls `Access.check_unchanged(item)` with the item as a GET would
show it, as soon as it has read the row under a lock, in the transaction of the change. A tag that
is weak or cannot be read matches nothing.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import NamedTuple, Self

from starlette.requests import Request
from starlette.responses import Response

from api.http.headers import entity_tags
from api.http.problems import Problem

MAX_TAGS_CHARACTERS = 8_192  # of a condition
_TAG_BYTES = 15
_HEADERS = (b"if-match", b"if-none-match")
_OF_304 = ("cache-control", "content-security-policy", "vary")  # a cache takes them from it
_CODING = re.compile(r'\.(?:br|gzip)"$')


def tag_of(content: bytes) -> str:
    """Return the strong tag of a representation."""
    digest = new_digest()
    digest.update(content)
    return tag_from(digest)


def new_digest() -> blake2b:
    """Return the digest of a representation that comes in pieces."""
    return blake2b(digest_size=_TAG_BYTES)


def tag_from(digest: blake2b) -> str:
    """Return the strong tag of what was digested."""
    return f'"{urlsafe_b64encode(digest.digest()).decode("ascii")}"'


class Preconditions(NamedTuple):
    """The two headers as they came; None where they did not."""

    if_match: str | None = None
    if_none_match: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        if not [name for name, _ in request.scope["headers"] if name in _HEADERS]:
            return cls()  # as most do
        return cls(_all(request, "if-match"), _all(request, "if-none-match"))

    def check(self, tag: str) -> None:
        """Check the preconditions of a change of what has `tag` now. Raises Problem (412)."""
        if self.if_match is not None and not _matches(self.if_match, tag):
            raise _failed(
                _unread(self.if_match) or "The version is not the one in If-Match: read it again."
            )
        if self.if_none_match is not None and _matches(self.if_none_match, tag, weakly=True):
            raise _failed("It already exists in the version of If-None-Match.")

    def answer(self, response: Response) -> Response:
        """Answer a GET: the response itself, or 304 where the client has it already.

        Raises Problem (412) where If-Match has another tag.
        """
        tag = response.headers.get("etag")
        if response.status_code != 200 or tag is None:
            return response
        if self.if_match is not None and not _matches(self.if_match, tag):
            raise _failed(_unread(self.if_match) or "The version is not the one in If-Match.")
        if self.if_none_match is not None:
            held = _match(self.if_none_match, tag, weakly=True)
            if held is not None:
                kept = {
                    name: response.headers[name] for name in _OF_304 if name in response.headers
                }
                return Response(status_code=304, headers={**kept, "ETag": held})
        return response


def _failed(detail: str) -> Problem:
    return Problem(412, "precondition_failed", detail)


def _all(request: Request, name: str) -> str | None:
    """Split a header's list, which may come in several headers. Raises Problem (400) where it is
    too long.
    """
    values = request.headers.getlist(name)
    if sum(map(len, values)) > MAX_TAGS_CHARACTERS:
        detail = (
            f"The header {name} is too long: at most {MAX_TAGS_CHARACTERS} characters are allowed."
        )
        raise Problem(400, "header_too_long", detail)
    return ", ".join(values) if values else None


def _matches(header: str, tag: str, *, weakly: bool = False) -> bool:
    return _match(header, tag, weakly=weakly) is not None


def _unread(header: str) -> str | None:
    """Return why no version of anything fits the header If-Match; None where one could."""
    tags = entity_tags(header)
    if not tags:
        return "If-Match must be * or quoted tags, exactly as in the ETag header."
    if all(tag.is_weak for tag in tags):
        return "If-Match does not accept weak tags: send the ETag without W/."
    return None


def _match(header: str, tag: str, *, weakly: bool = False) -> str | None:
    """Return the last tag of a list that is `tag`, compressed or not; `tag` where the list is `*`.

    No tag of a list with a fault counts.
    """
    if header.strip() == "*":
        return tag
    held = [
        own.text
        for own in entity_tags(header) or ()
        if _CODING.sub('"', own.text) == tag and (weakly or not own.is_weak)
    ]
    return held[-1] if held else None
