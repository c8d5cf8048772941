"""The attacks, one function each, and the table of all (`ATTACKS`).

Each goes through the door, as anybody could: as an organization of its own, or as nobody.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from benchmarks.hostile.neighbours import preparation as needed
from benchmarks.hostile.neighbours.force import Attacker
from benchmarks.hostile.neighbours.preparation import CROSSED_LAT, CROSSED_LON
from benchmarks.hostile.neighbours.victim import ADDRESS as VICTIM
from benchmarks.hostile.neighbours.wire import HOST, WS_BEGIN, Tracker, request, ws_text

Prepare = Callable[[needed.Organization], Awaitable[None]]
LINE_VERTICES = 100_000
IMPORTED = 1_000
BACKLOG_MESSAGES = 26
EVENTS = 700


@dataclass(frozen=True, slots=True)
class Attack:
    """A row. holds: what is in its way. prepare: makes what it needs, before the calm phase."""

    attack: Callable[[Attacker], Awaitable[None]]
    name: str
    holds: str
    prepare: Prepare = needed.nothing


# Requests -------------------------------------------------------------------------------------


async def one_text(attacker: Attacker) -> None:
    """Send texts that are long where a time, a cursor or a word is wanted."""
    times = json.dumps({"title": "x", "due_at": "T00:00" * 20_000}).encode()
    titles = json.dumps({"title": "T00:00:" * 100_000}).encode()
    long = quote("T00:00" * 1_200)
    requests = [
        attacker.request("POST", "/v1/work-orders", times),
        attacker.request("GET", f"/v1/search?q={long}"),
        attacker.request("GET", f"/v1/gps-events?from={long}"),
        attacker.request("GET", f"/v1/assets?cursor={long}"),
        attacker.request("POST", "/v1/work-orders", titles),
    ]
    await attacker.again_and_again(16, lambda number: requests[number % len(requests)])


async def dear_pages(attacker: Attacker) -> None:
    """Read the dearest pages over 60 connections."""
    zone = attacker.ground["zone_id"]
    pages = [
        "/v1/zones?limit=1000",
        f"/v1/gps-events?zone_id={zone}&limit=1000",
        "/v1/gps-events?limit=1000&offset=95000",
        "/v1/search?q=a%20zone",
        "/v1/zones?limit=1000&q=zone&sort=-name&offset=500",
        "/v1/gps-events?limit=1000&from=2020-01-01T00:00:00Z",
        "/v1/audit-events?limit=1000",
    ]
    requests = [attacker.request("GET", page) for page in pages]
    requests.append(attacker.request("GET", pages[0], accept="application/geo+json"))
    await attacker.again_and_again(60, lambda number: requests[number % len(requests)])


async def half_requests(attacker: Attacker) -> None:
    """Hold 2,100 half requests from one address."""
    await attacker.hold(2_100, request("GET", "/v1/assets")[:-2], ["127.1.0.0"])


async def line_zone(attacker: Attacker) -> None:
    """Make a corridor of 100,000 vertices, and change it, over and over."""
    bodies = [json.dumps(_line(place)).encode() for place in range(2)]
    made = attacker.request("POST", "/v1/zones", bodies[0])
    target = f"/v1/zones/{attacker.ground['zone_id']}"
    changed = [attacker.request("PATCH", target, body) for body in bodies]
    requests = [changed[0], made, changed[1]]
    await attacker.again_and_again(4, lambda number: requests[number % len(requests)])


def _line(place: int) -> dict[str, object]:
    vertices = [
        [round(8 + at * 1e-5, 5), round(47 + place * 0.01 + at % 2 * 1e-5, 5)]
        for at in range(LINE_VERTICES)
    ]
    geometry = {"type": "LineString", "coordinates": vertices}
    return {"name": "line", "width_m": 10, "geometry": geometry}


async def many_endpoints(attacker: Attacker) -> None:
    """Make 700 events for 1,000 endpoints, of which half answer never and half are not there."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attacker.told["webhooks that hang"] += 1
        while await reader.read(65_536):
            pass

    order = attacker.request("POST", "/v1/work-orders", b'{"title": "x"}')
    async with await asyncio.start_server(hang, HOST, attacker.ground["hanging_port"]):
        await attacker.again_and_again(8, lambda number: order, times=EVENTS)
        await asyncio.Event().wait()


async def zone_backlog(attacker: Attacker) -> None:
    """Send 26 messages of 500 old fixes by each of four trackers, which pass through ten zones on
    one place from each fix to the next.
    """

    async def send(session: Tracker) -> None:
        messages = (_crossings(number) for number in range(BACKLOG_MESSAGES))
        await asyncio.gather(*(attacker.publish(session, one) for one in messages))

    await asyncio.gather(*(attacker.as_tracker(place, send) for place in range(4)))
    await asyncio.Event().wait()


def _crossings(number: int) -> bytes:
    """Return 500 fixes, a minute apart, on this and that side of the zones in turn."""
    began, first = datetime.now(UTC) - timedelta(days=10), number * 500
    fixes = (
        f'{{"time":"{(began + timedelta(minutes=at)).isoformat()}",'
        f'"lat":{CROSSED_LAT + (at % 2 - 0.5) * 0.01},"lon":{CROSSED_LON}}}'
        for at in range(first, first + 500)
    )
    return f"[{','.join(fixes)}]".encode()


