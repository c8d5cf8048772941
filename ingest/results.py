"""Results: what became of each message, one code for each, told to its source after COMMIT."""

from collections.abc import Collection

import numpy as np

from db.history.quarantine import Refusal
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.plan import WritePlan
from telemetry.rejection import Reason
from telemetry.result import Result


def results(arrivals: DecodedBatch, plan: WritePlan, counted: Collection[bytes]) -> list[int]:
    """Return the `Result` of each message that `ingest.planning.deferral.finished` gives, in its
    order.

    counted: digests of the refusals that quarantine only counts. A message of which a fix or punch
    is stored is STORED; else the first of it that was refused says why it is not.
    """
    codes = np.zeros(len(arrivals.messages), np.uint8)
    is_stored = np.zeros(len(codes), np.bool_)
    is_stored[plan.batch.rows["message"]] = True
    is_stored[[punch.message for punch in plan.punches]] = True
    for number, refusal in _first_refusals(plan).items():
        is_counted = refusal.digest in counted
        codes[number] = Result.BEYOND_QUARANTINE if is_counted else _code(refusal.reason)
    for number, before in enumerate(arrivals.before):
        is_stored[number] |= before.stored > 0
        if before.reasons:
            codes[number] = _code(before.reasons[0])
    codes[is_stored] = Result.STORED
    if len(plan.deferred):
        codes = np.delete(codes, np.unique(plan.deferred.rows["message"]))
    return codes.tolist()


def _first_refusals(plan: WritePlan) -> dict[int, Refusal]:
    """Return, by message, the rejection of its first rejected fix."""
    first: dict[int, Refusal] = {}
    for refusal in plan.refusals:
        known = first.get(refusal.message)
        if known is None or _position(refusal) < _position(known):
            first[refusal.message] = refusal
    return first


def _position(refusal: Refusal) -> int:
    return refusal.positions[0] if refusal.positions else -1


def _code(reason: str) -> Result:
    return Result.of(Reason(reason))
