"""The import of assets or trackers: lines that the API has read, 100 in a transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.resources.assets import Asset
from db.resources.jobs import HeldJob
from db.resources.trackers import Tracker
from operations.jobs import Piece
from use_cases.imports import Judged, import_assets, import_trackers
from webhooks.jobs.work import Prepare, Work

_LINES = 100
_ROW = TypeVar("_ROW", Asset, Tracker)
_Import: TypeAlias = Callable[[Connection, Sequence[tuple[int, Any]]], Awaitable[Judged[Any]]]


class _Lines(Generic[_ROW]):
    def __init__(self, lines: Sequence[tuple[int, _ROW]], write: _Import) -> None:
        self._lines, self._write = lines, write
        self.total = len(lines)

    async def piece(self, conn: Connection, job: HeldJob) -> Piece:
        lines = self._lines[job.done : job.done + _LINES]
        judged = await self._write(conn, lines)
        return Piece(len(lines), len(judged.sound), judged.known, faults=judged.faults)


def _prepare_with(decoder: msgspec.json.Decoder[Any], write: _Import) -> Prepare:
    def prepare(org_id: UUID, content: bytes) -> Work:
        return _Lines(decoder.decode(content), write)

    return prepare


prepare_assets = _prepare_with(msgspec.json.Decoder(list[tuple[int, Asset]]), import_assets)
prepare_trackers = _prepare_with(msgspec.json.Decoder(list[tuple[int, Tracker]]), import_trackers)
