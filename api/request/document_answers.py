"""Answers that are documents, for those who accept their type; everybody else gets JSON."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from api.documents.timesheet import DocumentError
from api.http.etags import tag_of
from api.http.headers import accepted_weight, preferred, weights
from api.http.problems import Problem, conflict
from api.limits.turns import refusing_when_full

_T = TypeVar("_T")

MOST_CHARACTERS = 10_000_000  # more than the lines of a document or a page can take
PDF_CONTENT: dict[str, Any] = {
    "schema": {
        "type": "string",
        "contentMediaType": "application/pdf",
        "maxLength": MOST_CHARACTERS,
    },
    "example": "%PDF-1.7",
}
PDF_TYPES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/pdf": PDF_CONTENT}}}


def wanted(request: Request, forms: Mapping[str, _T]) -> _T:
    """Return the form whose type the Accept header weighs most; the first of the same weight."""
    accept = ",".join(request.headers.getlist("accept"))
    return forms[preferred(accept, list(forms))]


def check_acceptable(request: Request, media_types: Sequence[str]) -> None:
    """Raise Problem (406) where there is an Accept header, and it takes none of the types."""
    accept = ",".join(request.headers.getlist("accept"))
    weight_of = weights(accept)
    if accept and not any(accepted_weight(weight_of, each) for each in media_types):
        detail = f"This list is served as {', '.join(media_types)}."
        raise Problem(406, "not_acceptable", detail, more={"media_types": [*media_types]})


def wants_pdf(request: Request) -> bool:
    """Return whether the Accept header prefers a PDF to JSON."""
    return wanted(request, {"application/json": False, "application/pdf": True})


async def rendered(rendering: Awaitable[bytes], advice: str = "Read it as JSON.") -> bytes:
    """Return a document when it is rendered. advice: what to do where it is too long. Raises
    Problem (409, 429, 503).
    """
    try:
        with refusing_when_full("documents"):
            return await rendering
    except DocumentError as error:
        detail = f"It cannot be printed: {error}. {advice}"
        raise conflict("document_too_large", detail) from None


def file_answer(content: bytes, media_type: str, name: str | None = None) -> Response:
    """Answer with a file, which depends on the Accept header. name: by which it is saved."""
    response = Response(content, headers={"Content-Type": media_type, "ETag": tag_of(content)})
    if name is not None:
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return varying(response)


def varying(response: Response) -> Response:
    """Return an answer that depends on the Accept header, marked as such."""
    response.headers["Vary"] = "Accept"
    return response
