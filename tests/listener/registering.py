"""Trackers of an organization, changed as the API changes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from db.core.connect import Connection
from db.core.registry_revision import bump
from db.listener import imei_claims
from db.resources import trackers
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant, Vehicle


async def rotate(tenant: Tenant, tracker_id: UUID, secret: str) -> None:
    """Give a tracker another secret."""
    async with _changing(tenant, tracker_id) as (conn, revision, tracker, at):
        await trackers.update(conn, tracker._replace(updated_at=at), revision, secret=secret)


async def registered(tenant: Tenant) -> Vehicle:
    """Return a new tracker on an asset; its secret is "secret"."""
    vehicle = await tenant.vehicle()
    await rotate(tenant, vehicle.tracker_id, "secret")
    return vehicle


async def claim(tenant: Tenant, tracker_id: UUID, imei: str | None) -> None:
    """Let a tracker claim an IMEI that is free, or give its own up."""
    async with _changing(tenant, tracker_id) as (conn, revision, tracker, at):
        await trackers.update(conn, tracker._replace(updated_at=at), revision)
        await imei_claims.give_up(conn, tracker_id)
        if imei is not None:
            await imei_claims.claim(conn, {tracker_id: imei}, at)


async def change(tenant: Tenant, tracker_id: UUID, **fields: Any) -> None:
    """Change fields of a tracker."""
    async with _changing(tenant, tracker_id) as (conn, revision, tracker, at):
        await trackers.update(conn, tracker._replace(updated_at=at, **fields), revision)


async def revoke(tenant: Tenant, tracker_id: UUID) -> None:
    """Revoke a tracker."""
    async with _changing(tenant, tracker_id) as (conn, revision, tracker, at):
        await trackers.update(conn, tracker._replace(revoked_at=at, updated_at=at), revision)


@asynccontextmanager
async def _changing(
    tenant: Tenant, tracker_id: UUID
) -> AsyncIterator[tuple[Connection, int, trackers.Tracker, datetime]]:
    """Provide the transaction of a change, its revision, the tracker and the time."""
    async with transaction(tenant.database, "opsc_app", tenant.org_id) as conn:
        revision, at = await bump(conn)
        yield conn, revision, await trackers.table.get(conn, tracker_id), at


def rows(tenant: Tenant, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read what the listener may see."""
    return tenant.database.run("opsc_listen", query, values)
