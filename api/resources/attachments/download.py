"""The download of a file: by pieces, as something to keep and never to show.

A browser does not run it, whatever is in it: it is an attachment, its type is not guessed anew, and
a page that embeds it gets a sandbox without rights. One range of bytes may be asked for (RFC 9110,
section 14); several at once are answered with the whole file.
"""

import re
from collections.abc import AsyncGenerator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.http.headers import ByteSpan, byte_span
from api.http.problems import Problem
from api.request.access import Access
from db.resources.attachments import PIECE_BYTES, Attachment, read_pieces

_PIECES_AT_ONCE = 4
_NOT_PLAIN = re.compile(r"[^ !#$&+\-.0-9A-Z^_`a-z~()\[\],;=@{}]")


def download(request: Request, access: Access, attachment: Attachment) -> Response:
    """Return the file: 200, or 206 with what was asked for. Raises Problem (416)."""
    tag = f'"{attachment.sha256.hex()}"'
    size = attachment.size_bytes
    span = _asked_span(request, tag, size)
    sent = span or ByteSpan(0, size)
    is_text = attachment.media_type.startswith("text/")
    headers = {
        "Content-Type": attachment.media_type + ("; charset=utf-8" if is_text else ""),
        "Content-Length": str(sent.end - sent.begin),
        "Content-Disposition": disposition(attachment.file_name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "ETag": tag,
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {span.begin}-{span.end - 1}/{size}"
    return StreamingResponse(
        _content(access, attachment, sent), 200 if span is None else 206, headers
    )


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


async def _content(access: Access, attachment: Attachment, sent: ByteSpan) -> AsyncGenerator[bytes]:
    """Read on as the client does, each time in a transaction of its own.

    It ends early where the attachment is deleted meanwhile: the client sees that bytes are missing.
    """
    number = sent.begin // PIECE_BYTES
    while (begin := number * PIECE_BYTES) < sent.end:
        async with access.transaction() as conn:
            content = await read_pieces(conn, attachment.id, number, number + _PIECES_AT_ONCE - 1)
        if not content:
            return
        yield content[max(sent.begin - begin, 0) : sent.end - begin]
        number += _PIECES_AT_ONCE
