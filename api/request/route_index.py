"""The index that finds the route of a request by its method and the first words of its path.

FastAPI tries the pattern of one route after the other, which with a hundred routes costs more than
many a handler does. Here only those are tried that begin with the same resource (`/v1/assets`), and
the one that is found answers by itself. What is not found is left to the routes behind: they say
that there is no such path, or method.
"""

from collections import defaultdict
from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send


class ByResource(BaseRoute):
    """The index before the routes themselves, for speed only."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes: defaultdict[tuple[str, str], list[APIRoute]] = defaultdict(list)
        for route in routes:
            if isinstance(route, APIRoute):
                for method in route.methods or ():
                    self._routes[method, _resource(route.path)].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request: FULL, with the route in the scope; or NONE."""
        if scope["type"] == "http":
            for route in self._routes.get((scope["method"], _resource(scope["path"])), ()):
                match, inner = route.matches(scope)
                if match is Match.FULL:
                    return match, inner
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route that was found do it."""
        await scope["route"].app(scope, receive, send)


def _resource(path: str) -> str:
    """Return `/v1/assets` of `/v1/assets/ast_...`."""
    return "/".join(path.split("/", 3)[:3])
