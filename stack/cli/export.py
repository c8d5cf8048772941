"""``opsc export``: a list of an organization as a file, over the API.

The rows are streamed as NDJSON, each with its cursor, and written here in the form that is wanted.
Where the connection is cut, the rest is asked for by the cursor of the last row. The file has its
name once it is complete.

Until then it is `NAME.part`, and `NAME.part.json` notes, behind each thousand rows, how much of it
counts and the cursor behind that. Whoever asks the same again goes on from there, also after a
kill; Parquet begins anew, since what is needed to go on is written at its end.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

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


_SHAPES: Mapping[List, Shape] = {
    List.gps_events: gps_events.FIXES,
    List.visits: visits.VISITS,
    List.trips: trips.TRIPS,
    List.stops: trips.STOPS,
}
_FORMS = {form.extension: form for form in FIX_FORMS.values()}


def export(
    rows: Annotated[List, typer.Argument(metavar="LIST", help=", ".join(List))],
    out: Annotated[
        Path,
        typer.Option(
            dir_okay=False,
            help="The file; it must not be there yet. One that was cut off is gone on with.",
        ),
    ],
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
    )
    with _Part(out, form, {"url": source.url, "form": form.extension, **source.asked}) as part:
        number = asyncio.run(_write(source, form, _SHAPES[rows], part))
    say(f"{number:,} rows in {out}")


def _form(rows: List, extension: str) -> Form:
    form = _FORMS.get(extension)
    if form is None:
        message = f"{extension or 'nothing'!r}; it must be one of {', '.join(_FORMS)}"
        raise typer.BadParameter(message, param_hint="--format")
    if not set(form.needs) <= _SHAPES[rows].columns.keys():
        message = f"{rows.value} cannot be written as {extension}"
        raise typer.BadParameter(message, param_hint="--format")
    return form


class _Note(msgspec.Struct, frozen=True):
    """How much of a file counts: its rows, its bytes, and the cursor behind them."""

    question: Mapping[str, str]
    rows: int = 0
    bytes: int = 0
    cursor: str | None = None


class _Part:
    """A file that is not complete, with the note beside it. Raises StackError where another process
    writes it, or it is of another question.
    """

    def __init__(self, out: Path, form: Form, question: Mapping[str, str]) -> None:
        self._out, self._form = out, form
        self._path = out.with_name(f"{out.name}.part")
        self._note_path = out.with_name(f"{out.name}.part.json")
        self.note = _Note(question)
        self._is_complete = False

    def __enter__(self) -> _Part:
        self._file: IO[bytes] = self._path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._go_on()
        except BlockingIOError:
            self._file.close()
            raise StackError(f"{self._path} is being written by another process") from None
        except StackError:
            self._file.close()
            raise
        self._file.truncate(self.note.bytes)
        self._write_note()
        return self

    def _go_on(self) -> None:
        """Take over the note of what is there."""
        size = self._file.seek(0, os.SEEK_END)
        if not size:
            return
        try:
            known = msgspec.json.decode(self._note_path.read_bytes(), type=_Note)
        except (OSError, msgspec.DecodeError):
            known = None
        if known is None or known.question != self.note.question:
            what = "is none of ours" if known is None else "is of another question"
            raise StackError(f"{self._path} {what}: remove it, or name another file with --out")
        if not self._form.goes_on:
            say(f"{self._form.extension} cannot be gone on with: it begins anew")
        elif size >= known.bytes:  # a machine that stopped may have lost what was noted
            self.note = known
            say(f"going on behind {known.rows:,} rows")

    def add(self, content: bytes, rows: int, cursor: str | None) -> None:
        """Write what these rows are, and note it. cursor: behind them."""
        self._file.write(content)
        self._file.flush()
        note = self.note
        self.note = _Note(note.question, note.rows + rows, self._file.tell(), cursor)
        self._write_note()

    def end(self, content: bytes) -> None:
        """Write what comes last, and give the file its name."""
        self._file.write(content)
        self._file.flush()
        self._path.rename(self._out)
        self._is_complete = True

    def _write_note(self) -> None:
        new = self._note_path.with_name(f"{self._note_path.name}.new")
        new.write_bytes(msgspec.json.encode(self.note))
        new.rename(self._note_path)

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._is_complete and self.note.rows and self._form.goes_on:
            say(f"{self.note.rows:,} rows are in {self._path}: ask the same again to go on")
            return
        self._path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)


async def _write(source: _Source, form: Form, shape: Shape, part: _Part) -> int:
    """Return the number of rows, with those of before."""
    source.cursor, page = part.note.cursor, list[dict[str, Any]]()
    writer = form.rest(shape) if part.note.rows else form.writer(shape)
    with _progress() as progress:
        task = progress.add_task("", total=await source.total(), completed=part.note.rows)
        async for row in source.rows():
            page.append({name: row.get(name) for name in shape.columns})
            if len(page) == _PAGE_ROWS:
                part.add(writer.page(page), len(page), source.cursor)
                page.clear()
                progress.update(task, completed=part.note.rows)
        if page:
            part.add(writer.page(page), len(page), source.cursor)
        progress.update(task, completed=part.note.rows, total=part.note.rows)
        part.end(writer.end())
    return part.note.rows


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
    """The rows of a list in order of time, however often the connection is cut. cursor: of the last
    row that came.
    """

    url: str
    key: str
    tls: ssl.SSLContext | None
    asked: Mapping[str, str]
    cursor: str | None = None

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
                    say(f"cut off ({why}), going on")
                await asyncio.sleep(RETRY_S)

    async def _streamed(self, session: aiohttp.ClientSession) -> AsyncIterator[dict[str, Any]]:
        parameters = {**self.asked, "cursors": "true"}
        if self.cursor is not None:
            parameters["cursor"] = self.cursor
        headers = {"Accept": _NDJSON}
        async with session.get(self.url, params=parameters, headers=headers) as response:
            if response.status in (429, 502, 503, 504):
                raise _Busy(f"{response.status} {response.reason}")
            if response.status != 200:
                raise StackError(f"the API refused: {await reason_of(response)}")
            async for line in response.content:
                if line.endswith(b"\n"):
                    row = msgspec.json.decode(line)
                    self.cursor = row["cursor"]
                    yield row

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_S),
            connector=aiohttp.TCPConnector(ssl=True if self.tls is None else self.tls),
            headers={"Authorization": f"Bearer {self.key}"},
            read_bufsize=_MOST_LINE_BYTES,
        )


class _Busy(Exception):
    """The API is not available for the moment."""
