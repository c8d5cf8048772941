"""One line a request: who, what, how it ended, and no secret."""

import asyncio
import json
import socket
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from api.http.access_log import ORGANIZATION_BYTES, STRANGER_BYTES, AccessLog, request_line
from api.http.metrics import Metrics
from tests.api.running import running_api
from tests.api.test_process import SECRET_KEY, answers, serving
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.own_api

KEY = "opsk_d9WQ0x3pT6yJ2m8rKfU1aVbC5nHsZeL4gXqYtR7iOwE"
PARAMETERS = frozenset({"limit", "q", "from"})


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("limit=5&from=2026-01-01", "limit=5&from=2026-01-01"),
        ("token=Sw0rdfish", "token=***"),
        ("limit=5&password=Sw0rdfish&x=Sw0rdfish", "limit=5&password=***&x=***"),
        ("Sw0rdfish", "***"),
        (f"q={KEY}", "q=***"),
        (f"{KEY}=1", "***=***"),
        ("q=" + "x" * 600, "q=" + "x" * 498 + "..."),
    ],
)
def test_values_of_a_query_are_shown_by_their_names(query: str, shown: str) -> None:
    assert line_of("/v1/assets", query)["query"] == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/assets/ast_01hzy", "/v1/assets/ast_01hzy"),
        (f"/v1/links/{KEY}", "/v1/links/***"),
        ("/v1/whsec_d9WQ0x3pT6yJ2m8rKfU1aVbC5n/x", "/v1/***"),
        ("/v1/eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl", "/v1/***"),
        ("/" + "x" * 600, "/" + "x" * 499 + "..."),
    ],
)
def test_secrets_in_a_path_are_masked(path: str, shown: str) -> None:
    assert line_of(path, "")["path"] == shown


def line_of(path: str, query: str) -> dict[str, Any]:
    scope = {
        "method": "GET",
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "state": {},
    }
    return request_line(scope, PARAMETERS, status=200, sent_bytes=0, elapsed_s=0.001)


async def test_each_request_has_one_line(database: DatabaseUnderTest) -> None:
    with running_api(database, secret_key=SECRET_KEY) as api:
        north = api.organization("Acme")
        key = {"name": "x", "scopes": ["assets:read"]}
        made = (await north.admin.post("/v1/api-keys", key)).json
    sent = {"Authorization": f"Bearer {made['secret']}", "X-Forwarded-For": "192.0.2.7"}
    requests = [
        ("GET", "/v1/assets?limit=1&token=Sw0rdfish", {**sent, "X-Request-Id": "one"}, None),
        ("POST", "/v1/assets", {**sent, "X-Request-Id": "two"}, {"name": "Sw0rdfish"}),
        ("GET", "/v1/users", {"Authorization": f"Bearer {KEY}", "X-Request-Id": "three"}, None),
    ]
    with serving(database, OPSC_LOG_LEVEL="info", OPSC_API_PROXY_NETWORKS="127.0.0.1") as (
        process,
        port,
    ):
        url, answered = f"http://127.0.0.1:{port}", list[bytes]()
        await answers(url, process)
        for method, path, headers, body in requests:
            async with aiohttp.request(method, url + path, headers=headers, json=body) as response:
                answered.append(await response.read())
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"no http\r\n\r\n")
            while raw.recv(1024):
                pass
        process.terminate()
        _, log = process.communicate(timeout=20)
    lines = [json.loads(line) for line in log.splitlines()]
    one, two, three, raw_line = [
        line for line in lines if line["event"] == "request" and line.get("path") != "/readyz"
    ]
    assert one["elapsed_ms"] >= 0
    told = {name: one[name] for name in one.keys() - {"elapsed_ms", "timestamp"}}
    assert told == {
        "event": "request",
        "level": "info",
        "client": "192.0.2.7",
        "method": "GET",
        "path": "/v1/assets",
        "query": "limit=1&token=***",
        "status": 400,
        "sent_bytes": len(answered[0]),
        "organization": north.id,
        "user": made["user_id"],
        "credential": made["id"],
        "request_id": "one",
    }
    assert (two["method"], two["status"], two["request_id"]) == ("POST", 403, "two")
    assert (three["status"], "user" in three, "organization" in three) == (401, False, False)
    assert (raw_line["status"], raw_line["client"]) == (400, "127.0.0.1")
    for secret in ("Sw0rdfish", made["secret"], KEY):
        assert secret not in log


