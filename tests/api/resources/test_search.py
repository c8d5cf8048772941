"""Search: what is found by which letters, in which order, and by whom."""

import pytest
import pytest_asyncio

from db.resources.kinds import KINDS
from db.resources.search import SEARCHED
from tests.api.belongings import Ids, one_of_everything
from tests.api.running import Client, Organization, RunningApi
from tests.api.shapes import square


async def titles(client: Client, q: str, **parameters: object) -> list[str]:
    answer = await client.get("/v1/search", q=q, **parameters)
    assert answer.status == 200, answer.json
    return [each["title"] for each in answer.json["data"]]


async def made(org: Organization, path: str, **body: object) -> str:
    answer = await org.admin.post(f"/v1/{path}", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(api: RunningApi, north: Organization) -> Ids:
    """One of everything, with a name that nothing else has."""
    return await one_of_everything(api, north, "quixotic")


@pytest.mark.parametrize("kind", SEARCHED)
async def test_everything_with_a_name_is_found_with_its_id(
    north: Organization, south: Organization, everything: Ids, kind: str
) -> None:
    found = (await north.admin.get("/v1/search", q="QUIXOT", kinds=kind)).json["data"]
    ids = {(each["kind"], each["id"]) for each in found}
    assert (kind, everything[KINDS[kind].prefix]) in ids
    assert {each["kind"] for each in found} == {kind}
    assert (await south.admin.get("/v1/search", q="quixot", kinds=kind)).json["data"] == []


async def test_words_in_any_order_and_any_case_are_found(api: RunningApi) -> None:
    org = api.organization("Words")
    await made(org, "work-orders", title="Replace the Crane's cable (left)")
    await made(org, "work-orders", title="Grease the crane")
    found = {
        "crane": 2,
        "cable cra": 1,
        "the crane": 2,
        "LEFT": 1,
        "(left": 1,
        "crane's ca": 1,
        "rane": 0,
        "crane cabin": 0,
        "replace  grease": 0,
    }
    for q, count in found.items():
        assert len(await titles(org.viewer, q)) == count, q


async def test_letters_of_every_alphabet_are_found(api: RunningApi) -> None:
    org = api.organization("Alphabets")
    for name in ("Ärger Öl", "Склад Москва", "東京倉庫", "مستودع الرياض", "Straße 5"):
        await made(org, "clients", name=name)
    for q, name in {
        "äRGER": "Ärger Öl",
        "öl": "Ärger Öl",
        "МОСК": "Склад Москва",
        "東京": "東京倉庫",
        "الري": "مستودع الرياض",
        "straße": "Straße 5",
    }.items():
        assert await titles(org.viewer, q) == [name], q


async def test_codes_come_before_names_and_names_before_words_in_them(api: RunningApi) -> None:
    org = api.organization("Ranked")
    await made(org, "sites", name="North of crane 12")
    await made(org, "assets", name="Crane 12 old")
    await made(org, "assets", name="Crane 12")
    await made(org, "assets", name="Truck", external_id="crane 12")
    shown = await titles(org.viewer, "crane 12")
    assert shown == ["Truck", "Crane 12", "Crane 12 old", "North of crane 12"]


async def test_numbers_and_ids_of_ones_own_are_found(api: RunningApi) -> None:
    org = api.organization("Coded")
    client_id = await made(org, "clients", name="Client", external_id="ERP-4711/a")
    for _ in range(11):
        await made(org, "work-orders", title="Job")
    await made(org, "parts", number="OF-2210", name="Filter", currency="CHF")
    lines = [{"description": "x", "quantity_thousandths": 1, "unit_price_cents": 1}]
    quote = {"title": "Offer", "currency": "CHF", "valid_until": "2099-01-01", "lines": lines}
    await made(org, "quotes", client_id=client_id, **quote)
    for q in ("erp-4711", "4711/a", "erp 4711"):
        assert await titles(org.viewer, q) == ["Client"], q
    assert await titles(org.viewer, "of-22") == ["Filter"]
    found = (await org.viewer.get("/v1/search", q="offer")).json["data"]
    assert [each["subtitle"] for each in found] == ["Q-1 draft"]
    for q in ("#11", "11"):
        found = (await org.viewer.get("/v1/search", q=q)).json["data"]
        assert [(each["kind"], each["subtitle"]) for each in found] == [
            ("work_order", "#11 created")
        ]
    found = (await org.viewer.get("/v1/search", q="q-1", kinds="quote")).json["data"]
    assert [each["subtitle"] for each in found] == ["Q-1 draft"]


async def test_a_change_of_a_name_changes_what_is_found(api: RunningApi) -> None:
    org = api.organization("Renamed")
    asset = await made(org, "assets", name="Before", external_id="E-1")
    zone = await made(org, "zones", name="Before", geometry=square())
    for path in (f"/v1/assets/{asset}", f"/v1/zones/{zone}"):
        assert (await org.admin.patch(path, {"name": "After"})).status == 200
    assert await titles(org.viewer, "before") == []
    assert await titles(org.viewer, "after") == ["After", "After"]
    assert await titles(org.viewer, "e-1") == ["After"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("assets", {"name": "Gone"}),
        ("zones", {"name": "Gone", "geometry": square()}),
        ("work-orders", {"title": "Gone"}),
    ],
)
async def test_what_is_deleted_is_not_found_until_it_is_restored(
    api: RunningApi, path: str, body: dict[str, object]
) -> None:
    org = api.organization("Gone")
    place = f"/v1/{path}/{await made(org, path, **body)}"
    assert await titles(org.viewer, "gone") == ["Gone"]
    assert (await org.admin.delete(place)).status == 204
    assert await titles(org.viewer, "gone") == []
    assert (await org.admin.post(f"{place}/restore", None)).status == 200
    assert await titles(org.viewer, "gone") == ["Gone"]


