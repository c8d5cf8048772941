"""Routes that take a file as the body itself, and not JSON.

What arrives is held in memory. An organization sends one such body at a time to a process, and few
organizations at once.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from api.context import ApiState
from api.http.headers import charset, media_type
from api.http.problems import Problem
from api.limits.turns import refusing_when_full
from api.request.handler_arguments import Handle
from api.request.route import TenantRoute, read_body


class ContentRoute(TenantRoute):
    """A route whose body is a file: it is at `request.state.content`, and its type at
    `request.state.content_type`, while the handler runs.
    """

    content_types: ClassVar[tuple[str, ...]]

    async def run(self, request: Request, handle: Handle) -> Response:
        """Run the handler. Raises Problem (400, 408, 413, 415, 429, 503)."""
        state: ApiState = request.app.state.api
        given = media_type(request.headers)
        if given not in self.content_types or charset(request.headers) not in ("", "utf-8"):
            allowed = " or ".join(self.content_types)
            detail = f"The Content-Type must be {allowed}, in UTF-8."
            raise Problem(415, "content_type_refused", detail)
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            detail = "The body must be sent as it is, without Content-Encoding."
            headers = {"Accept-Encoding": "identity"}
            raise Problem(415, "content_type_refused", detail, headers=headers)
        with refusing_when_full("files"):
            async with state.file_turns.turn(request.state.caller.org_id):
                content = await read_body(
                    request, self.body_limit_bytes, state.settings.api_body_timeout_s
                )
                if not content:
                    raise Problem(422, "invalid_body", "The body is empty.")
                request.state.content, request.state.content_type = content, given
                return await super().run(request, handle)

    def asked(self, request: Request) -> object:
        """Return the file by its hash."""
        return [request.state.content_type, sha256(request.state.content).hexdigest()]


def takes(schema: Mapping[str, Any], *content_types: str) -> dict[str, Any]:
    """Return what OpenAPI says of a body of one of these types."""
    content = {each: {"schema": dict(schema)} for each in content_types}
    return {"requestBody": {"required": True, "content": content}}
