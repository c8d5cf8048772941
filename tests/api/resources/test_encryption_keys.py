"""Keys that OwnTracks encrypts with: written, sealed for their tracker, and never shown."""

import pytest

from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi

KEY = "correct horse battery"


async def test_a_key_is_sealed_and_never_shown(api: RunningApi, north: Organization) -> None:
    made = (await north.dispatcher.post("/v1/trackers", {"name": "Phone"})).json
    assert made["has_encryption_key"] is False
    path = f"/v1/trackers/{made['id']}"
    changed = await north.dispatcher.patch(path, {"encryption_key": KEY})
    assert changed.json["has_encryption_key"] is True
    assert changed.json["updated_at"] > made["updated_at"]
    tracker_id = parse_id("trk", made["id"])
    ((sealed,),) = api.sql(
        "SELECT key_encrypted FROM tracker_encryption_keys WHERE tracker_id = %s", tracker_id
    )
    assert KEY.encode() not in bytes(sealed)
    shown = (changed.json, (await north.admin.get(path)).json)
    audited = api.sql("SELECT changes::text FROM audit_events WHERE resource_id = %s", tracker_id)
    assert "horse" not in str(shown) + str(audited)
    assert "key_encrypted" in str(audited)
    named = await north.dispatcher.patch(path, {"name": "Her phone"})
    assert named.json["has_encryption_key"] is True
    gone = await north.dispatcher.patch(path, {"encryption_key": None})
    assert gone.json["has_encryption_key"] is False


@pytest.mark.parametrize("key", ["", "x" * 33, "\u00fc" * 17, "a\0", 7])
async def test_a_key_that_the_app_cannot_have_is_refused(north: Organization, key: object) -> None:
    made = (await north.dispatcher.post("/v1/trackers", {})).json
    answer = await north.dispatcher.patch(f"/v1/trackers/{made['id']}", {"encryption_key": key})
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == "/encryption_key"


async def test_a_viewer_sets_none(north: Organization) -> None:
    made = (await north.dispatcher.post("/v1/trackers", {})).json
    path = f"/v1/trackers/{made['id']}"
    assert (await north.viewer.patch(path, {"encryption_key": KEY})).status == 403
