"""The encoding of values: ids with their prefix, times in RFC 3339 with Z, JSON as ready bytes.

An answer with content has an entity tag of that content. `once` has members that only this answer
shows, such as a new secret: no later GET shows them, so they are left out of the tag.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from starlette.responses import Response

from api.http.etags import new_digest, tag_from, tag_of
from telemetry.ids import format_id

# Of a list that is made into JSON: a piece takes a millisecond or two, then others have a turn.
_PIECE_ROWS = 100
_PIECE_BYTES = 64 * 1024

_encoder = msgspec.json.Encoder()


class JsonResponse(Response):
    """A response whose content is already encoded JSON."""

    media_type = "application/json"


@lru_cache(maxsize=16_384)
def id_text(prefix: str, value: UUID) -> str:
    """Return `value` with its prefix, from a cache: most rows of a list name the same few trackers,
    assets and zones. Use `format_id` for ids that stand in one row only.
    """
    return format_id(prefix, value)


def optional_id_text(prefix: str, value: UUID | None) -> str | None:
    return None if value is None else id_text(prefix, value)


def time_text(value: datetime) -> str:
    """Return a UTC time as `2026-01-01T00:00:00Z`; 3 or 6 digits of a fraction that is not 0."""
    text = _encoder.encode(value).decode()[1:-1]  # without a fraction, or with one of 6 digits
    is_shorter = value.microsecond and value.microsecond % 1000 == 0
    return text[: -len("000Z")] + "Z" if is_shorter else text


def optional_time_text(value: datetime | None) -> str | None:
    return None if value is None else time_text(value)


def raw_json(text: str) -> msgspec.Raw:
    """Mark a JSON text as ready: the encoder copies it unchanged."""
    return msgspec.Raw(text.encode())


def item_tag(item: object) -> str:
    """Return the entity tag that the answer `ok(item)` has."""
    return tag_of(_encoder.encode(item))


def ok(content: object, *, once: Mapping[str, object] | None = None) -> Response:
    """Answer 200."""
    return _response(content, 200, once)


def accepted(content: object) -> Response:
    """Answer 202: the request is stored, and carried out later."""
    return _response(content, 202, None)


def created(
    content: dict[str, Any],
    path: str,
    *,
    once: Mapping[str, object] | None = None,
    key: str = "id",
) -> Response:
    """Answer 201 with a Location header: `path`, then the field `key` of the content."""
    response = _response(content, 201, once)
    response.headers["Location"] = f"{path}/{content[key]}"
    return response


def created_batch(items: list[dict[str, Any]], path: str) -> Response:
    """Answer 201 with all created objects; the Location header is `path`, that of their list."""
    response = _response({"data": items}, 201, None)
    response.headers["Location"] = path
    return response


def sparse(rows: Iterable[Mapping[str, Any]], fields: str | None) -> Iterable[Mapping[str, Any]]:
    """Return each row with only these fields (names with commas between); None: with all fields."""
    if fields is None:
        return rows
    names = dict.fromkeys(fields.split(","))
    return ({name: row[name] for name in names if name in row} for row in rows)


async def ok_list(
    rows: Iterable[object],
    others: Mapping[str, object],
    opening: bytes = b'{"data":[',
    media_type: str = JsonResponse.media_type,
) -> Response:
    """Answer 200 with an object that has the rows and `others` as members. opening: the JSON before
    the first row. A long list is encoded in pieces, between which other requests are served.
    """
    digest, pieces = new_digest(), list[bytearray]()
    piece, ends_at_row = bytearray(opening), _PIECE_ROWS
    for place, row in enumerate(rows):
        if place:
            piece += b","
        if place == ends_at_row or len(piece) >= _PIECE_BYTES:
            digest.update(piece)
            pieces.append(piece)
            piece, ends_at_row = bytearray(), place + _PIECE_ROWS
            await asyncio.sleep(0)
        _encoder.encode_into(row, piece, -1)
    piece += b"]," + _encoder.encode(others)[1:]
    digest.update(piece)
    content = b"".join((*pieces, piece))
    return Response(content, 200, {"ETag": tag_from(digest)}, media_type)


def no_content() -> Response:
    """Answer 204."""
    return Response(status_code=204)


def _response(content: object, status: int, once: Mapping[str, object] | None) -> Response:
    encoded = _encoder.encode(content)
    headers = {"ETag": tag_of(encoded)}
    if once is not None:
        assert isinstance(content, dict)  # what is shown once stands beside an item's fields
        encoded = _encoder.encode(content | dict(once))
    return JsonResponse(encoded, status, headers)
