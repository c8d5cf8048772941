"""New identifiers."""

import os
import time
from uuid import UUID

from telemetry.ids import uuid7


def new_id() -> UUID:
    """Return a UUIDv7 of now."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))
