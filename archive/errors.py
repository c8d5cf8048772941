"""Errors of the archive."""

from datetime import date


class ArchiveUnavailable(Exception):
    """The fixes of a day cannot be read now. reason: for the log, not for a client."""

    def __init__(self, day: date, reason: str) -> None:
        super().__init__(f"the archive of {day} cannot be read: {reason}")
        self.day, self.reason = day, reason


class StoreError(Exception):
    """The store is away, is too slow, or has not what it should have."""
