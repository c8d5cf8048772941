"""GPS events as files, for those who accept CSV, NDJSON, GeoJSON or GPX: all that match.

The rows are read a page at a time, each in a short transaction, so that a file of any length holds
neither a connection nor memory. A client that takes too long to read a page is cut off.
"""

import asyncio
import csv
import io
from asyncio import Transport
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.documents.csv_text import MEDIA_TYPE
from api.http.encoding import sparse
from api.http.server import EXTENSION
from api.limits.turns import refusing_when_full
from api.request.access import Access

PAGE_ROWS = 1_000
LEAST_PACE_S = 30.0  # in which a page has to be read

Row: TypeAlias = Mapping[str, Any]
Pages: TypeAlias = AsyncIterator[Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of file. head: what comes first, by the names of the columns. page: the rows of a
    page, which is the first one or not. needs: columns that it cannot be written without.
    """

    media_type: str
    extension: str
    head: Callable[[Sequence[str]], bytes]
    page: Callable[[Sequence[Row], bool], bytes]
    tail: bytes = b""
    needs: Sequence[str] = ()


def _json_lines(rows: Sequence[Row], _: bool) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _csv_line(cells: Sequence[object]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\r\n").writerow(cells)
    return stream.getvalue()


def _csv(rows: Sequence[Row], _: bool) -> bytes:
    return "".join(_csv_line([_cell(value) for value in row.values()]) for row in rows).encode()


def _cell(value: object) -> object:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return str(value).lower() if isinstance(value, bool) else value


def _features(rows: Sequence[Row], is_first: bool) -> bytes:
    features = b",\n".join(map(_feature, rows))
    return features if is_first else b",\n" + features


def _feature(row: Row) -> bytes:
    altitude_m = row.get("altitude_m")
    place = [row["lon"], row["lat"], *([] if altitude_m is None else [altitude_m])]
    others = {name: value for name, value in row.items() if name not in ("lat", "lon")}
    geometry = {"type": "Point", "coordinates": place}
    return msgspec.json.encode({"type": "Feature", "geometry": geometry, "properties": others})


def _points(rows: Sequence[Row], _: bool) -> bytes:
    return "".join(map(_point, rows)).encode()


def _point(row: Row) -> str:
    altitude_m, satellites = row.get("altitude_m"), row.get("satellites")
    within = "" if altitude_m is None else f"<ele>{altitude_m}</ele>"
    within += f"<time>{row['time']}</time>"
    within += "" if satellites is None else f"<sat>{satellites}</sat>"
    return f'<trkpt lat="{row["lat"]}" lon="{row["lon"]}">{within}</trkpt>\n'


_GPX_HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="OPS Companion"'
    b' xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>\n'
)
FORMS: Mapping[str, Form] = {
    "text/csv": Form(MEDIA_TYPE, "csv", lambda names: _csv_line(names).encode(), _csv),
    "application/x-ndjson": Form("application/x-ndjson", "ndjson", lambda _: b"", _json_lines),
    "application/geo+json": Form(
        "application/geo+json",
        "geojson",
        lambda _: b'{"type":"FeatureCollection","features":[\n',
        _features,
        b"\n]}\n",
        needs=("lat", "lon"),
    ),
    "application/gpx+xml": Form(
        "application/gpx+xml",
        "gpx",
        lambda _: _GPX_HEAD,
        _points,
        b"</trkseg></trk></gpx>\n",
        needs=("lat", "lon", "time"),
    ),
}


class Export(StreamingResponse):
    """The file. Its turn ends with it."""

    def __init__(
        self,
        form: Form,
        content: AsyncIterator[bytes],
        turn: AsyncExitStack,
        transport: Transport,
    ) -> None:
        name = f'attachment; filename="gps-events.{form.extension}"'
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": name,
            "Content-Type": form.media_type,
            "Vary": "Accept",
        }
        super().__init__(content, headers=headers)
        self._turn, self._transport = turn, transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Any) -> None:
            async with asyncio.timeout(LEAST_PACE_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            self._transport.abort()
            await asyncio.sleep(0)  # it is closed now, and the end of the answer goes nowhere
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._turn.aclose()


async def exported(
    request: Request, access: Access, form: Form, pages: Pages, names: Sequence[str]
) -> Export:
    """Answer with all rows of the pages. Raises Problem (429, 503)."""
    turn = AsyncExitStack()
    with refusing_when_full("exports"):
        await turn.enter_async_context(access.state.export_turns.turn(access.caller.org_id))
    return Export(form, _content(form, pages, names), turn, request.scope["extensions"][EXTENSION])


async def _content(form: Form, pages: Pages, names: Sequence[str]) -> AsyncIterator[bytes]:
    yield form.head(names)
    is_first = True
    async for rows in pages:
        yield form.page(list(sparse(rows, ",".join(names))), is_first)
        is_first = False
    yield form.tail
