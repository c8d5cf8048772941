"""Messages that are refused whole, whatever they contain."""

from collections.abc import Mapping

import numpy as np

from db.core.errors import DataError, IntegrityError, InternalError, OperationalError
from db.core.leases import LeaseLost
from mqtt import MqttError
from telemetry.formats.decoded import Decoded, in_order
from telemetry.rejection import Reason, Rejection

DATA_ERRORS = (DataError, IntegrityError)
"""Errors of the database that are about the data, not about a connection, a lock or a resource."""

NOT_ABOUT_MESSAGES = (
    OperationalError,
    InternalError,
    LeaseLost,
    MqttError,
    OSError,
    MemoryError,
)
"""Errors whose cause is no message. Any other one may be, as soon as it comes back with it."""


def refuse(decoded: Decoded, details: Mapping[int, str], reason: Reason) -> Decoded:
    """Return `decoded` with the messages of `details` rejected whole, for `reason`."""
    if not details:
        return decoded
    batch = decoded.batch
    kept = ~np.isin(batch.rows["message"], list(details))
    rejections = [r for r in decoded.rejections if r.message not in details]
    rejections += [Rejection(number, None, reason, detail) for number, detail in details.items()]
    punches = [punch for punch in decoded.punches if punch.message not in details]
    return Decoded(batch.take(np.flatnonzero(kept)), in_order(rejections), punches)
