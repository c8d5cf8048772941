"""What a job does: prepared from its content, and then done piece by piece.

A piece is done in the transaction that writes the progress, so a job that is cut off goes on behind
its last piece, and nothing is done twice.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias
from uuid import UUID

from db.core.connect import Connection
from db.resources.jobs import HeldJob
from operations.jobs import Piece


class JobError(Exception):
    """A job cannot be done: the message is for whoever asked for it."""


class Work(Protocol):
    """Prepared work."""

    total: int

    async def piece(self, conn: Connection, job: HeldJob) -> Piece | None:
        """Do the piece behind `job.done`; None: there is no room for it just now. conn: in a
        transaction of the organization, as opsc_app. Raises JobError.
        """
        ...


Prepare: TypeAlias = Callable[[UUID, bytes], Work]
"""Reads a job's content, on a thread: takes the organization. Raises JobError."""
