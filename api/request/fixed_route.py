"""Routes to answers that are the same for everybody: they need no token, and take no parameters."""

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.context import ApiState
from api.http.etags import Preconditions
from api.http.fixed_answers import sent_bytes
from api.request.handler_arguments import Handle


class FixedRoute(APIRoute):
    """A route whose answers are counted by their bytes. A query is not looked at."""

    def get_route_handler(self) -> Handle:
        handle = super().get_route_handler()

        async def answer_and_count(request: Request) -> Response:
            state: ApiState = request.app.state.api
            response = Preconditions.of(request).answer(await handle(request))
            state.admission.admit_to_fixed(request, sent_bytes(request, response))
            return response

        return answer_and_count
