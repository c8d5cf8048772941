"""The arguments of a handler, read from its request.

FastAPI documents the arguments from the handler's signature. To read them, FastAPI would look at
every annotation again for each request, which costs more than many handlers do. Here the signature
is read once, when the route is made, and a handler with any other argument is refused then. A
handler may take

    access: Reader                             who asks, where they may (`api.request.access`)
    asset_id: Annotated[AssetId, Path(...)]    a part of the path
    query: Annotated[AssetQuery, Query()]      the whole query string, as a `fields.Query`
    body: Annotated[NewAsset, Body()]          the whole body, which `api.request.route` has read;
                                               with a body as its default, it may be left out
    request: Request

Permission is checked first (403). Then all validation errors are reported together, up to
MOST_FAULTS.
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from inspect import iscoroutinefunction, signature
from typing import Annotated, Any, TypeAlias, get_args, get_origin

from fastapi import params
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from msgspec import UNSET
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.problems import MOST_FAULTS
from api.request.access import Permission

Handle: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]

# A value and no faults, or nothing and its faults, as pydantic tells them.
_Found: TypeAlias = tuple[Any, Sequence[Any]]
_Validate: TypeAlias = Callable[[Any], _Found]
_Read: TypeAlias = Callable[[Request], _Found]

_NO_BODY = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


class BadHandler(TypeError):
    """A handler that cannot be called: a fault of ours."""

    def __init__(self, handler: Callable[..., Any], message: str) -> None:
        super().__init__(f"{handler.__module__}.{handler.__qualname__} {message}")


def handle_of(dependant: Dependant) -> Handle:
    """Return a function that reads the arguments of a handler and calls it.

    That function raises Problem (403), or RequestValidationError with all faults. `handle_of`
    raises BadHandler for what is not in the list above.
    """
    handler = dependant.call
    assert handler is not None  # it is None only in the making
    signed = signature(handler)
    reads = _reads(dependant)
    unnamed = ["dependencies" for each in dependant.dependencies if each.name is None]
    unknown = sorted({*signed.parameters, *unnamed} - reads.keys())
    if unknown:
        raise BadHandler(handler, f"takes what nobody reads: {', '.join(unknown)}")
    if not iscoroutinefunction(handler) or signed.return_annotation is not Response:
        raise BadHandler(handler, "must be async and say that it returns a Response")

    async def handle(request: Request) -> Response:
        arguments: dict[str, Any] = {}
        faults: list[Any] = []
        for name, read in reads.items():
            arguments[name], found = read(request)
            faults += found
        if faults:
            raise RequestValidationError(faults)
        return await handler(**arguments)

    return handle


def _reads(dependant: Dependant) -> dict[str, _Read]:
    """Return readers by the name of the argument, in the order in which they are read."""
    reads: dict[str, _Read] = {}
    for each in dependant.dependencies:
        if isinstance(each.call, Permission) and each.name is not None:
            reads[each.name] = _access_reader(each.call)
    for field in dependant.path_params:
        validate = partial(field.validate, loc=("path", field.alias))
        reads[field.name] = _path_reader(field.alias, validate)
    for field in dependant.query_params:
        if _is_query(field.field_info):
            reads[field.name] = _query_reader(partial(field.validate, loc=("query",)))
    for field in dependant.body_params:
        if _is_body(field.field_info) and len(dependant.body_params) == 1:
            reads[field.name] = _body_reader(body_check(field), field.field_info)
    if dependant.request_param_name is not None:
        reads[dependant.request_param_name] = lambda request: (request, ())
    return reads


def query_names(dependant: Dependant) -> frozenset[str]:
    """Return the names of the parameters that a handler's query may have."""
    models = [field.field_info.annotation for field in dependant.query_params]
    return frozenset(
        field.alias or name
        for model in models
        if isinstance(model, type) and issubclass(model, fields.Query)
        for name, field in model.model_fields.items()
    )


def _is_query(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, fields.Query)


def _is_body(info: FieldInfo) -> bool:
    has_default = isinstance(info.default, fields.Body)
    return type(info) is params.Body and not info.embed and (info.is_required() or has_default)


def _access_reader(permission: Permission) -> _Read:
    return lambda request: (permission(request), ())


def _path_reader(alias: str, validate: _Validate) -> _Read:
    return lambda request: validate(request.path_params[alias])


def _query_reader(validate: _Validate) -> _Read:
    """Return a reader of the query: `api.request.route` has seen that each parameter is known and
    given once.
    """
    unasked = validate({})  # one for all requests: it is frozen

    def read(request: Request) -> _Found:
        asked = request.scope["query_string"]
        return validate(dict(request.query_params)) if asked else unasked

    return read


def body_check(field: ModelField) -> _Validate:
    """Check a body. An array is checked item by item, until there are more faults than are named:
    pydantic by itself would collect all of a body of a thousand items.
    """
    item_type = get_args(field.field_info.annotation)
    if get_origin(field.field_info.annotation) is not list:
        return partial(field.validate, loc=("body",))
    bounds = TypeAdapter[Any](Annotated[list[Any], *field.field_info.metadata])
    item = TypeAdapter[Any](item_type[0])

    def check(body: Any) -> _Found:
        try:
            bounds.validate_python(body, strict=True)
        except ValidationError as error:
            return None, _placed(error, "body")
        items: list[Any] = []
        faults: list[Any] = []
        for place, each in enumerate(body):
            try:
                items.append(item.validate_python(each))
            except ValidationError as error:
                faults += _placed(error, "body", place)
            if len(faults) > MOST_FAULTS:
                break
        return items, faults

    return check


def _placed(error: ValidationError, *place: str | int) -> list[Any]:
    found = error.errors(include_url=False)
    return [{**each, "loc": (*place, *each["loc"])} for each in found]


def _body_reader(validate: _Validate, info: FieldInfo) -> _Read:
    """Return a reader of the body. A body with a default may be left out."""

    def read(request: Request) -> _Found:
        body = request.state.body
        if body is UNSET and not info.is_required():
            return info.default, ()
        if body is UNSET:
            return None, (_NO_BODY,)
        value, faults = validate(body)
        return value, [_with_known_fields(fault, info.annotation) for fault in faults or ()]

    return read


def _with_known_fields(fault: Any, annotation: Any) -> Any:
    """Return a fault of the body; one about an unknown field says which fields there are."""
    if fault["type"] != "extra_forbidden":
        return fault
    model = _model_in(annotation)
    for step in fault["loc"][1:-1]:
        if model is not None and step in model.model_fields:
            model = _model_in(model.model_fields[step].annotation)
    known = () if model is None else tuple(model.model_fields)
    return {**fault, "ctx": {"known_fields": known}}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation is, or is a list or an optional value of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in get_args(annotation))
    return next((model for model in found if model is not None), None)
