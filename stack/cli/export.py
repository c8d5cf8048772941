"""``opsc export``: a list of an organization as a file, over the API.

The rows are streamed as NDJSON and written here in the form that is wanted. Where the connection is
cut, the rest is asked for from the time of the last row on; rows of that time that are in the file
already are left out. The file has its name once it is complete.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from api.documents.file_forms import FIX_FORMS, Form, Shape
from api.resources import gps_events, visits
from api.resources.trips import listing as trips
from stack.cli.events import RETRY_S, reason_of, untrusted
from stack.cli.options import DataDir, say
from stack.errors import StackError
from stack.servers.runtime import DEFAULT_DATA_DIR, read_stack
from stack.servers.tls import pinned

_PAGE_ROWS = 1_000
_SILENCE_S = 60.0
_MOST_TRIES = 10  # one after the other, without a row
_MOST_LINE_BYTES = 4 * 1024 * 1024
_NDJSON = "application/x-ndjson"


class List(StrEnum):
    """What can be exported, as its path has it."""

    gps_events = "gps-events"
    visits = "visits"
    trips = "trips"
    stops = "stops"


# The shape of each, and the field of the time that its rows are in order of.
_LISTS: Mapping[List, tuple[Shape, str]] = {
    List.gps_events: (gps_events.FIXES, "time"),
    List.visits: (visits.VISITS, "entered_at"),
    List.trips: (trips.TRIPS, "started_at"),
    List.stops: (trips.STOPS, "started_at"),
}
_FORMS = {form.extension: form for form in FIX_FORMS.values()}


def export(
    rows: Annotated[List, typer.Argument(metavar="LIST", help=", ".join(List))],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The file; it must not be there yet.")],
    asset: Annotated[str | None, typer.Option(help="Of this asset.")] = None,
    tracker: Annotated[str | None, typer.Option(help="Of this tracker.")] = None,
    employee: Annotated[str | None, typer.Option(help="Of this employee's trackers.")] = None,
    zone: Annotated[str | None, typer.Option(help="In this zone.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="From this time on: 2026-11-01T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this time.")] = None,
    wanted: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(_FORMS)} [as the file's name ends]"),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="OPSC_API_URL", help="The API elsewhere; that of the data folder unless given."
        ),
    ] = None,
    data: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Save a list as a file. OPSC_API_KEY: an API key, or an access token."""
    key = os.environ.get("OPSC_API_KEY")
    if not key:
        raise typer.BadParameter("OPSC_API_KEY must be an API key or an access token")
    if out.exists():
        raise typer.BadParameter(f"{out} is there already", param_hint="--out")
    form = _form(rows, wanted or out.suffix.removeprefix("."))
    certificate = None
    if url is None:
        system = read_stack(data)
        url, certificate = system.api_url, system.certificate
    asked = {
        "asset_id": asset,
        "tracker_id": tracker,
        "employee_id": employee,
        "zone_id": zone,
        "from": since,
        "to": until,
    }
    source = _Source(
        f"{url.rstrip('/')}/v1/{rows.value}",
        key,
        pinned(certificate),
        {name: value for name, value in asked.items() if value is not None},
        _LISTS[rows][1],
    )
    number = asyncio.run(_save(source, form, _LISTS[rows][0], out))
    say(f"{number:,} rows in {out}")


def _form(rows: List, extension: str) -> Form:
    form = _FORMS.get(extension)
    if form is None:
        message = f"{extension or 'nothing'!r}; it must be one of {', '.join(_FORMS)}"
        raise typer.BadParameter(message, param_hint="--format")
    if not set(form.needs) <= _LISTS[rows][0].columns.keys():
        message = f"{rows.value} cannot be written as {extension}"
        raise typer.BadParameter(message, param_hint="--format")
    return form