NORTH, SOUTH = "org_north", "org_south"


class Counted(Metrics):
    """The count of left out lines, of metrics that no page shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.whose: list[str] = []

    def log_line_left_out(self, whose: str) -> None:
        self.whose.append(whose)


def said(client: str, organization: str | None = None) -> dict[str, Any]:
    line = {"client": client, "path": "/" + "x" * 400}
    return line if organization is None else line | {"organization": organization}


@pytest.mark.parametrize(
    ("one", "other", "budget", "named"),
    [
        (said("192.0.2.1", NORTH), said("192.0.2.1", SOUTH), ORGANIZATION_BYTES, NORTH),
        (said("192.0.2.1"), said("192.0.2.2"), STRANGER_BYTES, "192.0.2.1"),
        (said("2001:db8::1"), said("2001:db8:1::1"), STRANGER_BYTES, "2001:db8::"),
        (said("192.0.2.1"), said("192.0.2.1", NORTH), STRANGER_BYTES, "192.0.2.1"),
    ],
)
async def test_what_one_makes_the_log_write_is_bounded_and_the_rest_is_counted(
    one: dict[str, Any], other: dict[str, Any], budget: int, named: str, logged: list[Any]
) -> None:
    metrics = Counted()
    log, sent = AccessLog(metrics), 2_000
    for _ in range(sent):
        log.write("request", one)
    written = len(logged)
    assert budget * 0.7 < written * len(json.dumps(one)) < budget
    log.write("request", other)
    assert logged[-1]["client"] == other["client"]
    assert len(logged) == written + 1
    log.end_minute()
    kind = "organization" if "organization" in one else "client"
    left_out = {kind: named, "lines": sent - written}
    assert logged[written + 1 :] == [{"event": "lines left out", "log_level": "info"} | left_out]
    log.write("request", one)
    log.end_minute()
    assert len(logged) == written + 3
    assert metrics.whose == [kind] * (sent - written)


async def test_addresses_beyond_those_that_are_counted_share_one_budget(logged: list[Any]) -> None:
    log = AccessLog(Counted())
    for number in range(12_000):
        log.write("request", said(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    written = len(logged)
    assert 10_000 < written < 11_000
    log.end_minute()
    assert logged[-1]["client"] == "others"
    assert logged[-1]["lines"] == 12_000 - written


async def test_a_flood_leaves_the_lines_of_others_and_warnings_in_the_log(
    database: DatabaseUnderTest,
) -> None:
    """Of a whole process, with its last words."""
    flood = "/v1/" + "x" * 600
    with serving(database, OPSC_LOG_LEVEL="info", OPSC_API_PROXY_NETWORKS="127.0.0.1") as (
        process,
        port,
    ):
        url = f"http://127.0.0.1:{port}"
        await answers(url, process)
        assert process.stderr is not None
        reading = asyncio.create_task(asyncio.to_thread(process.stderr.read))
        async with aiohttp.ClientSession(url) as session:
            for number in range(400):
                headers = {"X-Forwarded-For": "192.0.2.66" if number else "192.0.2.1"}
                async with session.get(flood, headers=headers):
                    pass
            async with session.get("/v1/users", headers={"X-Forwarded-For": "192.0.2.1"}):
                pass
        process.terminate()
        log = await reading
    lines = [json.loads(line) for line in log.splitlines()]
    of_flood = [line for line in lines if line.get("client") == "192.0.2.66"]
    assert sum(len(json.dumps(line)) for line in of_flood) < 1.1 * STRANGER_BYTES
    (summary,) = [line for line in lines if line["event"] == "lines left out"]
    assert summary["lines"] == 399 - (len(of_flood) - 1)
    assert "request_id" not in summary
    assert len([line for line in lines if line.get("client") == "192.0.2.1"]) == 2
