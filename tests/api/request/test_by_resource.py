"""Every route is found by its resource, as it would be by trying them all."""

import re

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Match

from api.app import RESOURCES
from api.request.route_index import ByResource

ROUTES = [
    route
    for resource in RESOURCES
    for route in resource.router.routes
    if isinstance(route, APIRoute)
]


def _scope(method: str, path: str) -> dict[str, object]:
    return {"type": "http", "method": method, "path": path, "root_path": ""}


def _found_by_trying(scope: dict[str, object]) -> APIRoute:
    return next(route for route in ROUTES if route.matches(scope)[0] is Match.FULL)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation_id)
def test_a_route_is_found_that_trying_all_of_them_finds(route: APIRoute) -> None:
    path = re.sub(r"{[^}]*}", "ast_0", route.path)
    for method in route.methods:
        match, inner = ByResource(ROUTES).matches(_scope(method, path))
        assert match is Match.FULL
        assert inner["route"] is _found_by_trying(_scope(method, path))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"),
        ("GET", "/"),
        ("GET", ""),
        ("PUT", "/v1/assets"),
        ("GET", "/v1/assets/"),
    ],
)
def test_what_no_route_takes_is_left_to_the_routes_behind(method: str, path: str) -> None:
    assert ByResource(ROUTES).matches(_scope(method, path)) == (Match.NONE, {})
