"""The page of metrics of an API process: what is counted, and under which labels."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from stack.servers.ports import holder_of
from stack.servers.postgres import free_port
from tests.api.running import Organization, RunningApi, running_api
from tests.api.test_process import ANY_PORT, answers, serving
from tests.servers import DatabaseUnderTest

NOBODYS_ID = "ast_00000000000000000000000000"


class Page:
    """One look at the page."""

    def __init__(self, address: str) -> None:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        families = text_string_to_metric_families(text)
        self.samples: list[Sample] = [each for family in families for each in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return 0 where there is no such sample: it was never counted."""
        found = [each.value for each in self.samples if (each.name, each.labels) == (name, labels)]
        return found[0] if found else 0.0


@pytest.fixture(scope="module")
def address() -> str:
    return f"127.0.0.1:{free_port(ANY_PORT)}"


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest, address: str) -> Iterator[RunningApi]:
    with running_api(database, has_page=True, api_http=address) as running:
        yield running


async def test_requests_are_counted_by_template_method_and_class(
    north: Organization, address: str
) -> None:
    before = Page(address)
    await north.admin.get("/v1/assets")
    await north.admin.get(f"/v1/assets/{NOBODYS_ID}")
    await north.admin.post("/v1/assets", {"name": ""})
    await north.admin.send("PROPFIND", "/v1/assets")
    await north.admin.get("/no/such/path")
    after = Page(address)
    for method, route, status in [
        ("GET", "/v1/assets", "2xx"),
        ("GET", "/v1/assets/{id}", "4xx"),
        ("POST", "/v1/assets", "4xx"),
        ("GET", "none", "4xx"),
    ]:
        labels = {"method": method, "route": route}
        for name, more in [
            ("opsc_api_requests_total", {"status": status}),
            ("opsc_api_request_seconds_count", {}),
        ]:
            grown = after.value(name, **labels, **more) - before.value(name, **labels, **more)
            assert grown == 1, (name, labels)
    assert {each.labels.get("method") for each in after.samples} >= {"other"}
    assert "PROPFIND" not in str(after.samples)
    assert after.value("opsc_api_requests_in_flight") == 0


async def test_refusals_are_counted_by_their_reason(
    api: RunningApi, north: Organization, address: str
) -> None:
    before = Page(address)
    await api.anonymous.get("/v1/assets")
    await north.viewer.post("/v1/assets", {"name": "Truck"})
    await north.admin.send("POST", "/v1/assets", json={}, headers={"Idempotency-Key": "one"})
    await api.anonymous.get("/v1/" + "x" * 9000)
    not_http(api)
    after = Page(address)
    for reason in (
        "unauthorized", "forbidden", "invalid_body", "target_too_long", "invalid_http",
    ):  # fmt: skip
        labels = {"reason": reason}
        name = "opsc_api_refused_total"
        assert after.value(name, **labels) - before.value(name, **labels) == 1, reason


def not_http(api: RunningApi) -> None:
    """Open a connection that is refused before there is a request."""
    host, _, port = api.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert b"invalid_http" in connection.recv(4096)


async def test_the_pool_and_the_process_are_on_the_page(north: Organization, address: str) -> None:
    await north.admin.get("/v1/assets")
    page = Page(address)
    assert page.value("opsc_api_pool_connections") >= 1
    assert page.value("opsc_api_pool_requests_total") >= 1
    assert page.value("process_resident_memory_bytes") > 0
    assert page.value("process_open_fds") > 0


async def test_the_public_port_has_no_metrics(api: RunningApi) -> None:
    assert (await api.anonymous.get("/metrics")).status == 404


async def test_each_worker_has_a_page_of_its_own(database: DatabaseUnderTest) -> None:
    first = two_ports()
    with serving(database, OPSC_API_PROCESSES="2", OPSC_API_HTTP=f"127.0.0.1:{first}") as (
        process,
        port,
    ):
        await answers(f"http://127.0.0.1:{port}", process)
        for port in (first, first + 1):
            until_served(f"127.0.0.1:{port}", process)
        assert holder_of(first) != holder_of(first + 1)


def two_ports() -> int:
    """Return the first of two free ports. Not from those that the system gives to connections: one
    that waits for a server there could meet itself.
    """
    numbers = range(20_000 + os.getpid() % 5_000, 32_000)
    return next(n for n in numbers if free_port(n) == n and free_port(n + 1) == n + 1)


def until_served(address: str, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        with suppress(OSError):
            Page(address)
            return
        time.sleep(0.05)
    raise AssertionError("the API ended")


def test_an_address_that_is_taken_is_named(database: DatabaseUnderTest) -> None:
    with taken() as address, serving(database, OPSC_API_HTTP=address) as (process, _):
        _, complaints = process.communicate(timeout=200)
        assert process.returncode == 1
        assert f"OPSC_API_HTTP: something else listens at {address}" in complaints


@contextmanager
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", ANY_PORT)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
