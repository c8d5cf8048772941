"""Where objects lie: a folder, or a bucket of an S3-compatible store.

An object is written once, under a name that nothing had before, and never changed. Every call runs
in a thread of the store's own and ends within a time: a store that hangs holds up its callers and
nobody else. pyarrow is imported when a store is opened, so that a role without an archive does not
load it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false
# (pyarrow has no type information of its own)

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr

from archive.errors import StoreError
from service.settings import checked_by

URL_FORM = "a URL like file:///var/lib/ops-companion/archive or s3://bucket/prefix?region=eu-west-1"
_OPTIONS = frozenset({"endpoint", "region", "scheme"})
_THREADS = 4
_PIECE_BYTES = 1024 * 1024
_CONNECT_S = 5.0

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """The place of a store. bucket: None for a folder. key, secret: None where the environment has
    them, as other programs for S3 read it (`AWS_ACCESS_KEY_ID`, `~/.aws/credentials`).
    """

    bucket: str | None
    prefix: str
    key: str | None = None
    secret: str | None = None
    endpoint: str | None = None
    region: str | None = None
    scheme: str = "https"

    @classmethod
    def read(cls, text: str) -> "StoreUrl":
        """Raise ValueError where `text` is no such URL. The error shows nothing of it."""
        try:
            parts = urlsplit(text)
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            raise ValueError(f"must be {URL_FORM}") from None
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            if not options:
                return cls(None, unquote(parts.path).rstrip("/"))
        elif parts.scheme == "s3" and parts.hostname and options.keys() <= _OPTIONS:
            if options.get("scheme", "https") not in ("http", "https"):
                raise ValueError("scheme must be http or https")
            if bool(parts.username) != bool(parts.password):
                raise ValueError("must have a key and its secret, or neither")
            return cls(
                parts.netloc.rpartition("@")[2],
                unquote(parts.path).strip("/"),
                None if parts.username is None else unquote(parts.username),
                None if parts.password is None else unquote(parts.password),
                **options,
            )
        raise ValueError(f"must be {URL_FORM}")


ArchiveUrl = Annotated[SecretStr, Field(description=URL_FORM), checked_by(StoreUrl.read)]
"""A setting: the place of a store. It may hold a secret."""


class StoredObject(NamedTuple):
    """An object in the store. path: below the place of the store."""

    path: str
    bytes: int
    written_at: datetime


class Store:
    """Objects by their paths. Each method raises StoreError, also where it takes too long."""

    def __init__(self, url: StoreUrl, timeout_s: float = 60) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="archive")
        self._filesystem: Any = None

    def close(self) -> None:
        """Let the threads end. None is waited for: one may hang in the store."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(
        self, work: Callable[..., _Result], *arguments: object, timeout_s: float | None = None
    ) -> _Result:
        """Run what blocks in a thread of the store's, in time."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                return await loop.run_in_executor(self._threads, work, *arguments)
        except TimeoutError:
            raise StoreError("the store does not answer in time") from None
        except (OSError, ValueError) as error:  # Arrow's own are ValueErrors
            raise StoreError(_first_line(error)) from error

    # What follows blocks: call it by `run`.

    def write(self, path: str, content: IO[bytes]) -> None:
        """Write a new object, all of it or nothing. In a folder it is on the disk then."""
        target = self._place(path)
        if self._url.bucket is None:
            _write_file(Path(target), content)
            return
        try:
            with self._files().open_output_stream(target) as stream:
                while piece := content.read(_PIECE_BYTES):
                    stream.write(piece)
        except BaseException:
            with suppress(OSError):  # the stream keeps what it had when it is closed
                self._files().delete_file(target)
            raise

    def open(self, path: str) -> Any:
        """Return the object as a file of Arrow, which reads what is asked for and no more."""
        return self._files().open_input_file(self._place(path))

    def sha256(self, path: str) -> tuple[bytes, int]:
        """Read the whole object; its checksum and size."""
        checksum, size = hashlib.sha256(), 0
        with self._files().open_input_stream(self._place(path)) as stream:
            while piece := stream.read(_PIECE_BYTES):
                checksum.update(piece)
                size += len(piece)
        return checksum.digest(), size

    def remove(self, path: str) -> None:
        """Remove an object that may be gone already, and look whether it is."""
        from pyarrow.fs import FileType

        files, place = self._files(), self._place(path)
        if files.get_file_info(place).type != FileType.NotFound:
            files.delete_file(place)
            if files.get_file_info(place).type != FileType.NotFound:
                raise OSError("an object is still there after it was removed")
        if self._url.bucket is None:
            _remove_empty(Path(place).parent, Path(self._url.prefix))

    def objects(self, folder: str = "") -> list[StoredObject]:
        """Return all objects that the archive may have written, also those half-written. folder:
        those below it.
        """
        from pyarrow.fs import FileSelector, FileType

        root = self._place("").rstrip("/")
        below = self._place(folder).rstrip("/")
        selector = FileSelector(below, allow_not_found=True, recursive=True)
        return [
            StoredObject(info.path[len(root) + 1 :], info.size, info.mtime)
            for info in self._files().get_file_info(selector)
            if info.type == FileType.File and info.path[len(root) + 1 :].startswith("org=")
        ]

    def _place(self, path: str) -> str:
        url = self._url
        return "/".join(part for part in (url.bucket, url.prefix, path) if part is not None)

    def _files(self) -> Any:
        if self._filesystem is None:
            from pyarrow import fs

            url = self._url
            if url.bucket is None:
                self._filesystem = fs.LocalFileSystem()
            else:
                self._filesystem = fs.S3FileSystem(
                    access_key=url.key,
                    secret_key=url.secret,
                    endpoint_override=url.endpoint,
                    region=url.region,
                    scheme=url.scheme,
                    connect_timeout=_CONNECT_S,
                    request_timeout=self._timeout_s,
                )
        return self._filesystem


def _write_file(target: Path, content: IO[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as file:
        shutil.copyfileobj(content, file, _PIECE_BYTES)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(target)
    for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove the folders of a day and an organization, if nothing is in them."""
    while folder != root and root in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
