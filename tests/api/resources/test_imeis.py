"""Claims of IMEIs: one tracker has one, in whichever organization."""

from typing import Any

from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi
from tests.listener.tcp.boxes import new_imei

REFUSED = "SELECT org_id FROM refused_imei_claims WHERE imei = %s"


async def claimed(org: Organization, imei: str, **fields: Any) -> str:
    """Return a new tracker that has claimed an IMEI."""
    made = await org.dispatcher.post("/v1/trackers", {"imei": imei, **fields})
    assert made.status == 201, made.content
    assert made.json["imei"] == imei
    return f"/v1/trackers/{made.json['id']}"


async def test_a_second_claim_is_refused_without_saying_whose_it_is_and_remembered(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    imei, other = new_imei(), new_imei()
    place = await claimed(north, imei)
    free = await claimed(south, other)
    for refused in (
        await south.dispatcher.post("/v1/trackers", {"imei": imei}),
        await south.dispatcher.patch(free, {"imei": imei}),
        await south.dispatcher.post("/v1/trackers/batch", [{"name": "x"}, {"imei": imei}]),
        await north.dispatcher.post("/v1/trackers", {"imei": imei}),
    ):
        assert (refused.status, refused.json["code"]) == (409, "imei_claimed")
        assert place.rpartition("/")[2] not in refused.content.decode()
    assert {row[0] for row in api.sql(REFUSED, imei)} == {north.org_id, south.org_id}
    assert (await south.admin.get(free)).json["imei"] == other
    assert (await north.admin.get(place)).json["imei"] == imei
    found = await south.admin.get("/v1/trackers", limit=1)
    assert found.json["data"][0]["imei"] == other  # nothing was made


async def test_what_is_given_up_or_revoked_is_free(
    north: Organization, south: Organization
) -> None:
    imei = new_imei()
    mine = await claimed(north, imei)
    changed = await north.dispatcher.patch(mine, {"imei": new_imei()})
    assert changed.json["imei"] != imei
    place = await claimed(south, imei)
    revoked = await south.dispatcher.post(f"{place}/revoke", {})
    assert revoked.json["imei"] is None
    refused = await south.dispatcher.patch(place, {"imei": new_imei()})
    assert (refused.status, refused.json["code"]) == (409, "tracker_revoked")
    again = await north.dispatcher.patch(mine, {"imei": imei})
    assert again.json["imei"] == imei
    same = await north.dispatcher.patch(mine, {"imei": imei, "name": "Box"})
    assert (same.status, same.json["imei"]) == (200, imei)
    gone = await north.dispatcher.patch(mine, {"imei": None})
    assert gone.json["imei"] is None


async def test_a_tracker_is_found_by_its_imei_in_its_own_organization_alone(
    north: Organization, south: Organization
) -> None:
    imei = new_imei()
    place = await claimed(north, imei)
    await claimed(north, new_imei())
    found = (await north.viewer.get("/v1/trackers", imei=imei)).json["data"]
    assert [f"/v1/trackers/{one['id']}" for one in found] == [place]
    assert (await south.viewer.get("/v1/trackers", imei=imei)).json["data"] == []


async def test_a_batch_claims_each_imei_once(north: Organization) -> None:
    one, two = new_imei(), new_imei()
    refused = await north.dispatcher.post("/v1/trackers/batch", [{"imei": one}, {"imei": one}])
    assert (refused.status, refused.json["code"]) == (409, "imei_claimed")
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/1/imei"]
    made = await north.dispatcher.post("/v1/trackers/batch", [{"imei": one}, {"imei": two}])
    assert [tracker["imei"] for tracker in made.json["data"]] == [one, two]


async def test_a_wrong_check_digit_is_a_warning(north: Organization) -> None:
    imei = new_imei()
    wrong = imei[:-1] + str((int(imei[-1]) + 1) % 10)
    warned = dict[str, bool]()
    for number in (imei, wrong, new_imei()[4:14]):
        made = await north.dispatcher.post("/v1/trackers", {"imei": number})
        assert (made.status, made.json["imei"]) == (201, number)
        shown = (await north.viewer.get(f"/v1/trackers/{made.json['id']}")).json
        warned[number] = shown["imei_has_wrong_check_digit"]
    assert list(warned.values()) == [False, True, False]


async def test_an_imei_has_fifteen_digits(north: Organization) -> None:
    imei = new_imei()
    for text in (imei[:-1], imei + "0", "x" * 15, "٣" * 15):
        refused = await north.dispatcher.post("/v1/trackers", {"imei": text})
        assert refused.status == 422, text
        assert refused.json["errors"][0]["pointer"] == "/imei"


async def test_a_claim_stands_in_the_audit_of_its_own_organization_alone(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    place = await claimed(north, imei := new_imei())
    await south.dispatcher.post("/v1/trackers", {"imei": imei})
    tracker_id = parse_id("trk", place.rpartition("/")[2])
    audited = "SELECT org_id, action FROM audit_events WHERE table_name = 'imei_claims'"
    assert api.sql(f"{audited} AND resource_id = %s", tracker_id) == [(north.org_id, "insert")]


async def test_a_device_of_h02_may_have_ten_digits(
    north: Organization, south: Organization
) -> None:
    ten = new_imei()[4:14]
    await claimed(north, ten)
    refused = await south.dispatcher.post("/v1/trackers", {"imei": ten})
    assert (refused.status, refused.json["code"]) == (409, "imei_claimed")
    for wrong in (ten[:9], ten + "1", new_imei()[:14], "35693803564380x"):
        refused = await south.dispatcher.post("/v1/trackers", {"imei": wrong})
        assert refused.status == 422, wrong
