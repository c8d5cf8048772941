"""The download of a file: by pieces, as something to keep and never to show.

A browser does not run it, whatever is in it: it is an attachment, its type is not guessed anew, and
a page that embeds it gets a sandbox without rights. One range of bytes may be asked for (RFC 9110,
section 14); several at once are answered with the whole file.

Of a photo, it is a copy without metadata. The original may say where somebody was, so it is for
dispatchers and admins.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import PurePath
from typing import Literal, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.http.headers import ByteSpan, byte_span
from api.http.problems import Problem, forbidden, not_found
from api.request.access import Access
from db.core.connect import Connection
from db.resources import attachments, photo_copies
from db.resources.attachments import Attachment

FileSize = Literal["full", "thumb", "original"]

_READ_BYTES = 1024 * 1024
_NOT_PLAIN = re.compile(r"[^ !#$&+\-.0-9A-Z^_`a-z~()\[\],;=@{}]")
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png"}


class ServedFile(NamedTuple):
    """A file that can be downloaded. read: returns bytes [begin, end); nothing where it is gone."""

    file_name: str
    media_type: str
    size_bytes: int
    sha256: bytes
    read: Callable[[Connection, int, int], Awaitable[bytes]]


async def served_file(
    conn: Connection, access: Access, attachment: Attachment, size: FileSize
) -> ServedFile:
    """Return what a caller gets of an attachment. Raises Problem (403, 404)."""
    is_image = attachment.media_type.startswith("image/")
    if is_image and size != "original":
        copy = await photo_copies.find(conn, attachment.id, size)
        if copy is not None:
            name = _renamed(attachment.file_name, attachment.media_type, copy.media_type)

            async def read_copy(conn: Connection, begin: int, end: int) -> bytes:
                return await photo_copies.read(conn, attachment.id, size, begin, end)

            return ServedFile(name, copy.media_type, copy.size_bytes, copy.sha256, read_copy)
    if size == "thumb":
        raise not_found("thumbnail")
    if is_image and access.caller.role not in ("dispatcher", "admin"):
        detail = "The original of an image is for dispatchers and admins"
        if size == "full":
            detail = f"{detail}, and this one has no copy"
        raise forbidden(f"{detail}.")

    async def read_original(conn: Connection, begin: int, end: int) -> bytes:
        return await attachments.read(conn, attachment.id, begin, end)

    return ServedFile(
        attachment.file_name,
        attachment.media_type,
        attachment.size_bytes,
        attachment.sha256,
        read_original,
    )


def _renamed(name: str, media_type: str, copy_type: str) -> str:
    """Return the name of a copy, whose type may be another one than the original's."""
    if media_type == copy_type:
        return name
    return str(PurePath(name).with_suffix(_SUFFIXES[copy_type]))


def download(request: Request, access: Access, file: ServedFile) -> Response:
    """Return the file: 200, or 206 with what was asked for. Raises Problem (416)."""
    tag = f'"{file.sha256.hex()}"'
    size = file.size_bytes
    span = _asked_span(request, tag, size)
    sent = span or ByteSpan(0, size)
    is_text = file.media_type.startswith("text/")
    headers = {
        "Content-Type": file.media_type + ("; charset=utf-8" if is_text else ""),
        "Content-Length": str(sent.end - sent.begin),
        "Content-Disposition": disposition(file.file_name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "ETag": tag,
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {span.begin}-{span.end - 1}/{size}"
    return StreamingResponse(_content(access, file, sent), 200 if span is None else 206, headers)


def disposition(file_name: str) -> str:
    """Write Content-Disposition of RFC 6266, with a plain name for those who know no other."""
    plain = _NOT_PLAIN.sub("_", file_name)
    exact = "" if plain == file_name else f"; filename*=UTF-8''{quote(file_name, safe='')}"
    return f'attachment; filename="{plain}"{exact}'


def _asked_span(request: Request, tag: str, size: int) -> ByteSpan | None:
    """Return the span of the Range header; None is the whole file. Raises Problem (416)."""
    if request.headers.get("if-range", tag) != tag:
        return None
    span = byte_span(request.headers.get("range", ""), size)
    if span is not None and span.begin >= span.end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "range_not_satisfiable", f"The file has {size} bytes.", headers=headers)
    return span


async def _content(access: Access, file: ServedFile, sent: ByteSpan) -> AsyncGenerator[bytes]:
    """Read on as the client does, each time in a transaction of its own.

    It ends early where the attachment is deleted meanwhile: the client sees that bytes are missing.
    """
    begin = sent.begin
    while begin < sent.end:
        async with access.transaction() as conn:
            content = await file.read(conn, begin, min(begin + _READ_BYTES, sent.end))
        if not content:
            return
        yield content
        begin += len(content)
