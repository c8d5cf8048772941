"""Whatever bytes a tracker sends: no exception, and every fix is stored or refused for a reason."""

import json
from collections import Counter
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from db.history.quarantine import Refusal
from db.ingest.registry import RegistryChanges, TrackerRow
from ingest.planning.acceptance import accept
from ingest.planning.decoded_batch import DecodedBatch, decode_batch
from ingest.planning.rate_limit import Rates
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from mqtt import Message
from telemetry.fix import FixBatch
from telemetry.formats.packed import RECORD_BYTES
from telemetry.ids import format_id
from telemetry.rejection import Reason
from telemetry.times import parse_time_us
from tests.ingest.planned import made
from tests.telemetry.formats.test_decode_properties import documents, payloads

NOW_US = parse_time_us("2026-02-01T00:00:00Z")
ORG, KNOWN, REVOKED = UUID(int=1), UUID(int=2), UUID(int=3)
GOOD = {"time": "2026-01-31T12:00:00Z", "lat": 52.5, "lon": 13.4}

whole_messages = {Reason.UNKNOWN_TRACKER, Reason.REVOKED_TRACKER}
packed = st.binary(max_size=4 * RECORD_BYTES)
native = st.one_of(payloads, documents.map(msgspec.json.encode))
nasty = st.sampled_from(
    [
        b"",
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        json.dumps({**GOOD, "attributes": {"deep": json.loads("[" * 40 + "]" * 40)}}).encode(),
        json.dumps({**GOOD, "lat": float("nan")}).encode(),
        json.dumps({**GOOD, "altitude_m": 1e308, "speed_mps": -1e308}).encode(),
        json.dumps({**GOOD, "lat": 1e308}).encode(),
        json.dumps({**GOOD, "time": 1e308}).encode(),
        json.dumps({**GOOD, "\x00": "\x00", "attributes": {"\x00": "a\x00"}}).encode(),
        json.dumps(GOOD).encode().replace(b"52.5", b'"\xff\xfe"'),
        b"\xc3\x28",
        json.dumps([GOOD] * 1_001).encode(),
        b" " * (600 * 1024) + json.dumps(GOOD).encode(),
        bytes(RECORD_BYTES - 1),
        bytes(RECORD_BYTES * 1_001),
    ]
)
messages = st.lists(
    st.one_of(
        st.tuples(st.just("fixes"), st.one_of(native, nasty)),
        st.tuples(st.just("packed"), st.one_of(packed, nasty)),
    ),
    max_size=6,
)


def _registry() -> Registry:
    registry = Registry()
    trackers = [
        TrackerRow(org_id=ORG, tracker_id=tracker, revoked=tracker == REVOKED, receipts=False)
        for tracker in (KNOWN, REVOKED)
    ]
    registry.apply(RegistryChanges(1, trackers, [], [], [], []))
    return registry


def _arrivals(sent: list[tuple[str, bytes]], tracker: UUID) -> DecodedBatch:
    name = format_id("trk", tracker)
    return decode_batch(
        [Message(f"trackers/{name}/{level}", body, 1, 0, False, False, None, None)
         for level, body in sent],
        NOW_US,
    )  # fmt: skip


def _sorted(arrivals: DecodedBatch, rate: float | None = None) -> tuple[FixBatch, list[Refusal]]:
    accepted = made(accept(arrivals, _registry(), Watermarks(), Rates(rate)))
    return accepted.batch, accepted.refusals


def _fixes_of(level: str, body: bytes) -> int | None:
    """Return how many fixes a message of ours has; None: it is not one object or an array."""
    if level == "packed":
        return len(body) // RECORD_BYTES if len(body) % RECORD_BYTES == 0 and body else None
    try:
        plain: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    return len(plain) if isinstance(plain, list) else 1


@given(messages, st.sampled_from([None, 1.0]))
@example([("fixes", json.dumps([GOOD] * 20).encode())], 1.0)
def test_every_fix_is_stored_or_refused_for_one_reason(
    sent: list[tuple[str, bytes]], rate: float | None
) -> None:
    arrivals = _arrivals(sent, KNOWN)
    batch, refusals = _sorted(arrivals, rate)
    assert {r.reason for r in refusals} <= set(Reason)
    assert all(r.org_id == ORG and r.tracker_id == KNOWN and r.detail for r in refusals)
    stored = Counter(batch.rows["message"].tolist())
    for (level, body), times in Counter(sent).items():  # equal messages are told apart by nothing
        fixes_stored = sum(
            stored[number] for number, one in enumerate(sent) if one == (level, body)
        )
        of_these = [r for r in refusals if r.topic.endswith(level) and r.payload == body]
        assert fixes_stored or of_these
        fixes = _fixes_of(level, body)
        if fixes is not None and all(r.positions for r in of_these):
            fixes_refused = sum(len(r.positions) for r in of_these)
            assert fixes_stored + fixes_refused == fixes * times


@given(messages, st.sampled_from([REVOKED, UUID(int=99)]))
def test_nothing_of_an_unknown_or_revoked_tracker_is_stored(
    sent: list[tuple[str, bytes]], tracker: UUID
) -> None:
    batch, refusals = _sorted(_arrivals(sent, tracker))
    assert len(batch) == 0
    assert len(refusals) == len(sent)
    assert {r.reason for r in refusals} <= whole_messages
