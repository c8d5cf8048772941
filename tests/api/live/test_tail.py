"""`opsc events tail`: a reader for people and scripts."""

import asyncio
import json
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from stack.cli import events
from stack.servers.tls import development_certificate
from tests.api.live.reading import emit
from tests.api.running import Client, Organization, RunningApi
from tests.stack.command import OPSC


async def tailing(
    api: RunningApi, client: Client, arguments: Sequence[str]
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(OPSC, "events", "tail", "--url", api.url, *arguments),
        env=os.environ | {"OPSC_API_KEY": client.token or ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_events_are_printed_as_they_happen(api: RunningApi, north: Organization) -> None:
    before = emit(api, north, 2, zone_name="Depot", transition="enter")
    options = ("--after", str(before[0] - 1), "--types", "asset.*")
    printing = await tailing(api, north.viewer, (*options, "--json", "--count", "4"))
    assert printing.stdout is not None
    first = json.loads(await printing.stdout.readline())
    assert (first["seq"], first["organization_id"]) == (before[0], north.id)
    emit(api, north, 1, "work_order.created")
    after = emit(api, north, 2)
    out, _ = await printing.communicate()
    seqs = [json.loads(line)["seq"] for line in out.splitlines()]
    assert (seqs, printing.returncode) == ([before[1], *after], 0)
    for_people = await tailing(api, north.viewer, (*options, "--count", "1"))
    out, _ = await for_people.communicate()
    line = f"{before[0]:>8}  {first['occurred_at']}  asset.geofence_breach  zone Depot, enter\n"
    assert out.decode() == line


async def test_what_the_api_refuses_ends_the_command(api: RunningApi, north: Organization) -> None:
    for client, options, said in (
        (Client(api.url, "nonsense"), (), "401"),
        (north.viewer, ("--types", "asset.moved"), "asset.*"),
        (north.viewer, ("--after", "4000000000"), "newest event is"),
    ):
        refused = await tailing(api, client, options)
        _, error = await refused.communicate()
        assert refused.returncode == 1
        assert said in error.decode()
        assert "Traceback" not in error.decode()


@pytest.mark.fresh_start  # what is trusted is read when a process starts
async def test_a_certificate_that_is_not_trusted_ends_the_command(
    api: RunningApi, north: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = development_certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(made.chain, made.key)

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=tls)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for trusted, said in (("", "set SSL_CERT_FILE to"), (str(made.chain), "refused: 401")):
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        ended = await tailing(api, north.viewer, ("--url", url))
        _, error = await ended.communicate()
        assert ended.returncode == 1
        assert said in error.decode()
    server.close()


async def test_a_reader_that_is_cut_off_goes_on_behind_the_last_whole_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "RETRY_S", 0)
    bodies = [
        b"retry: 2000\nid: 17\n\nid: 18\n",
        b"id: 19\n\n",
        b'id: 20\ndata: {"seq": 20}\n\n',
    ]
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bodies[len(asked) - 1])
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        follower = events._Follower(url, "key", None, None, None)
        read = follower.events()
        assert await anext(read) == {"seq": 20}
        await read.aclose()
    path = "/v1/events/stream"
    assert asked == [path, f"{path}?after=17", f"{path}?after=19"]