async def photos(attacker: Attacker) -> None:
    """Send the largest photo over two connections, over and over."""
    form = _form(attacker.ground["asset_id"], Path(attacker.ground["photo"]))
    sent = attacker.request(
        "POST", "/v1/attachments", form, content_type="multipart/form-data; boundary=x"
    )
    await attacker.again_and_again(2, lambda number: sent)


def _form(asset_id: str, photo: Path) -> bytes:
    part = b"--x\r\nContent-Disposition: form-data; name="
    asset = part + b'"asset_id"\r\n\r\n' + asset_id.encode() + b"\r\n"
    file = part + b'"file"; filename="a.jpg"\r\n\r\n' + photo.read_bytes()
    return asset + file + b"\r\n--x--\r\n"


async def papers(attacker: Attacker) -> None:
    """Read eight PDFs of the longest quote and timesheet at a time."""
    requests = [
        attacker.request("GET", target, accept="application/pdf")
        for target in attacker.ground["papers"]
    ]
    await attacker.again_and_again(8, lambda number: requests[number % len(requests)])


async def imports(attacker: Attacker) -> None:
    """Import 1,000 zones, eight times at a time."""

    def make(number: int) -> bytes:
        west = number % 300
        zones = [
            {"name": "zone", "geometry": _square(west + at % 32 * 0.03, at // 32 * 0.03)}
            for at in range(IMPORTED)
        ]
        return attacker.request("POST", "/v1/zones/batch", json.dumps(zones).encode())

    await attacker.again_and_again(8, make)


def _square(lon: float, lat: float) -> dict[str, object]:
    west, south, east, north = (round(at, 3) for at in (lon, lat, lon + 0.02, lat + 0.02))
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


async def wrong_credentials(attacker: Attacker) -> None:
    """Send wrong keys, tokens and passwords, from the victim's address too, and for its admin."""
    sign_in = attacker.ground["neighbour"] | {"password": "wrong" * 4}

    def make(number: int) -> bytes:
        if number % 3 == 0:
            somebody = {"email": f"somebody{number}@example.com"}
            body = sign_in | (somebody if number % 2 else {})
            return request("POST", "/v1/auth/token", None, json.dumps(body).encode())
        wrong = secrets.token_urlsafe(32)
        token = f"opsk_{wrong}" if number % 3 == 1 else f"eyJhbGciOiJFZERTQSJ9.e30.{wrong}"
        return request("GET", "/v1/assets", token)

    of = [VICTIM, *(f"127.1.{number}.1" for number in range(15))]
    await attacker.again_and_again(32, make, of)


async def logged(attacker: Attacker) -> None:
    """Make lines of log, long ones, by requests that cost little else."""
    requests = [
        attacker.request("GET", "/v1/nothing/" + "x" * 7_000),
        attacker.request("GET", "/v1/assets?x=" + "y" * 7_000),
        attacker.request("GET", "/healthz", user_agent="z" * 7_000),
    ]
    await attacker.again_and_again(32, lambda number: requests[number % len(requests)])


async def bulk_creates(attacker: Attacker) -> None:
    """Make 1,000 assets at a time, each time with another Idempotency-Key."""
    body = json.dumps([{"name": "asset", "tags": ["a", "b"]}] * 1_000).encode()

    def make(number: int) -> bytes:
        key = f"{secrets.token_hex(8)}-{number}"
        return attacker.request("POST", "/v1/assets/batch", body, Idempotency_Key=key)

    await attacker.again_and_again(8, make)


async def row_locks(attacker: Attacker) -> None:
    """Change one work order over 60 connections: each waits for the one before."""
    target = f"/v1/work-orders/{attacker.ground['work_order_id']}"

    def make(number: int) -> bytes:
        body = json.dumps({"description": f"{number} " * 1_000}).encode()
        return attacker.request("PATCH", target, body)

    await attacker.again_and_again(60, make)


async def right_passwords(attacker: Attacker) -> None:
    """Sign in with the right password over and over: each costs a hash that is meant to be dear."""
    names = ("organization_id", "email", "password")
    body = json.dumps({name: attacker.ground[name] for name in names}).encode()
    sent = request("POST", "/v1/auth/token", None, body)
    await attacker.again_and_again(32, lambda number: sent)


async def zone_changes(attacker: Attacker) -> None:
    """Change a small zone without a pause: each change is a revision that ingest reads."""
    target = f"/v1/zones/{attacker.ground['zone_id']}"

    def make(number: int) -> bytes:
        body = {"geometry": _square(8 + number % 2 * 0.01, 47)}
        return attacker.request("PATCH", target, json.dumps(body).encode())

    await attacker.again_and_again(8, make)


async def compressed_pages(attacker: Attacker) -> None:
    """Read pages of megabytes that have to be compressed, over 16 connections."""
    targets = ("/v1/zones?limit=1000", "/v1/gps-events?limit=1000")
    requests = [attacker.request("GET", one, accept_encoding="br") for one in targets]
    await attacker.again_and_again(16, lambda number: requests[number % len(requests)])


async def rubbish(attacker: Attacker) -> None:
    """Fill quarantine by four trackers, and list all of it, over and over."""

    async def send(session: Tracker) -> None:
        for number in range(1_000_000):
            await asyncio.gather(
                *(
                    attacker.publish(session, b'{"no fix": %d}' % (number * 20 + one))
                    for one in range(20)
                )
            )

    listed = attacker.request("GET", "/v1/quarantine?limit=1000")
    await asyncio.gather(
        *(attacker.as_tracker(place, send) for place in range(4)),
        attacker.again_and_again(8, lambda number: listed),
    )


async def document(attacker: Attacker) -> None:
    """Read the OpenAPI document over eight connections, in each of its forms, as nobody."""
    codings = ("identity", "br", "gzip")
    requests = [
        request("GET", "/openapi.json", headers={"accept-encoding": one}) for one in codings
    ]
    await attacker.again_and_again(8, lambda number: requests[number % len(requests)])


async def past_visits(attacker: Attacker) -> None:
    """Ask for the past of a zone with as many fixes as are judged, over eight connections."""
    target = f"/v1/zones/{attacker.ground['zone_id']}/past-visits"
    sent = attacker.request("GET", target)
    await attacker.again_and_again(8, lambda number: sent)


# Connections that are held -------------------------------------------------------------------


async def live_readers(attacker: Attacker) -> None:
    """Open as many WebSockets and event streams as the plan lets, never read them, and make
    events.
    """
    token = attacker.ground["token"]
    said = [
        {"op": "authenticate", "token": token},
        {"op": "subscribe", "id": 1, "channel": "events", "after": 0},
        {"op": "subscribe", "id": 2, "channel": "positions", "bbox": [-180, -90, 180, 90]},
    ]
    frames = b"".join(ws_text(json.dumps(one).encode()) for one in said)
    socket_begin = request("GET", "/v1/ws", headers=WS_BEGIN) + frames
    stream_begin = attacker.request("GET", "/v1/events/stream?after=0")
    order = json.dumps({"title": "x", "description": "long " * 1_900}).encode()
    event = attacker.request("POST", "/v1/work-orders", order)
    await asyncio.gather(
        attacker.hold(1_000, socket_begin),
        attacker.hold(1_000, stream_begin),
        attacker.again_and_again(2, lambda number: event),
    )


async def unread_exports(attacker: Attacker) -> None:
    """Ask for all fixes, as lines or as the largest page, on 200 connections that never read."""
    begin = attacker.request(
        "GET", "/v1/gps-events?limit=1000", accept="application/x-ndjson, application/json;q=0.5"
    )
    await attacker.hold(200, begin)


async def slow_bodies(attacker: Attacker) -> None:
    """Hold 2,100 POSTs with a good token whose body comes a byte a second."""
    whole = attacker.request("POST", "/v1/work-orders", b" " * 100_000)
    await attacker.hold(2_100, whole[:-99_000], then=b" ")


ATTACKS = [
    Attack(one_text, "one text over and over", "lengths before patterns; turns"),
    Attack(dear_pages, "dear pages, 60 connections", "turns", needed.zones_and_fixes),
    Attack(half_requests, "2,100 half requests of an address", "64 connections an address"),
    Attack(line_zone, "a line of 100,000 vertices", "geometries in turns", needed.one_zone),
    Attack(many_endpoints, "700 events for 1,000 endpoints", "turns", needed.endpoints),
    Attack(zone_backlog, "a backlog that crosses zones", "time of a batch", needed.crossed_zones),
    Attack(photos, "the largest photos", "one at a time, in turns", needed.photo),
    Attack(papers, "the longest PDFs, 8 at a time", "turns", needed.longest_papers),
    Attack(imports, "imports of 1,000 zones, 8 at a time", "geometries in turns"),
    Attack(wrong_credentials, "wrong tokens and passwords", "an address's requests a minute"),
    Attack(logged, "as many lines of log as it can", "-"),
    Attack(live_readers, "2,000 live readers that never read", "places", needed.one_asset),
    Attack(unread_exports, "exports that are never read", "a minute", needed.many_fixes),
    Attack(bulk_creates, "1,000 assets at a time", "turns"),
    Attack(slow_bodies, "2,100 bodies, a byte a second", "60 s; the most silent makes place"),
    Attack(row_locks, "60 changes of one row at once", "turns", needed.one_work_order),
    Attack(right_passwords, "right passwords over and over", "sign-ins at once"),
    Attack(zone_changes, "a zone changed without a pause", "turns", needed.one_zone),
    Attack(compressed_pages, "compressed pages", "turns", needed.zones_and_fixes),
    Attack(rubbish, "quarantine filled and listed", "messages a day", needed.crossed_zones),
    Attack(document, "the OpenAPI document, as nobody", "made once; bytes of an address"),
    Attack(past_visits, "pasts of a zone, 200,000 fixes", "turns", needed.a_zone_of_many_fixes),
]
