"""A handler that takes what nobody reads is told so when its route is made."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Body, Cookie, Depends, Form, Header, Path, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.request.access import Reader
from api.request.handler_arguments import BadHandler
from api.request.route import PublicRoute


class Asked(fields.Query):
    limit: int = 50


class AskedAnyhow(BaseModel):
    limit: int = 50


class Sent(fields.Body):
    name: str


def found() -> str: ...


async def takes_all(
    request: Request,
    access: Reader,
    asset_id: Annotated[fields.AssetId, Path(alias="id")],
    query: Annotated[Asked, Query()],
    body: Annotated[Sent, Body()],
) -> Response: ...


async def takes_a_header(name: Annotated[str, Header()]) -> Response: ...


async def takes_a_cookie(name: Annotated[str, Cookie()]) -> Response: ...


async def takes_a_form(name: Annotated[str, Form()]) -> Response: ...


async def takes_one_parameter(name: str) -> Response: ...


async def takes_a_query_that_can_change(name: Annotated[AskedAnyhow, Query()]) -> Response: ...


async def takes_a_body_that_may_be_missing(
    name: Annotated[Sent | None, Body()] = None,
) -> Response: ...


async def takes_two_bodies(
    name: Annotated[Sent, Body()], other: Annotated[Sent, Body()]
) -> Response: ...


async def takes_a_body_in_a_field(name: Annotated[Sent, Body(embed=True)]) -> Response: ...


async def takes_what_somebody_finds(name: Annotated[str, Depends(found)]) -> Response: ...


async def takes_tasks(name: BackgroundTasks) -> Response: ...


async def takes_a_response(name: Response) -> Response: ...


@pytest.mark.parametrize(
    "handler",
    [
        takes_a_header,
        takes_a_cookie,
        takes_a_form,
        takes_one_parameter,
        takes_a_query_that_can_change,
        takes_a_body_that_may_be_missing,
        takes_two_bodies,
        takes_a_body_in_a_field,
        takes_what_somebody_finds,
        takes_tasks,
        takes_a_response,
    ],
)
def test_what_nobody_reads_is_refused(handler: Callable[..., Any]) -> None:
    with pytest.raises(BadHandler, match=f"{handler.__name__} takes what nobody reads: .*name"):
        PublicRoute("/things", handler, methods=["POST"])


def test_what_is_read_is_taken() -> None:
    PublicRoute("/things/{id}", takes_all, methods=["POST"])


def test_dependencies_that_no_handler_takes_are_refused() -> None:
    async def live() -> Response: ...

    with pytest.raises(BadHandler, match="dependencies"):
        PublicRoute("/things", live, dependencies=[Depends(found)])


def test_a_handler_answers_with_a_response_and_is_async() -> None:
    async def says_nothing(): ...

    async def answers_otherwise() -> dict[str, str]: ...

    def waits() -> Response: ...

    for handler in (says_nothing, answers_otherwise, waits):
        with pytest.raises(BadHandler, match="must be async"):
            PublicRoute("/things", handler)
