"""Ways of things by local time, and questions about them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telemetry.ids import parse_id
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.stored import minute

BERLIN = ZoneInfo("Europe/Berlin")
Part = tuple[str, float, float]  # until when, local; kilometres to the east; seconds between fixes


def at(text: str) -> datetime:
    """Return a local time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def utc(text: str) -> str:
    """Return a local time in Berlin as the API writes it."""
    return at(text).astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def store_way(
    api: RunningApi,
    org: Organization,
    tracker_id: str,
    begin: str,
    parts: Sequence[Part],
    **columns: Any,
) -> None:
    """Store the fixes of a way along the equator, at an even speed from part to part. begin: when
    it is at kilometre 0, local.
    """
    rows: list[tuple[datetime, float]] = []
    since, km = at(begin).astimezone(ZoneInfo("UTC")), 0.0
    for end, to_km, every_s in parts:
        until = at(end).astimezone(ZoneInfo("UTC"))
        steps = round((until - since).total_seconds() / every_s)
        for step in range(steps):
            share = step / steps
            rows.append((since + timedelta(seconds=step * every_s), km + share * (to_km - km)))
        since, km = until, to_km
    rows.append((since, km))
    values = {"received_at": minute(0), **columns}
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    api.sql(
        f"INSERT INTO gps_events (org_id, tracker_id, time, seq, lat, lon, {names})"
        f" SELECT %s, %s, time, 0, 0, 9 + km / 111.3195, {places}"
        " FROM unnest(%s::timestamptz[], %s::float8[]) AS fix (time, km)",
        org.org_id,
        parse_id("trk", tracker_id),
        *values.values(),
        [time for time, _ in rows],
        [km for _, km in rows],
    )


async def report(
    client: Client, name: str, first: str, last: str | None = None, **asked: Any
) -> list[dict[str, Any]]:
    """Return the rows of a report in Berlin's days."""
    answer = await asked_for(client, name, first, last, **asked)
    assert answer.status == 200, answer.content
    assert answer.json["total"] == len(answer.json["data"])
    return answer.json["data"]


async def asked_for(
    client: Client, name: str, first: str, last: str | None = None, accept: str = "", **asked: Any
) -> Answer:
    values = {"time_zone": "Europe/Berlin", "limit": 1_000} | asked
    if accept:
        del values["limit"]
    headers = {"Accept": accept} if accept else {}
    return await client.get(f"/v1/reports/{name}", headers, from_=first, to=last or first, **values)