async def _save(source: _Source, form: Form, shape: Shape, out: Path) -> int:
    """Return the number of rows. What was not completed is removed."""
    part = out.with_name(f"{out.name}.part")
    try:
        number = await _write(source, form, shape, part)
        part.rename(out)
    finally:
        part.unlink(missing_ok=True)
    return number


async def _write(source: _Source, form: Form, shape: Shape, part: Path) -> int:
    writer, number, page = form.writer(shape), 0, list[dict[str, Any]]()
    with _progress() as progress, part.open("xb") as file:
        task = progress.add_task("", total=await source.total())
        async for row in source.rows():
            page.append({name: row.get(name) for name in shape.columns})
            number += 1
            if len(page) == _PAGE_ROWS:
                file.write(writer.page(page))
                page.clear()
                progress.update(task, completed=number)
        if page:
            file.write(writer.page(page))
        progress.update(task, completed=number, total=number)
        file.write(writer.end())
    return number


def _progress() -> Progress:
    return Progress(
        BarColumn(),
        TextColumn("{task.completed:,} rows"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


@dataclass(slots=True)
class _Source:
    """The rows of a list in order of time, however often the connection is cut.

    last, at_last: the time of the last row that came, and the rows of that time.
    """

    url: str
    key: str
    tls: ssl.SSLContext | None
    asked: Mapping[str, str]
    time_field: str
    last: str | None = None
    at_last: set[str] = field(default_factory=set[str])

    async def total(self) -> int | None:
        """Return how many rows there are, as far as it is known."""
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session() as session:
                parameters = {**self.asked, "limit": "1"}
                async with session.get(self.url, params=parameters) as response:
                    if response.status == 200:
                        page = await response.json()
                        return None if page["total_is_estimate"] else page["total"]
        return None

    async def rows(self) -> AsyncIterator[dict[str, Any]]:
        """Raise StackError where the API refuses, or does not answer."""
        tries = 0
        async with self._session() as session:
            while True:
                try:
                    async for row in self._streamed(session):
                        tries = 0
                        yield row
                    return
                except aiohttp.ClientConnectorCertificateError as error:
                    raise StackError(untrusted(error)) from None
                except (aiohttp.ClientError, TimeoutError, OSError, _Busy) as error:
                    tries += 1
                    why = str(error) or type(error).__name__
                    if tries == _MOST_TRIES:
                        raise StackError(f"the API does not answer: {why}") from None
                    say(f"cut off ({why}), going on from {self.last or 'the beginning'}")
                await asyncio.sleep(RETRY_S)

    async def _streamed(self, session: aiohttp.ClientSession) -> AsyncIterator[dict[str, Any]]:
        parameters = dict(self.asked)
        if self.last is not None:
            parameters["from"] = self.last
        headers = {"Accept": _NDJSON}
        async with session.get(self.url, params=parameters, headers=headers) as response:
            if response.status in (429, 502, 503, 504):
                raise _Busy(f"{response.status} {response.reason}")
            if response.status != 200:
                raise StackError(f"the API refused: {await reason_of(response)}")
            async for line in response.content:
                row = msgspec.json.decode(line) if line.endswith(b"\n") else None
                if row is not None and self._is_new(row):
                    yield row

    def _is_new(self, row: Mapping[str, Any]) -> bool:
        """Note a row; False for one that came before."""
        time = row[self.time_field]
        if self.last is not None and _instant(time) < _instant(self.last):
            return False
        key = row.get("id", time)
        if time != self.last:
            self.last, self.at_last = time, set()
        if key in self.at_last:
            return False
        self.at_last.add(key)
        return True

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_S),
            connector=aiohttp.TCPConnector(ssl=True if self.tls is None else self.tls),
            headers={"Authorization": f"Bearer {self.key}"},
            read_bufsize=_MOST_LINE_BYTES,
        )


class _Busy(Exception):
    """The API is not available for the moment."""


def _instant(time: str) -> tuple[str, str]:
    """Return a time of the API so that it can be compared: its fraction has 0, 3 or 6 digits."""
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(6, "0")
