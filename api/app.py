"""The application: resources, errors and the edge, put together."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import Lifespan

from api.auth.caller import known_scopes
from api.context import ApiState
from api.http import errors
from api.http.answers.compression import Compressing
from api.http.middleware import Edge
from api.http.strangers import ConnectionPlaces
from api.live import event_stream, websocket
from api.live.limits import LiveLimits
from api.live.live import Live
from api.openapi.document import complete, tags_of
from api.request.route import PublicRoute
from api.resources import (
    alerts,
    api_keys,
    audit_events,
    auth_session,
    auth_tokens,
    batches,
    clients,
    commands,
    dashboard,
    docs_page,
    employee_positions,
    employees,
    erasures,
    event_types,
    events,
    export_jobs,
    gateways,
    gps_events,
    gps_nearest,
    health,
    jobs,
    organization,
    organization_archive,
    organization_logo,
    organization_usage,
    password_links,
    punches,
    quarantine,
    report_schedules,
    search,
    shifts,
    sites,
    unknown_devices,
    users,
    visits,
)
from api.resources.assets import positions, tracks
from api.resources.assets import routes as assets
from api.resources.attachments import routes as attachments
from api.resources.imports import routes as imports
from api.resources.inspections import filling as inspection_filling
from api.resources.inspections import forms as inspection_forms
from api.resources.inspections import photo_page
from api.resources.inspections import repairs as inspection_repairs
from api.resources.inspections import templates as inspection_templates
from api.resources.quotes import acceptance
from api.resources.quotes import conversion as quote_conversion
from api.resources.quotes import decisions as quote_decisions
from api.resources.quotes import drafts as quote_drafts
from api.resources.quotes import evidence as quote_evidence
from api.resources.quotes import listing as quotes
from api.resources.quotes import sending as quote_sending
from api.resources.reports import days as report_days
from api.resources.reports import parts as report_parts
from api.resources.reports import stays as report_stays
from api.resources.reports import sums as report_sums
from api.resources.stock import inventory, lots, movements, parts, warehouses
from api.resources.timesheets import adjustments as timesheet_adjustments
from api.resources.timesheets import detail as timesheet_detail
from api.resources.timesheets import listing as timesheets
from api.resources.timesheets import moves as timesheet_moves
from api.resources.timesheets import moves_together as timesheet_moves_together
from api.resources.trackers import routes as trackers
from api.resources.trips import listing as trips
from api.resources.webhooks import deliveries as webhook_deliveries
from api.resources.webhooks import endpoints as webhook_endpoints
from api.resources.webhooks import recovery as webhook_recovery
from api.resources.work_orders import changes as work_order_changes
from api.resources.work_orders import creation as work_order_creation
from api.resources.work_orders import detail as work_order_detail
from api.resources.work_orders import listing as work_orders
from api.resources.work_orders import parts as work_order_parts
from api.resources.work_orders import records as work_order_records
from api.resources.work_orders import verbs as work_order_verbs
from api.resources.zones import past_visits as zone_past_visits
from api.resources.zones import routes as zones
from api.resources.zones import trial as zone_trial
from api.resources.zones import validation
from api.resources.zones import versions as zone_versions
from api.settings import ApiSettings
from api.startup import opened
from db.core.connect import Pool
from service.health import serving
from service.itself import watching_itself

RESOURCES = (
    auth_tokens,
    auth_session,
    password_links,
    users,
    api_keys,
    organization,
    organization_archive,
    organization_logo,
    organization_usage,
    search,
    clients,
    sites,
    employee_positions,  # before employees, where its path would be an id
    employees,
    erasures,
    export_jobs,
    positions,  # before assets, where its path would be an id
    assets,
    trackers,
    commands,
    gateways,
    unknown_devices,
    validation,
    zone_past_visits,
    zone_trial,
    zone_versions,  # before zones, where its path would be an id
    zones,
    gps_events,
    gps_nearest,
    trips,
    report_days,
    report_parts,
    report_sums,
    report_stays,
    report_schedules,
    punches,
    shifts,
    timesheets,
    timesheet_moves_together,
    timesheet_detail,
    timesheet_moves,
    timesheet_adjustments,
    parts,
    warehouses,
    inventory,
    lots,
    movements,
    quotes,
    quote_drafts,
    quote_sending,
    quote_decisions,
    quote_conversion,
    quote_evidence,
    work_orders,
    work_order_creation,
    work_order_detail,
    work_order_changes,
    work_order_verbs,
    work_order_records,
    work_order_parts,
    inspection_templates,
    inspection_forms,
    inspection_filling,
    inspection_repairs,
    quarantine,
    visits,
    alerts,
    events,
    event_stream,
    event_types,
    webhook_endpoints,
    webhook_recovery,
    webhook_deliveries,
    attachments,
    imports,
    jobs,
    audit_events,
)


class NoAddressFree(Exception):
    """The page of metrics can be had at none of its addresses."""

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        named = ", ".join(f"{host}:{port}" for host, port in addresses)
        super().__init__(f"OPSC_API_HTTP: something else listens at {named}")


def create_app(
    settings: ApiSettings,
    connections: Pool,
    page_addresses: Sequence[tuple[str, int]] = (),
    clock: Callable[[], float] = time.monotonic,
    live_limits: LiveLimits | None = None,
) -> FastAPI:
    """Return the ASGI application. It opens `connections` when it starts and closes them when it
    stops.

    It does not start over a login that is not under row-level security. Without a database it
    waits for one: `connections` stay closed, so that every request that needs them is a 503.
    page_addresses: the page of metrics is at the first of them that is free; nowhere without any.
    """
    state = ApiState.build(settings, connections, clock)
    live = Live(state, live_limits or LiveLimits())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        async with AsyncExitStack() as beside:
            beside.push_async_callback(state.close)
            await beside.enter_async_context(watching_itself(state.metrics.registry))
            await _serve_page(beside, state, page_addresses)
            opening = await opened(settings, connections)
            if state.standby is not None:
                await beside.enter_async_context(state.standby.running())
            await beside.enter_async_context(state.wake_ups.running())
            writing = asyncio.create_task(state.usage.run())
            try:
                async with state.admission.running(), live.running():
                    yield {  # for api.http.server
                        "metrics": state.metrics,
                        "access_log": state.access_log,
                        "live": live,
                        "places": ConnectionPlaces(settings.api_proxy_networks),
                    }
            finally:
                writing.cancel()
                if opening is not None:
                    opening.cancel()
                await state.usage.write()
                await connections.close()

    app = _routed(lifespan)
    app.state.api = state
    app.state.live = live
    app.openapi = _document
    parameters: set[str] = set()
    resources: dict[str, str] = {}
    for each in iter_route_contexts(app.routes):
        if isinstance(each.original_route, PublicRoute):
            parameters |= each.original_route.parameters
            if each.tags:  # a page for people has none
                resources[each.operation_id] = each.tags[0]
    app.state.parameter_names = frozenset(parameters)
    app.state.resources = resources
    app.state.scopes = known_scopes(resources.values())
    errors.install(app)
    app.add_middleware(Compressing)
    origins = settings.api_allowed_origins or ()
    app.add_middleware(Edge, metrics=state.metrics, access_log=state.access_log, origins=origins)
    return app


def _routed(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Return an application with all routes."""
    app = FastAPI(
        title="OPS Companion",
        version=version("ops-companion"),
        lifespan=lifespan,
        openapi_url=None,  # `docs_page` has it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_tags=tags_of(RESOURCES),
    )
    for module in (
        *RESOURCES,
        batches,
        tracks,
        acceptance,
        photo_page,
        health,
        dashboard,
        docs_page,
    ):
        # As they are: FastAPI's `include_router` would build each route anew, and its schemas.
        app.router.routes.extend(module.router.routes)
    app.router.routes.append(websocket.route)
    return app


@cache
def _document() -> dict[str, Any]:
    """Return the OpenAPI document. It takes most of a second, and is the same for every application
    of a process.
    """
    return complete(_routed())


async def _serve_page(
    beside: AsyncExitStack, state: ApiState, addresses: Sequence[tuple[str, int]]
) -> None:
    async def trouble() -> str | None:
        return await health.trouble_of(state.connections)

    for address in addresses:
        try:
            await beside.enter_async_context(serving(address, trouble, state.metrics.page))
        except OSError:
            continue
        return
    if addresses:
        raise NoAddressFree(addresses)
