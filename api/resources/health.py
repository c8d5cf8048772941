"""Health: whether the process lives, and whether it can serve."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.context import ApiState
from api.http.encoding import ok
from api.http.problems import unavailable
from db.core.connect import Pool
from db.core.errors import OperationalError

router = APIRouter(include_in_schema=False)
_WAIT_S = 2


@router.get("/healthz")
async def live() -> Response:
    """Answer that the process lives."""
    return ok({"status": "ok"})


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """Answer whether the process lives and the database answers."""
    state: ApiState = request.app.state.api
    trouble = await trouble_of(state.connections)
    if trouble is not None:
        raise unavailable(trouble)
    return ok({"status": "ok"})


async def trouble_of(connections: Pool) -> str | None:
    """Return why requests cannot be served; None where they can."""
    try:
        async with connections.connection(timeout=_WAIT_S) as conn:
            await conn.execute("SELECT 1")
    except OperationalError:
        return "The database cannot be reached."
    return None
