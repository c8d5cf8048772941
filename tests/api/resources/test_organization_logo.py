"""The logo and the address of an organization, and the documents that show them, through HTTP."""

from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from pypdf import PdfReader

from tests.api.mailbox import Mailbox
from tests.api.photos.pictures import bomb, opened, photo, picture, saved
from tests.api.resources.quoting import draft, sent
from tests.api.running import Answer, Client, Organization, RunningApi

_PATH = "/v1/organization/logo"
_ADDRESS = "Hafenstrasse 1\n8000 Zurich"


async def put_logo(client: Client, content: bytes, headers: dict[str, str] | None = None) -> Answer:
    form = aiohttp.FormData()
    form.add_field("file", content, filename="logo.png", content_type="text/html")
    return await client.send("PUT", _PATH, headers=headers, data=form)


def _pictures_in(pdf: bytes) -> int:
    return sum(len(page.images) for page in PdfReader(BytesIO(pdf)).pages)


def _text_in(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


async def test_a_logo_is_kept_as_a_copy_that_tells_nothing_else(org: Organization) -> None:
    assert (await org.viewer.get(_PATH)).status == 404
    made = await put_logo(org.admin, photo("JPEG", size=(2_000, 400)))
    assert made.status == 200, made.json
    assert (made.json["width_px"], made.json["height_px"]) == (1_000, 200)
    shown = await org.viewer.get(_PATH)
    assert shown.headers["Content-Type"] == made.json["media_type"] == "image/jpeg"
    assert b"Anna" not in shown.content
    assert opened(shown.content).size == (1_000, 200)
    tag = shown.headers["ETag"]
    assert (await org.viewer.get(_PATH, headers={"If-None-Match": tag})).status == 304
    organization = (await org.viewer.get("/v1/organization")).json
    assert len(organization["logo_sha256"]) == 64
    assert (await put_logo(org.admin, picture("WEBP"), {"If-Match": '"x"'})).status == 412
    clear = saved(Image.new("RGBA", (30, 90), (0, 0, 0, 0)), "WEBP", lossless=True)
    assert (await put_logo(org.admin, clear, {"If-Match": tag})).json["media_type"] == "image/png"
    assert (await org.admin.send("DELETE", _PATH, headers={"If-Match": tag})).status == 412
    assert (await org.admin.delete(_PATH)).status == 204
    assert (await org.admin.delete(_PATH)).status == 404
    assert (await org.viewer.get("/v1/organization")).json["logo_sha256"] is None


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (picture("GIF"), 422),
        (b"%PDF-1.7", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422),
        (picture("PNG")[:-30], 422),
        (bomb(100_000, 100_000), 422),
        (b"", 422),
        (picture("BMP", (700, 700)), 413),
    ],
)
async def test_what_is_no_logo_is_refused(org: Organization, content: bytes, status: int) -> None:
    refused = await put_logo(org.admin, content)
    assert refused.status == status, refused.json
    assert (await org.viewer.get(_PATH)).status == 404


async def test_a_copy_that_would_be_too_large_is_refused(org: Organization) -> None:
    noise = Image.effect_noise((1_000, 1_000), 200).convert("RGB")
    content = saved(noise, "WEBP", quality=30)
    clear = Image.merge("RGBA", [*noise.split(), noise.getchannel(0)])
    small = saved(clear, "WEBP", quality=1)
    assert len(small) < 1024 * 1024
    refused = await put_logo(org.admin, small)
    assert (refused.status, refused.json["code"]) == (422, "logo_refused")
    assert (await put_logo(org.admin, content)).status == 200  # as a JPEG


async def test_only_an_admin_changes_the_logo(org: Organization) -> None:
    for caller in (org.viewer, org.technician, org.dispatcher):
        assert (await put_logo(caller, picture("PNG"))).status == 403
        assert (await caller.delete(_PATH)).status == 403
    assert (await put_logo(org.admin, picture("PNG"))).status == 200
    assert (await org.viewer.get(_PATH)).status == 200


@pytest.mark.parametrize("address", ["\n".join("123456789"), "x" * 501, " "])
async def test_an_address_has_bounds(org: Organization, address: str) -> None:
    refused = await org.admin.patch("/v1/organization", {"address": address})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/address")


@pytest.mark.about("quotes", "work orders", "timesheets", "inspections")
async def test_documents_show_logo_and_address(org: Organization) -> None:
    order = (await org.admin.post("/v1/work-orders", {"title": "x"})).headers["Location"]
    headers = {"Accept": "application/pdf"}
    plain = (await org.viewer.get(order, headers=headers)).content
    assert (_pictures_in(plain), "Hafenstrasse" in _text_in(plain)) == (0, False)
    changed = await org.admin.patch("/v1/organization", {"address": _ADDRESS})
    assert changed.json["address"] == _ADDRESS
    await put_logo(org.admin, picture("PNG"))
    pdf = (await org.viewer.get(order, headers=headers)).content
    assert (_pictures_in(pdf), "8000 Zurich" in _text_in(pdf)) == (1, True)
    quote = await draft(org)
    pdf = (await org.viewer.get(f"/v1/quotes/{quote['id']}/pdf")).content
    assert (_pictures_in(pdf), "8000 Zurich" in _text_in(pdf)) == (1, True)


async def test_a_quote_that_was_sent_keeps_its_logo_and_address(
    api: RunningApi, org: Organization, tmp_path: Path
) -> None:
    await org.admin.patch("/v1/organization", {"address": _ADDRESS})
    await put_logo(org.admin, picture("PNG"))
    quote, path = await sent(org, Mailbox(api, tmp_path / "mail"))
    page, pdf = await api.anonymous.get(path), f"/v1/quotes/{quote['id']}/pdf"
    assert b'src="data:image/jpeg;base64,' in page.content
    assert b"Hafenstrasse 1\n8000 Zurich" in page.content
    assert "img-src data:" in page.headers["Content-Security-Policy"]
    before = (await org.viewer.get(pdf)).content
    await org.admin.patch("/v1/organization", {"address": None})
    await put_logo(org.admin, picture("PNG", (10, 99)))
    assert (await api.anonymous.get(path)).content == page.content
    assert (await org.admin.delete(_PATH)).status == 204
    assert (await api.anonymous.get(path)).content == page.content
    assert (await org.viewer.get(pdf)).content == before
    evidence: dict[str, Any] = (await org.admin.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert evidence["is_intact"], evidence["faults"]
    api.sql("UPDATE quote_documents SET logo = set_byte(logo, 40, 1) WHERE org_id = %s", org.org_id)
    checked = (await org.admin.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert checked["faults"] == ["The logo is not the one of the document."]
