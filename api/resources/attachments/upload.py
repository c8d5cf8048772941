"""The upload of a file: `multipart/form-data` with one part `file`, and fields beside it.

The body is bounded while it arrives, and what is longer than a megabyte waits in a temporary file.
What kind of file it is, its content says: images and PDF by their first bytes, and text by being
UTF-8 without control characters. What the client calls it counts for nothing. A text that a browser
would run (HTML, SVG) is refused, and so is an image that is another kind of file, too.
"""

import codecs
import re
import unicodedata
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256

import puremagic
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from api.http.headers import media_type
from api.http.problems import Fault, Problem, bad_field
from api.request.handler_arguments import Handle
from api.request.route import TenantRoute, body_chunks, too_large

MAX_FILE_BYTES = 25 * 1024 * 1024
# Recognized by their first bytes; all others are text or refused.
MEDIA_TYPES = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/heif",
    "image/tiff",
    "application/pdf",
)
TEXT_TYPES = ("text/plain", "text/csv")
# Shown by copies. HEIF has no decoder here: it is kept, and never shown to those who may not see
# where a photo was taken.
PHOTO_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/tiff")

_ROOM_FOR_FIELDS_BYTES = 64 * 1024
_MAX_FIELDS = 10
_MAX_FIELD_BYTES = 1000
_HEAD_BYTES = 4096
_READ_BYTES = 1024 * 1024
_MAX_NAME = 200
# Tags that make a page or an SVG, and those that make a page where it begins with them.
_MARKUP = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|script|iframe|svg|object|embed)[\s>/]", re.I
)
_BEGINS_PAGE = re.compile(rb"<(?:a|b|br|div|font|h1|img|link|meta|p|style|table|title)[\s>/]", re.I)
# The brands of HEIF (ISO/IEC 23008-12), and those of AVIF, which names mif1, too.
_HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_MOST_BRANDS = 32
_PDF_WITHIN_BYTES = 1024
_ZIP_END, _ZIP_END_BYTES = b"PK\x05\x06", 22
_MAX_ZIP_COMMENT_BYTES = 65_535
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived, and the fields beside it."""

    file: UploadFile
    file_name: str
    media_type: str
    size_bytes: int
    sha256: bytes
    fields: dict[str, str]


class UploadRoute(TenantRoute):
    """A route that takes a file: it is at `request.state.upload` while the handler runs."""

    max_file_bytes = MAX_FILE_BYTES

    async def run(self, request: Request, handle: Handle) -> Response:
        """Run the handler, and remove the file afterwards."""
        form = await _form(request, self.max_file_bytes)
        try:
            request.state.upload = await _upload(form, self.max_file_bytes)
            return await super().run(request, handle)
        finally:
            await form.close()

    def asked(self, request: Request) -> object:
        """Return the file by its hash."""
        upload: Upload = request.state.upload
        return [upload.sha256.hex(), upload.file_name, sorted(upload.fields.items())]


async def _form(request: Request, max_file_bytes: int) -> FormData:
    if media_type(request.headers) != "multipart/form-data":
        detail = "The Content-Type must be multipart/form-data."
        raise Problem(415, "not_multipart", detail)
    async with aclosing(body_chunks(request, max_file_bytes + _ROOM_FOR_FIELDS_BYTES)) as chunks:

        async def receive() -> Message:
            chunk = await anext(chunks, None)
            return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

        try:
            return await Request(request.scope, receive).form(
                max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
            )
        except HTTPException as error:
            detail = f"The body cannot be read: {error.detail}."
            raise Problem(400, "invalid_multipart", detail) from None


async def _upload(form: FormData, max_file_bytes: int) -> Upload:
    """Raise Problem: 422 for a file that is not there, is empty or of no type that is taken, 413
    for one that is too large.
    """
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise bad_field("/file", "There must be one part called file, with a file name.")
    if len(form.multi_items()) != len(fields) + 1:
        raise bad_field("", "A part is given twice.")
    size_bytes = file.size or 0
    if size_bytes > max_file_bytes:
        raise too_large(max_file_bytes)
    if size_bytes == 0:
        raise bad_field("/file", "The file is empty.")
    name = _plain_name(file.filename or "")
    digest, found_type = await run_in_threadpool(_look_at, file, name)
    if found_type is None:
        raise _not_taken()
    return Upload(file, name, found_type, size_bytes, digest, fields)


def _not_taken() -> Problem:
    taken = ", ".join((*MEDIA_TYPES, *TEXT_TYPES))
    fault = Fault(f"The file must be one of {taken}.", pointer="/file")
    return Problem(
        422, "media_type_refused", "Files of this type are not accepted.", faults=(fault,)
    )


def _plain_name(given: str) -> str:
    """Return the last part of a path, without control characters."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", given)[-1])
    name = "".join(each for each in name if unicodedata.category(each)[0] != "C").strip()
    if not name:
        raise bad_field("/file", "The file has no name.")
    return name[:_MAX_NAME]


def _look_at(file: UploadFile, name: str) -> tuple[bytes, str | None]:
    """Return the hash of a file and its type, None for one that is not taken."""
    digest = sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    head, tail, is_text = b"", b"", True
    while piece := file.file.read(_READ_BYTES):
        head = head or piece[:_HEAD_BYTES]
        tail = (tail + piece)[-_ZIP_END_BYTES - _MAX_ZIP_COMMENT_BYTES :]
        digest.update(piece)
        is_text = is_text and _is_text(decoder, piece)
    is_text = is_text and _is_text(decoder, b"", final=True)
    file.file.seek(0)
    found = _known_type(head)
    if found is None:
        found = _text_type(name) if is_text and not _is_markup(head) else None
    elif found.startswith("image/") and _is_another(head, tail):
        found = None
    return digest.digest(), found


def _is_markup(head: bytes) -> bool:
    """Return whether a text begins as HTML or SVG do."""
    begin = head.removeprefix(codecs.BOM_UTF8).lstrip()
    is_page = _BEGINS_PAGE.match(begin) or _MARKUP.search(begin)
    return begin.startswith(b"<") and is_page is not None


def _is_another(head: bytes, tail: bytes) -> bool:
    """Return whether an image would pass for a page, a PDF or a ZIP archive, too."""
    if _MARKUP.search(head) or b"%PDF-" in head[:_PDF_WITHIN_BYTES]:
        return True
    place = tail.rfind(_ZIP_END)
    end = tail[place : place + _ZIP_END_BYTES]
    return len(end) == _ZIP_END_BYTES and place + len(end) + int.from_bytes(
        end[-2:], "little"
    ) == len(tail)


def _is_text(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool = False) -> bool:
    try:
        return _CONTROL.search(decoder.decode(piece, final)) is None
    except UnicodeDecodeError:
        return False


def _text_type(name: str) -> str:
    return "text/csv" if name.lower().endswith(".csv") else "text/plain"


def _is_heif(head: bytes) -> bool:
    """Return whether a file begins with the brands of HEIF: the major one, or those behind it."""
    length = int.from_bytes(head[:4], "big")
    if head[4:8] != b"ftyp" or not 16 <= length <= 16 + 4 * _MOST_BRANDS or length % 4:
        return False
    box = head[:length]
    brands = {box[8:12], *(box[place : place + 4] for place in range(16, len(box), 4))}
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def _known_type(head: bytes) -> str | None:
    if _is_heif(head):
        return "image/heif"
    try:
        matches = puremagic.magic_string(head)
    except puremagic.PureError:
        return None
    found = {match.mime_type for match in matches} - {"image/heif"}
    return next((each for each in MEDIA_TYPES if each in found), None)
