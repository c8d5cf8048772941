"""The one place that turns exceptions into problems."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, WebSocketRoute
from starlette.types import Scope

from api.http.middleware import refuse
from api.http.problems import (
    MOST_FAULTS,
    Fault,
    FaultCode,
    Problem,
    bad_field,
    conflict,
    share_used,
    unavailable,
)
from archive.errors import ArchiveUnavailable
from db.core.errors import IntegrityError, NoConnection, OperationalError, QueryCanceled
from db.resources.kinds import KINDS
from db.resources.quotas import QuotaExceeded
from operations.errors import ConflictError, RuleError
from operations.states import IllegalMoveError
from operations.stock import MILLI, StockError
from service.exceptions import message

DOCUMENTATION = "/docs"
"""The path of the reference page."""

REFUSALS = (
    Problem,
    IntegrityError,
    IllegalMoveError,
    QuotaExceeded,
    StockError,
    RuleError,
    ConflictError,
)
"""The errors that are, or may be, the client's: `problem_of` says what they mean."""

_log = structlog.get_logger("api")
_WANTS_OBJECT = frozenset({"dict_type", "model_type", "model_attributes_type"})
# What pydantic calls a fault, and the member of its context that is the bound.
_FAULT_CODES: Mapping[str, tuple[FaultCode, str]] = {
    "missing": ("required", ""),
    "greater_than_equal": ("minimum", "ge"),
    "less_than_equal": ("maximum", "le"),
    "greater_than": ("exclusive_minimum", "gt"),
    "string_too_short": ("min_length", "min_length"),
    "string_too_long": ("max_length", "max_length"),
    "too_short": ("min_items", "min_length"),
    "too_long": ("max_items", "max_length"),
    "email": ("email", ""),
    "timezone": ("timezone", ""),
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_EVERY_PATH_HAS = {"OPTIONS"}
_PLACE_OF_ID = 3  # in /v1/assets/{id}

# What a broken constraint means to the client: code, pointer, sentence.
_CONFLICTS: Mapping[str, tuple[str, str, str]] = {
    **{
        constraint: (
            "external_id_taken",
            "/external_id",
            f"Another {kind.noun} has this external_id.",
        )
        for kind in KINDS.values()
        if kind.table is not None
        for constraint in (f"{kind.table}_external_id", f"{kind.table}_org_id_external_id_key")
    },
    "imei_claims_imei_key": (
        "imei_claimed",
        "/imei",
        "Another tracker has claimed this IMEI.",
    ),
    "users_org_id_email_key": (
        "email_taken",
        "/email",
        "Another user has this address.",
    ),
    "parts_number": ("number_taken", "/number", "Another part has this number."),
    "inventory_part_in_warehouse": (
        "stock_record_exists",
        "/part_id",
        "The part has a stock record in this warehouse already.",
    ),
    "inventory_tracking_stays": (
        "in_stock",
        "/tracking",
        "The part is in stock: its tracking changes only while there is none.",
    ),
    "inventory_part_tracking": (
        "changed_meanwhile",
        "/part_id",
        "The part's tracking was changed at the same time.",
    ),
    "stock_lots_serial_place": (
        "serial_in_stock",
        "/serials",
        "A serial was received in another warehouse at the same time.",
    ),
    "employees_user": ("user_taken", "/user_id", "The user is another employee's."),
    "tracker_has_one_asset": (
        "assignment_overlaps",
        "/assigned_from",
        "The tracker is assigned otherwise in that time.",
    ),
    "asset_has_one_tracker": (
        "assignment_overlaps",
        "/asset_id",
        "The asset has another tracker in that time.",
    ),
    "work_order_signature_is_there": (
        "changed_meanwhile",
        "/signature_attachment_id",
        "The attachment was deleted, or signed with, at the same time.",
    ),
    "inspection_photo_is_there": (
        "changed_meanwhile",
        "/answers",
        "A photo of the form was deleted at the same time.",
    ),
}


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    for refusal in REFUSALS:
        app.add_exception_handler(refusal, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(OperationalError, _on_database_trouble)
    app.add_exception_handler(ArchiveUnavailable, _on_archive_trouble)


async def _on_refusal(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem is None:
        raise error
    return refuse(request.scope, problem)


def problem_of(error: Exception) -> Problem | None:
    """Return what one of REFUSALS means to the client; None: it means a fault of ours."""
    match error:
        case Problem():
            return error
        case IntegrityError() if error.diag.constraint_name == "quota_exceeded":
            most = int(error.diag.message_detail or 0)  # others took the last of it just now
            return problem_of(QuotaExceeded(error.diag.table_name or "", most, most))
        case IntegrityError():
            return _conflict_of(error)
        case IllegalMoveError():
            text = str(error)
            detail = f"{text[0].upper()}{text[1:]}."
            return Problem(409, "illegal_move", detail, more={"legal_verbs": error.verbs})
        case QuotaExceeded():
            more = {"quota": error.quota, "limit": error.limit, "used": error.used}
            detail = f"There is room for {error.limit} {error.quota.replace('_', ' ')}."
            return Problem(403, "quota_exceeded", detail, more=more)
        case StockError():
            return _not_in_stock(error)
        case RuleError():
            return bad_field(f"/{error.field}", error.problem)
        case ConflictError():
            pointer = None if error.field is None else f"/{error.field}"
            return conflict(error.code, str(error), pointer=pointer)
        case _:
            return None


def _not_in_stock(error: StockError) -> Problem:
    """Return a 409 about a movement that the stock does not allow, with what is there."""
    level = error.level
    more = {
        "available": level.available_milli / MILLI,
        "on_hand": level.on_hand_milli / MILLI,
        "reserved": level.reserved_milli / MILLI,
    }
    faults = (Fault(str(error), pointer=f"/{error.field}"),)
    return Problem(409, error.code, str(error), faults=faults, more=more)


def _conflict_of(error: IntegrityError) -> Problem | None:
    known = _CONFLICTS.get(error.diag.constraint_name or "")
    if known is None:
        return None
    code, pointer, detail = known
    return conflict(code, detail, pointer=pointer)


async def _on_archive_trouble(request: Request, error: Exception) -> Response:
    assert isinstance(error, ArchiveUnavailable)
    _log.error("archive unavailable", day=error.day.isoformat(), error=error.reason)
    day = error.day.isoformat()
    detail = (
        f"The fixes of {day} are archived, and the archive cannot be read now: try again, or ask"
        " for a time without that day."
    )
    headers = {"Retry-After": "10"}
    return refuse(
        request.scope,
        Problem(503, "archive_unavailable", detail, more={"day": day}, headers=headers),
    )


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return refuse(request.scope, _invalid(error.errors()))


def _invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Turn FastAPI's validation error into a problem: a path that names nothing is a 404, a bad
    parameter a 400, a bad body a 422.
    """
    places = {error["loc"][0] for error in errors}
    errors = errors[: MOST_FAULTS + 1]  # the problem says where there are more
    if "path" in places:
        return _no_such_thing(next(error for error in errors if error["loc"][0] == "path"))
    if "query" in places:
        faults = tuple(
            Fault(_sentence(error), parameter=str(error["loc"][1]))
            for error in errors
            if error["loc"][0] == "query"
        )
        return Problem(400, "invalid_parameter", "A parameter is not valid.", faults=faults)
    faults = tuple(fault_of(error, error["loc"][1:]) for error in errors)
    return Problem(422, "invalid_body", "The body is not valid.", faults=faults)


def fault_of(error: Mapping[str, Any], place: Sequence[object]) -> Fault:
    """Return an error of pydantic's as a fault. place: where in the body."""
    code, bound = _FAULT_CODES.get(error["type"], (None, ""))
    limit = error.get("ctx", {}).get(bound)
    return Fault(_sentence(error), pointer=_pointer(place), code=code, limit=limit)


def _no_such_thing(error: Mapping[str, Any], more: Mapping[str, object] | None = None) -> Problem:
    """Return a 404 of a path with an id that cannot be."""
    name, sentence = str(error["loc"][1]), _sentence(error)
    detail = f"Nothing has this id: the {name} in the path {sentence}."
    return Problem(404, "not_found", detail, faults=(Fault(sentence, parameter=name),), more=more)


def _sentence(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        known = ", ".join(error["ctx"]["known_fields"])
        return f"This field is unknown or read-only. Known fields: {known}."
    if error["type"] in _WANTS_OBJECT:
        return f"must be an object, {{...}}, and is {_json_kind(error['input'])}"
    return re.sub(r"^(Value|Assertion) error, ", "", error["msg"])


def _json_kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a number"


def _pointer(path: Sequence[object]) -> str:
    """Return a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


async def _on_http(request: Request, error: Exception) -> Response:
    """Answer Starlette's own exceptions: no such path, no such method. OPTIONS asks for the methods
    there are.
    """
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": ", ".join(sorted(_methods_at(request)))})
    if error.status_code == 404 and _is_websocket_at(request):
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        detail = "This path is a WebSocket."
        problem = Problem(426, "upgrade_required", detail, headers=headers)
    elif error.status_code == 404:
        problem = _nothing_at(request)
    elif error.status_code == 405:
        allowed = ", ".join(sorted(_methods_at(request)))
        detail = f"The methods of this path are {allowed}."
        problem = Problem(405, "method_not_allowed", detail, headers={"Allow": allowed})
    else:
        problem = Problem(error.status_code, "http_error", str(error.detail))
    return refuse(request.scope, problem)


def _is_websocket_at(request: Request) -> bool:
    scope = {**request.scope, "type": "websocket"}
    routes = (route for route in request.app.router.routes if isinstance(route, WebSocketRoute))
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


def _nothing_at(request: Request) -> Problem:
    """Return a 404 that names the path which was probably meant, if there is one, or says that
    something stands where an id belongs.
    """
    more = {"documentation": DOCUMENTATION}
    plain = "/" + request.scope["path"].strip("/")
    for path in (plain, f"/v1{plain}"):
        if _methods_at(request, path) != _EVERY_PATH_HAS:
            detail = f"There is nothing at this path. Did you mean {path}?"
            return Problem(404, "not_found", detail, more=more | {"did_you_mean": path})
        if (fault := _fault_of_id(request, path)) is not None:
            return _no_such_thing(fault, more)
    detail = f"There is nothing at this path. {DOCUMENTATION} lists all paths."
    return Problem(404, "not_found", detail, more=more)


def _fault_of_id(request: Request, path: str) -> Mapping[str, Any] | None:
    """Return the fault of the word behind the resource in `/v1/assets/123`; None where no route has
    an id there. What has no underscore is no id to the routes (`api.request.route`).
    """
    words = path.split("/")
    if len(words) <= _PLACE_OF_ID:
        return None
    word, words[_PLACE_OF_ID] = words[_PLACE_OF_ID], "_"
    scope = {**request.scope, "path": "/".join(words)}
    for route in request.app.router.routes:
        if isinstance(route, APIRoute) and route.matches(scope)[0] is not Match.NONE:
            field = route.dependant.path_params[0]
            _, (fault,) = field.validate(word, loc=("path", field.alias))
            return fault
    return None


def _methods_at(request: Request, path: str | None = None) -> set[str]:
    """Return the methods that routes have at a path, that of the request if none is given."""
    scope = request.scope if path is None else {**request.scope, "path": path}
    methods: set[str] = set()
    for route in request.app.router.routes:  # each is asked once: there are hundreds
        if not isinstance(route, APIRoute):  # a router that was included: it has several routes
            asked = [method for method in _METHODS if _matches(route, {**scope, "method": method})]
            methods.update(asked)
        elif route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return methods | _EVERY_PATH_HAS | ({"HEAD"} if "GET" in methods else set())


def _matches(route: BaseRoute, scope: Scope) -> bool:
    return route.matches(scope)[0] is Match.FULL


async def _on_database_trouble(request: Request, error: Exception) -> Response:
    assert isinstance(error, OperationalError)
    return refuse(request.scope, database_trouble(error))


def database_trouble(error: OperationalError) -> Problem:
    """Return what the client hears of trouble with the database, and write that to the log; no
    trouble is that an organization has used its share.
    """
    if isinstance(error, NoConnection) and error.is_share_used:
        return share_used()
    _log.warning("database unavailable", error=type(error).__name__, detail=message(error))
    if isinstance(error, QueryCanceled):
        return unavailable("The query took too long: request fewer rows or a shorter time span.")
    return unavailable("The database cannot be reached or is busy.")
