"""Attachments, through HTTP: what is taken, what is kept, and how it is given back."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from PIL import Image

from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.photos.pictures import bomb, opened, photo, picture
from tests.api.photos.uploading import upload
from tests.api.running import Organization, RunningApi, running_api
from tests.api.shapes import square
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.own_api

PNG, JPEG = picture("PNG"), picture("JPEG")
PDF = b"%PDF-1.7\n" + b"\xe2\xe3\xcf\xd3\n" * 20
MIB = 1024 * 1024
SIZES = ("full", "thumb", "original")


async def _asset(org: Organization) -> str:
    return (await org.admin.post("/v1/assets", {"name": "Truck"})).json["id"]


async def _made(org: Organization, content: bytes, name: str = "a.bin") -> dict[str, Any]:
    answer = await upload(org.dispatcher, content, name, asset_id=await _asset(org))
    assert answer.status == 201, answer.json
    return answer.json


def _usage(api: RunningApi, org: Organization) -> tuple[int, int]:
    rows = api.sql("SELECT files, bytes FROM attachment_usage WHERE org_id = %s", org.org_id)
    return rows[0] if rows else (0, 0)


def _pieces(api: RunningApi, attachment: dict[str, Any]) -> int:
    rows = api.sql(
        "SELECT count(*) FROM attachment_pieces WHERE attachment_id = %s",
        parse_id("att", attachment["id"]),
    )
    return rows[0][0]


def _copies(api: RunningApi, attachment: dict[str, Any]) -> int:
    rows = api.sql(
        "SELECT count(*) FROM photo_copies WHERE attachment_id = %s",
        parse_id("att", attachment["id"]),
    )
    return rows[0][0]


async def test_a_file_comes_back_as_it_was_sent(api: RunningApi, north: Organization) -> None:
    asset = await _asset(north)
    answer = await upload(north.dispatcher, PDF, "Front view.pdf", asset_id=asset)
    assert answer.status == 201
    made = answer.json
    assert answer.headers["Location"] == f"/v1/attachments/{made['id']}"
    assert (made["asset_id"], made["site_id"], made["zone_id"]) == (asset, None, None)
    assert (made["file_name"], made["media_type"]) == ("Front view.pdf", "application/pdf")
    assert (made["size_bytes"], made["sha256"]) == (len(PDF), sha256(PDF).hexdigest())
    assert (made["width_px"], made["height_px"]) == (None, None)
    assert made["created_by"].startswith("usr_")
    assert (await north.viewer.get(answer.headers["Location"])).json == made
    sent = await north.viewer.get(f"/v1/attachments/{made['id']}/content")
    assert (sent.status, sent.content) == (200, PDF)
    policies = [
        value for name, value in sent.headers.items() if name == "Cross-Origin-Resource-Policy"
    ]
    assert policies == ["same-origin"]
    assert {name: sent.headers[name] for name in HEADERS} == HEADERS | {
        "Content-Type": "application/pdf",
        "Content-Length": str(len(PDF)),
        "Content-Disposition": 'attachment; filename="Front view.pdf"',
    }


HEADERS = {
    "Content-Type": "",
    "Content-Length": "",
    "Content-Disposition": "",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Accept-Ranges": "bytes",
}


@pytest.mark.parametrize("kind", ["asset", "site", "client", "employee", "zone"])
async def test_a_file_belongs_to_one_thing_and_is_listed_by_it(
    north: Organization, kind: str
) -> None:
    body: dict[str, Any] = {"name": "x"} | ({"geometry": square()} if kind == "zone" else {})
    one, other = [(await north.admin.post(f"/v1/{kind}s", body)).json["id"] for _ in range(2)]
    names = ["1.txt", "2.txt", "3.txt"]
    for name in names:
        await upload(north.dispatcher, b"hello", name, **{f"{kind}_id": one})
    await upload(north.dispatcher, b"hello", "4.txt", **{f"{kind}_id": other})
    listed = (await north.dispatcher.get("/v1/attachments", **{f"{kind}_id": one})).json
    assert [row["file_name"] for row in listed["data"]] == names[::-1]
    assert listed["total"] == 3
    walked = await north.dispatcher.walk("/v1/attachments", limit=1, **{f"{kind}_id": one})
    assert walked == listed["data"]


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (PNG, "a.txt", "image/png"),
        (JPEG, "evil.html", "image/jpeg"),
        (picture("GIF"), "a.gif", "image/gif"),
        (picture("WEBP"), "a.webp", "image/webp"),
        (picture("TIFF"), "a.tif", "image/tiff"),
        (PDF, "a.pdf", "application/pdf"),
        *(
            (b"\0\0\0\x1cftyp" + brands + bytes(50), "a.heic", "image/heif")
            for brands in (
                b"heic\0\0\0\0mif1heictmap",
                b"heix\0\0\0\0mif1heixMiHB",
                b"mif1\0\0\0\0mif1heicmiaf",
                b"msf1\0\0\0\0msf1hevcheic",
                b"MiHE\0\0\0\0mif1heixMiPr",
            )
        ),
        (b"id,name\n1,Z\xc3\xbcrich\n", "LIST.CSV", "text/csv"),
        ("Zürich\r\n\tline".encode(), "a", "text/plain"),
        (b'<?xml version="1.0"?>\n<gpx><trk><name>A day</name></trk></gpx>', "a", "text/plain"),
        (b"a < b and <html> is a tag", "a.txt", "text/plain"),
        (b"a" * (MIB - 1) + "ü".encode(), "long.txt", "text/plain"),
    ],
)
async def test_the_type_is_what_the_content_says(
    north: Organization, content: bytes, name: str, media_type: str
) -> None:
    made = await _made(north, content, name)
    assert made["media_type"] == media_type
    path = f"/v1/attachments/{made['id']}/content"
    sent = await north.dispatcher.get(path, size="original")
    assert sent.content == content
    assert sent.headers["Content-Type"].partition(";")[0] == media_type
    assert sent.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\x00" + b"\x00" * 50,
        b"PK\x03\x04" + b"\x00" * 50,
        b"\x7fELF" + b"\x00" * 50,
        b"hello\x00",
        b"caf\xe9",
        b"hello \xc3",
        b"\x1f\x8b\x08" + b"\x00" * 20,
        b"<script>alert(1)</script>",
        b"\xef\xbb\xbf \n<!DOCTYPE html><p>x",
        b"<img src=x onerror=alert(1)>",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"<!-- x --><svg/>",
        JPEG[:20] + b"<script>alert(1)</script>" + JPEG,
        PNG + b"%PDF-1.7\n",
        b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf" + bytes(50),
        b"\0\0\0\x1cftypisom\0\0\0\0iso2avc1mp41" + bytes(50),
        b"\xff\xff\xff\x00ftypheic\0\0\0\0mif1heicmiaf" + bytes(50),
        b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf%PDF-1.7" + bytes(50),
        JPEG + b"PK\x05\x06" + bytes(16) + b"\x05\x00hello",
    ],
)
async def test_a_file_of_another_type_is_refused(
    api: RunningApi, north: Organization, content: bytes
) -> None:
    before = _usage(api, north)
    answer = await upload(north.admin, content, "a.png", asset_id=await _asset(north))
    assert (answer.status, answer.json["code"]) == (422, "media_type_refused")
    assert answer.json["errors"][0]["pointer"] == "/file"
    assert _usage(api, north) == before


@pytest.mark.parametrize(
    ("given", "kept", "sent"),
    [
        ("plain.txt", "plain.txt", 'filename="plain.txt"'),
        ("C:\\temp\\a.txt", "a.txt", 'filename="a.txt"'),
        ("../../etc/passwd", "passwd", 'filename="passwd"'),
        ("Zürich.txt", "Zürich.txt", "filename=\"Z_rich.txt\"; filename*=UTF-8''Z%C3%BCrich.txt"),
        (
            "a'%41;b.txt",
            "a'%41;b.txt",
            "filename=\"a__41;b.txt\"; filename*=UTF-8''a%27%2541%3Bb.txt",
        ),
        ("x" * 300, "x" * 200, f'filename="{"x" * 200}"'),
    ],
)
async def test_the_name_of_a_file_is_safe(
    north: Organization, given: str, kept: str, sent: str
) -> None:
    made = await _made(north, b"hello", given)
    assert made["file_name"] == kept
    answer = await north.viewer.get(f"/v1/attachments/{made['id']}/content")
    assert answer.headers["Content-Disposition"] == f"attachment; {sent}"


async def test_a_large_file_is_kept_in_pieces_and_comes_back_whole_or_by_ranges(
    api: RunningApi, north: Organization
) -> None:
    content = PDF + b"".join(number.to_bytes(4, "big") for number in range(700_000))
    made = await _made(north, content)
    assert _pieces(api, made) == -(-len(content) // 262_144)
    path = f"/v1/attachments/{made['id']}/content"
    assert (await north.viewer.get(path)).content == content
    size = len(content)
    for asked, begin, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=262143-262144", 262_143, 262_145),
        ("bytes=1000000-2000000", 1_000_000, 2_000_001),
        (f"bytes={size - 5}-", size - 5, size),
        ("bytes=2500000-99999999", 2_500_000, size),
        ("bytes=-7", size - 7, size),
        ("bytes=-99999999", 0, size),
    ):
        part = await north.viewer.get(path, headers={"Range": asked})
        assert (part.status, part.content) == (206, content[begin:end]), asked
        assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
        assert part.headers["Content-Length"] == str(end - begin)


async def test_a_range_that_is_none_is_refused_or_left_alone(north: Organization) -> None:
    made = await _made(north, b"hello")
    path = f"/v1/attachments/{made['id']}/content"
    tag = (await north.viewer.get(path)).headers["ETag"]
    for asked in ("bytes=5-", "bytes=9-10", "bytes=-0"):
        answer = await north.viewer.get(path, headers={"Range": asked})
        assert (answer.status, answer.json["code"]) == (416, "range_not_satisfiable")
        assert answer.headers["Content-Range"] == "bytes */5"
    for headers in (
        {"Range": "bytes=0-1,3-4"},
        {"Range": "bytes=3-1"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=0-1", "If-Range": '"other"'},
    ):
        answer = await north.viewer.get(path, headers=headers)
        assert (answer.status, answer.content) == (200, b"hello")
    part = await north.viewer.get(path, headers={"Range": "bytes=0-1", "If-Range": tag})
    assert (part.status, part.content) == (206, b"he")
    again = await north.viewer.get(path, headers={"If-None-Match": tag})
    assert (again.status, again.content) == (304, b"")


async def test_what_is_deleted_is_gone_with_its_bytes(api: RunningApi, north: Organization) -> None:
    before = _usage(api, north)
    made = await _made(north, PNG)
    path = f"/v1/attachments/{made['id']}"
    sizes = [len((await north.admin.get(f"{path}/content", size=size)).content) for size in SIZES]
    assert _usage(api, north) == (before[0] + 1, before[1] + sum(sizes))
    assert (await north.dispatcher.delete(path)).status == 204
    assert (_pieces(api, made), _copies(api, made)) == (0, 0)
    assert _usage(api, north) == before
    for answer in (
        await north.viewer.get(path),
        await north.viewer.get(f"{path}/content"),
        await north.dispatcher.delete(path),
    ):
        assert answer.status == 404


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ({}, ""),
        ({"asset_id": "ast_x"}, "/asset_id"),
        ({"asset_id": "{asset}", "zone_id": "{asset}"}, ""),
        ({"zone_id": "{asset}"}, "/zone_id"),
        ({"asset_id": "{asset}", "note": "x"}, "/note"),
    ],
)
async def test_a_form_that_cannot_be_is_a_422_that_points_at_it(
    north: Organization, parts: dict[str, str], pointer: str
) -> None:
    asset = await _asset(north)
    named = {name: value.format(asset=asset) for name, value in parts.items()}
    answer = await upload(north.admin, b"hello", **named)
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("kind", ["asset", "site", "client", "employee", "zone"])
async def test_a_thing_that_is_not_there_is_a_404(north: Organization, kind: str) -> None:
    prefix = {"asset": "ast", "site": "sit", "client": "cli", "employee": "emp", "zone": "zon"}
    nobody = format_id(prefix[kind], new_id())
    answer = await upload(north.admin, b"hello", **{f"{kind}_id": nobody})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (404, f"/{kind}_id")
    assert (await north.viewer.get("/v1/attachments", **{f"{kind}_id": nobody})).status == 404


async def test_a_body_that_is_no_form_with_one_file_is_refused(north: Organization) -> None:
    asset = await _asset(north)
    path = "/v1/attachments"
    json = await north.admin.post(path, {"asset_id": asset})
    assert (json.status, json.json["code"]) == (415, "not_multipart")
    assert (await upload(north.admin, b"", asset_id=asset)).status == 422
    assert (await upload(north.admin, b"x", name=" ", asset_id=asset)).status == 422
    plain = {"Content-Type": "multipart/form-data"}
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    for headers, data, status in (
        (plain, b"x", 400),
        (broken, b"nonsense", 400),
        (broken, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', 422),
        (
            broken,
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhel',
            422,
        ),
    ):
        answer = await north.admin.send("POST", path, headers=headers, data=data)
        assert answer.status == status, (data, answer.content)
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_file_that_is_too_large_is_a_413(north: Organization) -> None:
    asset = await _asset(north)
    most = await upload(north.admin, b"a" * (25 * MIB), "most.txt", asset_id=asset)
    assert most.status == 201
    for size in (25 * MIB + 1, 27 * MIB):
        answer = await upload(north.admin, b"a" * size, asset_id=asset)
        assert (answer.status, answer.json["code"]) == (413, "body_too_large")


async def test_the_same_upload_with_the_same_key_is_made_once(north: Organization) -> None:
    asset = await _asset(north)
    key = {"Idempotency-Key": '"once"'}
    first = await upload(north.admin, b"hello", headers=key, asset_id=asset)
    again = await upload(north.admin, b"hello", headers=key, asset_id=asset)
    assert (first.status, again.status, again.json) == (201, 201, first.json)
    other = await upload(north.admin, b"hullo", headers=key, asset_id=asset)
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")
    assert (await north.viewer.get("/v1/attachments", asset_id=asset)).json["total"] == 1


async def test_a_viewer_only_reads_and_a_technician_uploads_photos_of_assets_and_sites(
    north: Organization,
) -> None:
    made = await _made(north, PNG)
    path = f"/v1/attachments/{made['id']}"
    site_id = (await north.admin.post("/v1/sites", {"name": "Quarry"})).json["id"]
    client_id = (await north.admin.post("/v1/clients", {"name": "Works"})).json["id"]
    owner = {"asset_id": made["asset_id"]}
    assert (await upload(north.viewer, PNG, **owner)).status == 403
    assert (await upload(north.technician, PNG, **owner)).status == 201
    assert (await upload(north.technician, PNG, site_id=site_id)).status == 201
    order = await north.admin.post("/v1/work-orders", {"title": "not theirs"})
    assert (await upload(north.technician, PNG, work_order_id=order.json["id"])).status == 403
    assert (await upload(north.technician, PNG, client_id=client_id)).status == 403
    assert (await upload(north.technician, b"hello", **owner)).status == 403
    for caller in (north.viewer, north.technician):
        assert (await caller.delete(path)).status == 403
        assert (await caller.get(f"{path}/content")).status == 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_photo_is_shown_upright_and_does_not_say_where_it_was_taken(
    north: Organization, kind: str
) -> None:
    sent = photo(kind, orientation=6, size=(600, 400))
    made = await _made(north, sent, "Front view.x")
    assert (made["width_px"], made["height_px"]) == (400, 600)
    assert (made["size_bytes"], made["sha256"]) == (len(sent), sha256(sent).hexdigest())
    path = f"/v1/attachments/{made['id']}/content"
    full = await north.viewer.get(path)
    thumb = await north.viewer.get(path, size="thumb")
    for answer, size in ((full, (400, 600)), (thumb, (213, 320))):
        image = opened(answer.content)
        assert answer.status == 200
        assert (answer.headers["Content-Type"], image.size) == (image.get_format_mimetype(), size)
        assert not image.getexif()
        assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not any(word in answer.content for word in (b"Exif", b"Anna", b"Camera"))
        # The red quarter was on the upper left before the turn to the right.
        assert [_is_red(image, x, y) for x, y in ((0.75, 0.25), (0.25, 0.25), (0.75, 0.75))] == [
            True,
            False,
            False,
        ]
    assert full.headers["Content-Type"] == ("image/png" if kind == "PNG" else "image/jpeg")
    assert thumb.headers["Content-Type"] == "image/jpeg"
    assert full.headers["Content-Disposition"].endswith(
        {"JPEG": '"Front view.x"', "PNG": '"Front view.x"', "WEBP": '"Front view.jpg"'}[kind]
    )
    part = await north.viewer.get(path, headers={"Range": "bytes=7-99"})
    assert (part.status, part.content) == (206, full.content[7:100])
    assert len({answer.headers["ETag"] for answer in (full, thumb)}) == 2


def _is_red(image: Image.Image, x: float, y: float) -> bool:
    red, _, blue = image.getpixel((int(image.width * x), int(image.height * y)))
    return red > 200 and blue < 50


async def test_the_original_of_a_photo_is_for_dispatchers_and_admins(north: Organization) -> None:
    sent = photo()
    path = f"/v1/attachments/{(await _made(north, sent))['id']}/content"
    for caller in (north.viewer, north.technician):
        answer = await caller.get(path, size="original")
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
    for caller in (north.dispatcher, north.admin):
        assert (await caller.get(path, size="original")).content == sent
    assert (await north.admin.get(path, size="huge")).status == 400


async def test_an_image_without_a_copy_is_for_dispatchers_and_admins(north: Organization) -> None:
    sent = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(50)
    path = f"/v1/attachments/{(await _made(north, sent))['id']}/content"
    assert (await north.viewer.get(path)).status == 403
    assert (await north.dispatcher.get(path)).content == sent
    assert (await north.dispatcher.get(path, size="thumb")).status == 404
    document = f"/v1/attachments/{(await _made(north, PDF))['id']}/content"
    assert (await north.viewer.get(document, size="original")).content == PDF
    assert (await north.viewer.get(document, size="thumb")).status == 404


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (picture("PNG")[:-60], "image_unreadable", "it ends too early"),
        (picture("JPEG")[:-20], "image_unreadable", "it ends too early"),
        (picture("WEBP")[:-20], "image_unreadable", "it is damaged"),
        (PNG[:40] + bytes(50), "image_unreadable", "it is damaged"),
        (b"II*\x00" + bytes(50), "image_unreadable", "it is damaged"),
        (bomb(50_000, 50_000), "image_too_large", "it has 50000 x 50000 pixels; at most 64 mega"),
    ],
)
async def test_an_image_that_cannot_be_decoded_is_refused(
    api: RunningApi, north: Organization, content: bytes, code: str, says: str
) -> None:
    before = _usage(api, north)
    answer = await upload(north.admin, content, "a.png", asset_id=await _asset(north))
    assert (answer.status, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["pointer"] == "/file"
    assert says in answer.json["errors"][0]["message"]
    assert _usage(api, north) == before


async def test_nobody_gets_the_bytes_of_another_organization(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    theirs = await _made(south, PNG)
    path = f"/v1/attachments/{theirs['id']}"
    for size in SIZES:
        assert (await north.admin.get(f"{path}/content", size=size)).status == 404
    for answer in (
        await north.admin.get(path),
        await north.admin.get(f"{path}/content"),
        await north.admin.get(f"{path}/content", headers={"Range": "bytes=0-3"}),
        await north.admin.delete(path),
        await upload(north.admin, PNG, asset_id=theirs["asset_id"]),
        await north.admin.get("/v1/attachments", asset_id=theirs["asset_id"]),
    ):
        assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert (await api.anonymous.get(f"{path}/content")).status == 401
    assert (await south.viewer.get(f"{path}/content")).status == 200
    assert (await south.admin.get(f"{path}/content", size="original")).content == PNG


@pytest.fixture
def tight(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """An API where an organization may keep 10 bytes."""
    with running_api(database, attachments_quota_bytes=10) as running:
        yield running


async def test_an_organization_keeps_no_more_than_it_may(tight: RunningApi) -> None:
    org = tight.organization("Tight")
    first = await _made(org, b"123456")
    asset = await _asset(org)
    refused = await upload(org.admin, b"12345", asset_id=asset)
    told = {name: refused.json[name] for name in ("code", "quota", "limit", "used")}
    expected = {"code": "quota_exceeded", "quota": "attachment_bytes", "limit": 10, "used": 6}
    assert (refused.status, told) == (403, expected)
    assert _usage(tight, org) == (1, 6)
    assert (await upload(org.admin, b"1234", asset_id=asset)).status == 201
    await org.admin.delete(f"/v1/attachments/{first['id']}")
    assert (await upload(org.admin, b"123456", asset_id=asset)).status == 201
    assert _usage(tight, org) == (2, 10)