async def test_things_that_are_made_many_at_once_are_found(api: RunningApi) -> None:
    org = api.organization("Batches")
    zone = {"name": "Fleet", "geometry": square()}
    for path, body in (("assets", {"name": "Fleet"}), ("trackers", {"name": "Fleet"})):
        assert (await org.admin.post(f"/v1/{path}/batch", [body] * 3)).status == 201
    assert (await org.admin.post("/v1/zones/batch", [zone])).status == 201
    assert len(await titles(org.viewer, "fleet")) == 7


async def test_no_more_than_the_limit_of_each_kind_is_shown(api: RunningApi) -> None:
    org = api.organization("Many")
    for number in range(4):
        await made(org, "assets", name=f"Crane crane crane {number}")
    await made(org, "sites", name="Crane")
    answer = (await org.viewer.get("/v1/search", q="crane", limit=3)).json
    kinds = [each["kind"] for each in answer["data"]]
    assert (kinds.count("asset"), kinds.count("site"), answer["more"]) == (3, 1, ["asset"])
    assert len({each["id"] for each in answer["data"]}) == 4
    answer = (await org.viewer.get("/v1/search", q="crane", limit=4)).json
    assert (len(answer["data"]), answer["more"]) == (5, [])


async def test_only_an_admin_finds_users(api: RunningApi) -> None:
    org = api.organization("Staffed")
    found = {"title": "viewer@example.com", "subtitle": "viewer@example.com"}
    rows = (await org.admin.get("/v1/search", q="viewer")).json["data"]
    assert [{name: each[name] for name in found} for each in rows] == [found]
    for client in (org.dispatcher, org.technician, org.viewer):
        assert (await client.get("/v1/search", q="viewer")).json["data"] == []
        assert (await client.get("/v1/search", q="viewer", kinds="user")).json["data"] == []


async def test_a_narrowed_key_finds_what_it_may_list(api: RunningApi) -> None:
    org = api.organization("Keys")
    await made(org, "assets", name="Crane")
    await made(org, "work-orders", title="Crane")
    expected = {
        ("search:read", "assets:read"): ["asset"],
        ("search:read", "work-orders:write"): ["work_order"],
        ("*:read",): ["asset", "work_order"],
        ("search:read",): [],
    }
    for scopes, kinds in expected.items():
        key = await org.admin.post("/v1/api-keys", {"name": "x", "scopes": scopes})
        client = Client(api.url, key.json["secret"])
        found = (await client.get("/v1/search", q="crane")).json["data"]
        assert [each["kind"] for each in found] == kinds
    key = await org.admin.post("/v1/api-keys", {"name": "x", "scopes": ["assets:read"]})
    answer = await Client(api.url, key.json["secret"]).get("/v1/search", q="crane")
    assert answer.json["code"] == "scope_missing"


async def test_signs_with_a_meaning_elsewhere_are_plain_here(api: RunningApi) -> None:
    org = api.organization("Signs")
    names = ["100% clean", r"a_b\c", "it's", "a'; DROP TABLE assets; --", "%_%"]
    for name in names:
        await made(org, "clients", name=name)
    for q, found in {
        "100%": names[:1],
        "%_": names[4:],
        "__": [],
        "%%": [],
        r"a_b\c": names[1:2],
        r"\\": [],
        "it's": names[2:3],
        "a'; drop": names[3:4],
        "$1": [],
        "\U0010ffff\U0010ffff": [],
        "tr*": [],
    }.items():
        assert await titles(org.viewer, q) == found, q


@pytest.mark.parametrize("q", ["", "x", "  x  ", "x" * 61, "a\0b"])
async def test_a_text_that_is_too_short_or_too_long_is_a_400(north: Organization, q: str) -> None:
    answer = await north.viewer.get("/v1/search", q=q)
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, "q")


@pytest.mark.parametrize("wrong", [{"kinds": "fix"}, {"kinds": ","}, {"limit": 51}, {"sort": "x"}])
async def test_a_parameter_that_cannot_be_is_a_400(
    north: Organization, wrong: dict[str, object]
) -> None:
    assert (await north.viewer.get("/v1/search", q="xx", **wrong)).status == 400
