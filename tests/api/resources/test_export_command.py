"""`opsc export` against a running API, and through a network that cuts."""

import asyncio
import csv
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pyarrow import parquet

from tests.api.resources.test_trips import day, store
from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, minute, text
from tests.stack.command import OPSC
from tests.waiting import until

ROWS = 3_000


async def started(
    url: str, token: str | None, *arguments: str | Path
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(OPSC, "export", *map(str, arguments)),
        env=os.environ | {"OPSC_API_KEY": token or "", "OPSC_API_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def exporting(url: str, token: str | None, *arguments: str | Path) -> tuple[int | None, str]:
    """Return the exit code and what was said."""
    command = await started(url, token, *arguments)
    out, error = await command.communicate()
    assert out == b""
    return command.returncode, error.decode()


@asynccontextmanager
async def cutting(
    url: str, after_bytes: Sequence[int], *, hangs: bool = False
) -> AsyncIterator[tuple[str, list[str]]]:
    """Provide the address of a proxy that cuts its first connections after these bytes of an
    answer, or hangs there, and the heads of requests that it saw.
    """
    cuts, heads = list(after_bytes), list[str]()
    host, port = urlsplit(url).hostname, urlsplit(url).port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head.decode())
        there, out = await asyncio.open_connection(host, port)
        out.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        left = cuts.pop(0) if cuts and b"ndjson" in head else None
        while content := await there.read(4096):
            writer.write(content if left is None else content[:left])
            await writer.drain()
            if left is not None and (left := left - len(content)) <= 0:
                if hangs:
                    await reader.read()  # until the client is gone
                break
        out.close()
        writer.transport.abort() if left is not None else writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def a_crowd(api: RunningApi) -> Organization:
    """Return an organization with fixes of three trackers, which have the same times."""
    org = api.organization("Crowd")
    for _ in range(3):
        api.sql(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
            " SELECT %s, %s, %s + n * interval '1 second', 0, now(), 1, 1"
            " FROM generate_series(1, %s) AS n",
            org.org_id,
            (await carried(org)).tracker,
            minute(0),
            ROWS // 3,
        )
    return org


@pytest.mark.parametrize("cuts", [(), (200_000,), (1_000, 300_000, 1_000)])
async def test_a_file_is_whole_however_often_the_connection_is_cut(
    api: RunningApi, tmp_path: Path, cuts: Sequence[int]
) -> None:
    org = await a_crowd(api)
    asked = ("gps-events", "--from", text(minute(0)), "--out")
    whole = tmp_path / "whole.csv"
    assert await exporting(api.url, org.viewer.token, *asked, whole) == (
        0,
        f"{ROWS:,} rows in {whole}\n",
    )
    async with cutting(api.url, cuts) as (url, heads):
        code, said = await exporting(url, org.viewer.token, *asked, tmp_path / "cut.csv")
    assert code == 0, said
    assert said.count("cut off") == len(cuts)
    assert sum("ndjson" in head for head in heads) == len(cuts) + 1
    assert (tmp_path / "cut.csv").read_bytes() == whole.read_bytes()
    with whole.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["id"] for row in rows}) == len(rows) == ROWS
    assert sorted(os.listdir(tmp_path)) == ["cut.csv", "whole.csv"]


@pytest.mark.parametrize("form", ["csv", "geojson", "parquet"])
async def test_an_export_goes_on_after_kills(api: RunningApi, tmp_path: Path, form: str) -> None:
    org = await a_crowd(api)
    asked = ("gps-events", "--from", text(minute(0)), "--format", form, "--out")
    whole, out = tmp_path / "whole", tmp_path / "killed"
    assert (await exporting(api.url, org.viewer.token, *asked, whole))[0] == 0
    note = tmp_path / "killed.part.json"
    goes_on = form != "parquet"
    async with cutting(api.url, (1_000_000, 1_000_000), hangs=True) as (url, heads):
        for run in (1, 2):
            command = await started(url, org.viewer.token, *asked, out)
            await until(lambda run=run: sum("ndjson" in head for head in heads) == run)
            rows = 1_000 * run if goes_on else 1_000
            await until(lambda rows=rows: json.loads(note.read_bytes())["rows"] == rows)
            command.send_signal(signal.SIGKILL)
            await command.communicate()
            assert not out.exists()
        code, said = await exporting(url, org.viewer.token, *asked, out)
    assert code == 0, said
    by_cursor = sum("cursor=" in head for head in heads if "ndjson" in head)
    assert ("going on behind 2,000 rows" if goes_on else "it begins anew") in said
    assert by_cursor == (2 if goes_on else 0)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["killed", "whole"]


async def test_what_is_left_of_another_question_is_kept(
    api: RunningApi, north: Organization, tmp_path: Path
) -> None:
    await carried(north)
    part, note = tmp_path / "x.csv.part", tmp_path / "x.csv.part.json"
    for content, says in (
        ("", "is none of ours"),
        ('{"question": {"url": "elsewhere"}, "rows": 1, "bytes": 3}', "is of another question"),
    ):
        part.write_text("kept")
        note.write_text(content)
        code, said = await exporting(
            api.url, north.viewer.token, "gps-events", "--out", tmp_path / "x.csv"
        )
        assert code == 1
        assert says in " ".join(said.replace("│", "").split())
        assert part.read_text() == "kept"


async def test_lists_and_forms(
    api: RunningApi,
    north: Organization,
    tmp_path: Path,
) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    span = ("--asset", who.asset_id, "--from", text(minute(0)), "--to", text(minute(120)))
    token = north.viewer.token
    for name, count in (("trips", 2), ("stops", 2), ("visits", 0), ("gps-events", len(day()))):
        out = tmp_path / f"{name}.parquet"
        assert await exporting(api.url, token, name, *span, "--out", out) == (
            0,
            f"{count:,} rows in {out}\n",
        )
        assert parquet.read_table(out).num_rows == count
    out = tmp_path / "trips"
    await exporting(api.url, token, "trips", *span, "--out", out, "--format", "geojson")
    listed = await north.viewer.get(
        "/v1/trips",
        asset_id=who.asset_id,
        sort="started_at",
        from_=text(minute(0)),
        to=text(minute(120)),
    )
    features = json.loads(out.read_bytes())["features"]
    assert [each["properties"]["started_at"] for each in features] == [
        row["started_at"] for row in listed.json["data"]
    ]


async def test_what_cannot_be_exported(
    api: RunningApi,
    north: Organization,
    south: Organization,
    tmp_path: Path,
) -> None:
    who, out, there = await carried(south), tmp_path / "x.csv", tmp_path / "there.csv"
    there.write_text("kept")
    for arguments, code, says in (
        (("gps-events", "--asset", who.asset_id, "--out", out), 1, "404"),
        (("trips", "--out", out), 1, "Name one of asset_id, tracker_id and employee_id."),
        (("trips", "--out", tmp_path / "x.kml"), 2, "trips cannot be written as kml"),
        (("trips", "--out", tmp_path / "x.doc"), 2, "must be one of csv, ndjson, geojson"),
        (("trips", "--out", there), 2, "is there already"),
    ):
        found, said = await exporting(api.url, north.viewer.token, *arguments)
        assert found == code, said
        assert says in " ".join(said.replace("│", "").split())
        assert "Traceback" not in said
    assert os.listdir(tmp_path) == ["there.csv"]
    assert there.read_text() == "kept"
