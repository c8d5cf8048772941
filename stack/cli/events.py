"""``opsc events``: the events of an organization, as they happen."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import aiohttp
import typer

from stack.cli.options import DataDir, say
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR, read_stack
from stack.servers.tls import pinned

RETRY_S = 2.0
_SILENCE_S = 60.0  # the server shows every 15 s that it is there
_MOST_LINE_BYTES = 4 * 1024 * 1024

events = typer.Typer(help="Follow the events of an organization.", no_args_is_help=True)


@events.callback()
def _events() -> None:  # pyright: ignore[reportUnusedFunction]
    """Follow the events of an organization."""


@events.command("tail")
def tail(
    types: Annotated[
        str | None,
        typer.Option(help="Types and groups, with commas: asset.*,quote.sent; all unless given."),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(min=0, help="Begin behind this seq; 0: with the oldest; now unless given."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after this many events; never unless given.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="OPSC_API_URL", help="The API elsewhere; that of the data folder unless given."
        ),
    ] = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print an event as JSON a line.")] = False,
) -> None:
    """Print events as they happen, until Ctrl-C. OPSC_API_KEY: an API key, or an access token."""
    key = os.environ.get("OPSC_API_KEY")
    if not key:
        raise typer.BadParameter("OPSC_API_KEY must be an API key or an access token")
    certificate = None
    if url is None:
        system = read_stack(data)
        url, certificate = system.api_url, system.certificate
    follower = _Follower(url, key, pinned(certificate), types, after)
    asyncio.run(_print(follower, count, as_json=as_json))


async def _print(follower: _Follower, count: int | None, *, as_json: bool) -> None:
    number = 0
    async for event in follower.events():
        print(json.dumps(event) if as_json else _line(event), flush=True)
        number += 1
        if number == count:
            return


def _line(event: Mapping[str, Any]) -> str:
    data: Mapping[str, Any] = event["data"]
    facts = [
        f"{name.removesuffix('_name')} {data[name]}"
        for name in data
        if name.endswith("_name") and data[name]
    ]
    facts += [str(data[name]) for name in ("transition", "status", "verdict") if data.get(name)]
    return "  ".join([f"{event['seq']:>8}", event["occurred_at"], event["type"], ", ".join(facts)])


class _Follower:
    """A reader of the event stream, which connects again where it was cut off."""

    def __init__(
        self,
        url: str,
        key: str,
        tls: ssl.SSLContext | None,
        types: str | None,
        after: int | None,
    ) -> None:
        self._url = url.rstrip("/") + "/v1/events/stream"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._tls = tls
        self._parameters = {} if types is None else {"types": types}
        self._after = after

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield events without end. Raises StackError where the API refuses."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_S)
        connector = aiohttp.TCPConnector(ssl=True if self._tls is None else self._tls)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=connector, read_bufsize=_MOST_LINE_BYTES
        ) as session:
            while True:
                try:
                    async for event in self._stream(session):
                        self._after = event["seq"]
                        yield event
                except aiohttp.ClientConnectorCertificateError as error:
                    raise StackError(untrusted(error)) from None
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    say(f"cut off ({error or type(error).__name__}), connecting again")
                await asyncio.sleep(RETRY_S)

    async def _stream(self, session: aiohttp.ClientSession) -> AsyncIterator[dict[str, Any]]:
        parameters = dict(self._parameters)
        if self._after is not None:
            parameters["after"] = str(self._after)
        async with session.get(
            self._url, params=parameters, headers=self._headers, allow_redirects=False
        ) as response:
            if response.status in (429, 502, 503, 504):
                say(f"the API is not available ({response.status}), asking again")
                return
            if response.status != 200:
                raise StackError(f"the API refused: {await reason_of(response)}")
            kind, seq = "message", self._after
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "id":
                    seq = int(value)
                elif not name:  # the end of a message
                    self._after = seq
                elif name == "data" and kind == "message":
                    yield json.loads(value)
                elif name == "data":
                    say(f"the API ended the stream: {value}")


def untrusted(error: aiohttp.ClientConnectorCertificateError) -> str:
    why = getattr(error.certificate_error, "verify_message", error.certificate_error)
    return (
        f"the certificate of {error.host}:{error.port} is not trusted ({why}); where an authority"
        " of your own has signed it, set SSL_CERT_FILE to the file of that authority's certificate"
        " (of `opsc up --tls`: the file that it shows as `certificate`)"
    )


async def reason_of(response: aiohttp.ClientResponse) -> str:
    try:
        problem = json.loads(await response.text())
        messages = [fault["message"] for fault in problem["errors"]]
        return " ".join([str(response.status), problem["detail"], *messages])
    except (ValueError, KeyError, TypeError):
        return f"{response.status} {response.reason}"
