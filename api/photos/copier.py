"""Copies of photos, made beside the event loop in two processes (`api.photos.copying`): one for
small photos, so that they do not wait for dear ones.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import msgspec

from api.limits.fair_turns import FairTurns
from api.limits.forking_process import ForkingProcess
from api.photos.copying import (
    FULL_SIDE_PX,
    LIMITS,
    SMALL_BYTES,
    THUMB_SIDE_PX,
    PhotoAnswer,
    PhotoCopy,
    PhotoRequest,
)

SIGNATURE_SIDE_PX = 640
LOGO_SIDE_PX = 1_000
PRINT_SIDE_PX = 1_028  # 174 mm, the width of a page between its margins, at 150 dpi
_TOO_DEAR = f"it cannot be decoded within {LIMITS.cpu_s} s"


class PhotoError(Exception):
    """A file that is no photo that can be shown. Its text says why, for whoever sent it.

    is_too_large: it may be a good photo, but has too many pixels.
    """

    def __init__(self, problem: str, *, is_too_large: bool = False) -> None:
        super().__init__(problem)
        self.is_too_large = is_too_large


class PhotoCopies(NamedTuple):
    """The copies of a photo that are kept."""

    full: PhotoCopy
    thumb: PhotoCopy


class PhotoCopier:
    """Copies photos. A process is started when the first one comes.

    One photo is in memory at a time in each process. Organizations take turns (`FairTurns`). All
    that ask raise PhotoError, TurnOver, and TooManyOfOne or TooManyOfAll at once where too many
    wait.
    """

    def __init__(self) -> None:
        self._small = ForkingProcess("api.photos.copying", FairTurns(), "small")
        self._dear = ForkingProcess("api.photos.copying", FairTurns())

    async def copies(
        self, org_id: UUID, read: Callable[[], Awaitable[bytes]], size_bytes: int = 0
    ) -> PhotoCopies:
        """Return the copies of a photo. read: returns the file, when it is next. size_bytes: of the
        file, where it is known.
        """
        found = await self._answer(org_id, read, (FULL_SIDE_PX, THUMB_SIDE_PX), size_bytes)
        return PhotoCopies(*found.copies)

    async def logo(
        self, org_id: UUID, read: Callable[[], Awaitable[bytes]], size_bytes: int = 0
    ) -> PhotoCopies:
        """Return the copies of a logo, as `copies` does, the full one at the size of a logo."""
        found = await self._answer(org_id, read, (LOGO_SIDE_PX, THUMB_SIDE_PX), size_bytes)
        return PhotoCopies(*found.copies)

    async def print_copy(self, org_id: UUID, read: Callable[[], Awaitable[bytes]]) -> PhotoCopy:
        """Return a photo as a JPEG at the size in which an inspection prints it."""
        found = await self._answer(org_id, read, (PRINT_SIDE_PX,), is_for_paper=True)
        return found.copies[0]

    async def signature(self, org_id: UUID, png: bytes) -> PhotoCopy:
        """Return a signature at the size in which it is printed."""
        return (await self._signature(org_id, png)).copies[0]

    async def check_signature(self, org_id: UUID, png: bytes) -> None:
        """Decode a signature. Raises PhotoError where nothing is to be seen, too."""
        if (await self._signature(org_id, png)).is_blank:
            raise PhotoError("nothing is drawn")

    async def close(self) -> None:
        """End the processes."""
        await self._small.close()
        await self._dear.close()

    async def _signature(self, org_id: UUID, png: bytes) -> PhotoAnswer:
        async def read() -> bytes:
            return png

        return await self._answer(org_id, read, (SIGNATURE_SIDE_PX,))

    async def _answer(
        self,
        org_id: UUID,
        read: Callable[[], Awaitable[bytes]],
        sides_px: tuple[int, ...],
        size_bytes: int = 0,
        *,
        is_for_paper: bool = False,
    ) -> PhotoAnswer:
        """Ask the process for small photos first; the other one for what is not small after all."""

        async def ask(process: ForkingProcess, *, is_small: bool) -> PhotoAnswer | None:
            async def request() -> bytes:
                wanted = PhotoRequest(await read(), sides_px, is_for_paper, is_small)
                return msgspec.msgpack.encode(wanted)

            answer = await process.ask(org_id, request)
            return msgspec.msgpack.decode(answer, type=PhotoAnswer) if answer else None

        found: PhotoAnswer | None = None
        if size_bytes <= SMALL_BYTES:
            found = await ask(self._small, is_small=True)
        if found is None or found.is_dear:
            found = await ask(self._dear, is_small=False)
        if found is None:
            raise PhotoError(_TOO_DEAR)
        if found.problem:
            raise PhotoError(found.problem, is_too_large=found.is_too_large)
        return found
