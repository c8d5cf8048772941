"""Message -> sender -> tracker of each fix."""

import json
from uuid import UUID

import numpy as np

from db.ingest.registry import RegistryChanges, TrackerRow
from ingest.id_index import UNKNOWN
from ingest.planning.acceptance import accept
from ingest.planning.decoded_batch import decode_batch
from ingest.planning.rate_limit import Rates
from ingest.planning.senders import organizations_of, senders_of, trackers_of
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from telemetry.fix import SENDER, blank_rows
from telemetry.ids import format_id
from telemetry.times import parse_time_us
from telemetry.topics import fixes_topic, packed_topic
from tests.ingest.planned import made
from tests.ingest.seam import DeviceMessage

NOW_US = parse_time_us("2026-02-01T00:00:00Z")
FIX = {"time": "2026-01-31T12:00:00Z", "lat": 52.5, "lon": 13.4}
ORGS = [UUID(int=1), UUID(int=2)]
TRACKERS = [UUID(int=10), UUID(int=11)]
TOPICS = [fixes_topic(format_id("trk", tracker)) for tracker in TRACKERS]


def registry_of_two() -> Registry:
    """Return a tracker of each organization."""
    registry = Registry()
    rows = [
        TrackerRow(org, tracker, revoked=False, receipts=False)
        for org, tracker in zip(ORGS, TRACKERS, strict=True)
    ]
    registry.apply(RegistryChanges(1, rows, [], [], [], []))
    return registry


def test_the_sender_is_who_signed_in_else_whose_topic_it_is() -> None:
    registry = registry_of_two()
    messages = [
        DeviceMessage(TRACKERS[1], TOPICS[0], b""),
        DeviceMessage(None, TOPICS[0], b""),
        DeviceMessage(None, packed_topic(format_id("trk", TRACKERS[1])), b""),
        DeviceMessage(UUID(int=99), TOPICS[0], b""),
        DeviceMessage(None, "trackers/nobody/fixes", b""),
    ]
    assert senders_of(messages, registry).tolist() == [1, 0, 1, UNKNOWN, UNKNOWN]
    assert organizations_of(messages, registry).tolist() == [1, 0, 1, UNKNOWN, UNKNOWN]


def test_a_fix_is_of_the_sender_of_its_message_or_of_an_unknown_device() -> None:
    rows = blank_rows(4)
    rows["message"], rows["device"] = [0, 1, 1, 2], [SENDER, SENDER, 1, SENDER]
    senders = np.array([7, 5, UNKNOWN], np.int32)
    assert trackers_of(rows, senders).tolist() == [7, 5, UNKNOWN, UNKNOWN]


def test_a_fix_of_an_unknown_device_is_refused_and_the_senders_own_is_accepted() -> None:
    message = DeviceMessage(TRACKERS[0], TOPICS[0], json.dumps([FIX, FIX]).encode())
    arrivals = decode_batch([message], NOW_US)
    arrivals.decoded.batch.rows["device"][1] = 1
    accepted = made(accept(arrivals, registry_of_two(), Watermarks(), Rates()))
    assert accepted.batch.rows[["position", "tracker"]].tolist() == [(0, 0)]
    [refusal] = accepted.refusals
    assert (refusal.reason, refusal.positions) == ("unknown_tracker", [1])
    assert (refusal.org_id, refusal.tracker_id) == (ORGS[0], TRACKERS[0])
