"""Plain resources (`api.request.plain_resource`), found among the routes: each by the name of its
list, with the model of its answers. `NEW` is enough for a new one.
"""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from api.app import RESOURCES
from api.request.plain_resource import plain_routes
from api.request.route import PublicRoute

NEW: dict[str, Any] = {"name": "x"}


def _plain() -> Iterator[tuple[str, type[BaseModel]]]:
    for module in RESOURCES:
        routes = [each for each in module.router.routes if isinstance(each, PublicRoute)]
        made = {each.name: each for each in routes if _is_made(each)}
        if {"create_row", "update_row", "delete_row"} <= made.keys():
            (item,) = get_args(made["list_rows"].response_model.model_fields["data"].annotation)
            yield module.router.prefix.removeprefix("/v1/"), item


def _is_made(route: PublicRoute) -> bool:
    return route.endpoint.__module__ == plain_routes.__module__


PLAIN = dict(_plain())
