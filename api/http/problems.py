"""Errors as the client sees them: RFC 9457 problem documents with a stable `code`.

A problem says whose fault it was and where. It never carries a text of the database, a path of the
server or data of another organization.
"""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 100  # a document names no more
_MOST_RETRY_S = 5
_chances = random.Random()


FaultCode: TypeAlias = Literal[
    "required",
    "minimum",
    "maximum",
    "exclusive_minimum",
    "min_length",
    "max_length",
    "min_items",
    "max_items",
    "email",
    "timezone",
    "password_common",
    "password_repeats",
    "password_own",
]
"""What people often get wrong: pages have a text for each. Others have no code."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: a JSON pointer into the body, or the name of a parameter. limit: the
    bound of a code that has one.
    """

    message: str
    pointer: str | None = None
    parameter: str | None = None
    code: FaultCode | None = None
    limit: float | None = None

    def members(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class Problem(Exception):
    """Ends the request with a problem document.

    `more` adds members of its own to the document (a repaired geometry, the known parameters).
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: tuple[Fault, ...] = (),
        more: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = faults
        self.more = more or {}
        self.headers = headers or {}

    def response(self, request_id: str) -> Response:
        document: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self._whole_detail(),
            "code": self.code,
            "errors": [fault.members() for fault in self.faults[:MOST_FAULTS]],
            **self.more,
            "request_id": request_id,
        }
        return Response(msgspec.json.encode(document), self.status, dict(self.headers), MEDIA_TYPE)

    def _whole_detail(self) -> str:
        if len(self.faults) <= MOST_FAULTS:
            return self.detail
        return f"{self.detail} Only the first {MOST_FAULTS} errors are listed."


def not_found(what: str, *, fault: Fault | None = None) -> Problem:
    """Return a 404. It is the same for an object that does not exist and for another
    organization's.
    """
    faults = () if fault is None else (fault,)
    return Problem(404, "not_found", f"There is no such {what}.", faults=faults)


def unauthorized(detail: str) -> Problem:
    """Return a 401: the request has no valid credential."""
    challenge = {"WWW-Authenticate": 'Bearer realm="ops-companion"'}
    return Problem(401, "unauthorized", detail, headers=challenge)


def forbidden(detail: str) -> Problem:
    """Return a 403: the caller is known, but not allowed to do this."""
    return Problem(403, "forbidden", detail)


def conflict(code: str, detail: str, *, pointer: str | None = None) -> Problem:
    """Return a 409: the request conflicts with what is stored."""
    faults = () if pointer is None else (Fault(detail, pointer=pointer),)
    return Problem(409, code, detail, faults=faults)


def bad_parameter(name: str, message: str, *, code: str = "invalid_parameter") -> Problem:
    """Return a 400 about a query parameter with a bad value."""
    return Problem(
        400, code, f"The parameter {name} is not valid.", faults=(Fault(message, parameter=name),)
    )


def bad_field(
    pointer: str,
    message: str,
    *,
    code: FaultCode | None = None,
    limit: float | None = None,
    more: Mapping[str, object] | None = None,
) -> Problem:
    """Return a 422 about a field of the body with a bad value."""
    faults = (Fault(message, pointer=pointer, code=code, limit=limit),)
    return Problem(422, "invalid_body", "The body is not valid.", faults=faults, more=more)


def unavailable(detail: str, *, retry_after_s: int = 1) -> Problem:
    """Return a 503: a temporary fault of the server. The client may try again."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(retry_after_s)})


def busy(detail: str) -> Problem:
    """Return a 429: too many requests of this kind are running."""
    return Problem(429, "too_many_requests", detail, headers={"Retry-After": "1"})


def share_used() -> Problem:
    """Return a 429: the organization has used its share of the database. Not all of its clients
    shall come back at once.
    """
    detail = (
        "The organization's requests keep the database busy: send fewer at once, or request fewer"
        " rows or a shorter time span."
    )
    headers = {"Retry-After": str(_chances.randint(1, _MOST_RETRY_S))}
    return Problem(429, "share_used", detail, headers=headers)
