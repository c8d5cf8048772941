"""The application: resources, errors and the edge, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api import (
    api_keys,
    asset_positions,
    assets,
    attachments,
    audit_events,
    auth,
    batches,
    clients,
    employees,
    events,
    failures,
    gateways,
    gps_events,
    health,
    jwks,
    links,
    organization,
    organization_usage,
    quarantine,
    reference,
    session,
    sites,
    trackers,
    users,
    visits,
    webhook_endpoints,
    zone_validation,
    zones,
)
from api.by_resource import ByResource
from api.compression import Compressing
from api.documentation import complete, tags_of
from api.edge import Edge
from api.routes import parameters_by_operation
from api.scopes import known_scopes, resources
from api.settings import ApiSettings
from api.state import ApiState
from api.waiting import opened
from db.connect import Pool

RESOURCES = (
    auth,
    jwks,
    session,
    links,
    users,
    api_keys,
    organization,
    organization_usage,
    clients,
    sites,
    employees,
    asset_positions,  # before assets, where its path would be an id
    assets,
    trackers,
    gateways,
    zone_validation,
    zones,
    gps_events,
    quarantine,
    visits,
    events,
    webhook_endpoints,
    attachments,
    audit_events,
)


def create_app(settings: ApiSettings, connections: Pool) -> FastAPI:
    """The ASGI application. It opens `connections` when it starts and closes them when it stops.

    It does not start over a login that is not under row-level security. Without a database it
    waits for one: `connections` stay closed, so that every request that needs them is a 503.
    """
    state = ApiState.build(settings, connections)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening = await opened(settings, connections)
        writing = asyncio.create_task(state.usage.run())
        try:
            async with state.admission.running():
                yield
        finally:
            writing.cancel()
            if opening is not None:
                opening.cancel()
            await state.usage.write()
            await connections.close()
        await state.close()

    app = FastAPI(
        title="OPS Companion",
        version=version("ops-companion"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_tags=tags_of(RESOURCES),
    )
    app.state.api = state
    app.router.routes.append(
        ByResource(route for resource in RESOURCES for route in resource.router.routes)
    )
    for resource in RESOURCES:
        app.include_router(resource.router)
    app.include_router(batches.router)
    app.include_router(health.router)
    app.include_router(reference.router)
    document = complete(app)
    app.state.parameters = parameters_by_operation(document)
    app.state.parameter_names = frozenset[str]().union(*app.state.parameters.values())
    app.state.scopes = known_scopes(document)
    app.state.resources = resources(document)
    failures.install(app)
    app.add_middleware(Compressing)
    app.add_middleware(Edge, origins=settings.api_allowed_origins or ())
    return app
