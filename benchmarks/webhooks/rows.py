"""Endpoints, events and deliveries for a measurement, written by a superuser."""

import os
import time
from uuid import UUID

from benchmarks.common.rows import Admin, copy_rows
from db.core import leases
from db.core.connect import connect
from db.core.secrets import SecretBox
from db.delivery import sequencer
from telemetry.ids import derived_id

SECRET_KEY = bytes(range(32))
_SECRET = b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
_DATA_BYTES = 500
_SEQUENCED = 1_000  # events of a transaction
ORGANIZATIONS, ENDPOINTS = 10, 100


def add_endpoint(conn: Admin, organization: UUID, url: str, types: str = "*") -> UUID:
    """Add an endpoint of an organization that may have webhooks."""
    endpoint = derived_id(b"bench endpoint", os.urandom(8))
    sealed = SecretBox((SECRET_KEY,)).seal(_SECRET, endpoint.bytes)
    conn.execute("UPDATE organizations SET plan = 'unlimited' WHERE org_id = %s", (organization,))
    conn.execute(
        "INSERT INTO webhook_endpoints (org_id, id, url, types, secret_encrypted)"
        " VALUES (%s, %s, %s, %s, %s)",
        (organization, endpoint, url, [types], sealed),
    )
    return endpoint


def add_endpoints(conn: Admin, url: str, hanging_url: str | None) -> None:
    """Add ENDPOINTS of ORGANIZATIONS in place of all there are. Endpoint N of an organization wants
    events of the type `bN.told`. hanging_url: of the first endpoint.
    """
    clear(conn)
    conn.execute("TRUNCATE organizations CASCADE")
    for number in range(ENDPOINTS):
        place, kind = number % ORGANIZATIONS, number // ORGANIZATIONS
        organization = _organization(place)
        if kind == 0:
            copy_rows(conn, "organizations (org_id, name)", [(organization, f"Bench {place}")])
        own_url = hanging_url if hanging_url and number == 0 else url
        add_endpoint(conn, organization, own_url, f"b{kind}.*")


def clear(conn: Admin) -> None:
    """Remove events, deliveries and endpoints."""
    conn.execute(
        "TRUNCATE events, event_subjects, webhook_deliveries, webhook_endpoints, webhook_attempts"
        " CASCADE"
    )


def add_events(conn: Admin, count: int, first: int = 0) -> None:
    """Add events, one for each endpoint in turn, and wake up the sequencer."""
    with conn.transaction():
        conn.execute(
            """
            INSERT INTO events (org_id, id, type, occurred_at, data)
            SELECT (%(organizations)s::uuid[])[1 + n %% %(places)s], gen_random_uuid(),
                   'b' || n / %(places)s %% %(kinds)s || '.told', now(),
                   json_build_object('text', repeat('x', %(bytes)s))
              FROM generate_series(%(first)s::int, %(last)s::int) AS n
            """,
            {
                "organizations": [_organization(place) for place in range(ORGANIZATIONS)],
                "places": ORGANIZATIONS,
                "kinds": ENDPOINTS // ORGANIZATIONS,
                "bytes": _DATA_BYTES,
                "first": first,
                "last": first + count - 1,
            },
        )
    conn.execute("SELECT pg_notify('opsc_events', '')")


async def give_seqs(url: str) -> float:
    """Give the events that wait their seq, and make their deliveries, as the sequencer does; events
    a second. url: of opsc_deliver.
    """
    async with await connect(url, "bench-sequencer") as conn:
        epoch = await leases.acquire(conn, sequencer.LEASE, "bench", 600)
        assert epoch is not None
        began_s, events = time.monotonic(), 0
        while org_ids := await sequencer.behind(conn):
            events += (await sequencer.sequence(conn, epoch, org_ids, limit=_SEQUENCED)).events
        took_s = time.monotonic() - began_s
        await leases.release(conn, sequencer.LEASE, epoch)
        return events / took_s


def _organization(place: int) -> UUID:
    return derived_id(b"bench webhooks", bytes([place]))
