"""Photos and signatures of inspections, and the report that shows them."""

import asyncio
import base64
import io
import random

import psycopg
import pytest
from PIL import Image
from psycopg.types.json import Jsonb
from pypdf import PdfReader

from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.photos.pictures import bomb, photo, picture, saved, signature
from tests.api.photos.uploading import upload
from tests.api.resources.inspecting import (
    BAD,
    GOOD,
    PNG,
    QUESTIONS,
    faults,
    fill_in,
    template,
)
from tests.api.running import Organization, RunningApi


async def test_photos_are_images_of_the_organization_which_stay(
    api: RunningApi, south: Organization
) -> None:
    org = api.organization("North")
    template_id = await template(org)
    asset_id = (await org.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    theirs_of = (await south.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    theirs = (await upload(south.admin, PNG, asset_id=theirs_of)).json["id"]
    text = (await upload(org.admin, b"hello", asset_id=asset_id)).json["id"]
    assert (await upload(org.technician, b"hello", asset_id=asset_id)).status == 403
    photo = (await upload(org.technician, PNG, asset_id=asset_id)).json["id"]
    bad = {**GOOD, "picture": {"value": [theirs, text]}}
    assert faults(await fill_in(org.technician, template_id, answers=bad)) == {
        "/answers/picture/value/0": "There is no such attachment.",
        "/answers/picture/value/1": "must be the id of an image: this is another file",
    }
    good = {**GOOD, "picture": {"value": [photo]}}
    assert (await fill_in(org.technician, template_id, answers=good)).status == 201
    refused = await org.admin.delete(f"/v1/attachments/{photo}")
    assert (refused.status, refused.json["code"]) == (409, "in_use")
    assert (await org.admin.delete(f"/v1/attachments/{text}")).status == 204


async def test_a_photo_serves_one_form_and_those_that_correct_it(api: RunningApi) -> None:
    org = api.organization("North")
    template_id = await template(org)
    asset_id = (await org.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    photo_id = (await upload(org.admin, PNG, asset_id=asset_id)).json["id"]
    shown = {"answers": {**GOOD, "picture": {"value": [photo_id]}}}
    draft = (await fill_in(org.admin, template_id, status="draft", **shown)).json
    first = (await fill_in(org.admin, template_id, **shown)).json
    says = {"/answers/picture/value/0": "is a photo of another form: a photo serves one"}
    assert faults(await fill_in(org.admin, template_id, **shown)) == says
    assert faults(await fill_in(org.admin, template_id, status="draft", **shown)) == says
    path = f"/v1/inspection-forms/{draft['id']}"
    assert faults(await org.admin.patch(path, shown | {"answers": BAD | shown["answers"]})) == says
    assert faults(await org.admin.post(f"{path}/submit", None)) == says
    second = (await fill_in(org.admin, template_id, supersedes_id=first["id"])).json
    third = await fill_in(org.admin, template_id, supersedes_id=second["id"], **shown)
    assert third.status == 201, third.json
    fourth = await fill_in(org.admin, template_id, supersedes_id=third.json["id"], **shown)
    assert fourth.status == 201, fourth.json


async def test_of_forms_at_one_time_one_gets_the_photo(api: RunningApi) -> None:
    org = api.organization("North")
    template_id = await template(org)
    asset_id = (await org.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    photo_ids = [(await upload(org.admin, PNG, asset_id=asset_id)).json["id"] for _ in range(3)]
    shown = {"answers": {**GOOD, "picture": {"value": photo_ids}}}
    drafts = [
        (await fill_in(org.admin, template_id, status="draft", **shown)).json["id"]
        for _ in range(6)
    ]
    answers = await asyncio.gather(
        *(org.admin.post(f"/v1/inspection-forms/{each}/submit", None) for each in drafts)
    )
    statuses = sorted(answer.status for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {409, 422}
    kept = api.sql("SELECT count(*) FROM inspection_photos WHERE org_id = %s", org.org_id)
    assert kept == [(3,)]


async def test_a_report_has_photos_in_which_a_crack_is_seen(api: RunningApi) -> None:
    """They are as wide as the page and have 150 dots to an inch; the original has more."""
    org = api.organization("North")
    template_id = await template(org)
    asset_id = (await org.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    wide = (await upload(org.admin, picture("JPEG", (4000, 3000)), asset_id=asset_id)).json["id"]
    high = (await upload(org.admin, picture("PNG", (1500, 3000)), asset_id=asset_id)).json["id"]
    answers = {**GOOD, "picture": {"value": [wide, high]}}
    form = (await fill_in(org.technician, template_id, answers=answers)).json
    path = f"/v1/inspection-forms/{form['id']}"
    content = (await org.viewer.get(path, {"Accept": "application/pdf"})).content
    read = PdfReader(io.BytesIO(content)).pages
    images = [image for page in read for image in page.images]
    assert [image.image.size for image in images] == [(1028, 771), (514, 1028)]
    assert {image.name.rpartition(".")[2] for image in images} == {"jpg"}
    text = "".join(" ".join(page.extract_text() for page in read).replace("\u200b", "").split())
    page_path = f"/inspection-photos/{form['id']}"
    assert f"signin:http://127.0.0.1:8000{page_path}" in text
    assert len(content) < 20_000_000


@pytest.mark.long
async def test_photos_for_which_there_is_no_room_are_counted_in_the_report(
    api: RunningApi,
) -> None:
    """Of noise a photo has more than half a megabyte."""
    org = api.organization("North")
    asked = [
        {"id": f"p{number}", "type": "photo", "label": "Photos", "required": False}
        for number in range(4)
    ]
    template_id = await template(org, sections=[{"title": "All", "questions": asked}])
    asset_id = (await org.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    noise = random.Random(1)
    ids: list[str] = []
    for _ in range(36):
        image = Image.frombytes("RGB", (1028, 1028), noise.randbytes(3 * 1028 * 1028))
        ids.append((await upload(org.admin, saved(image, "JPEG"), asset_id=asset_id)).json["id"])
    answers = {f"p{number}": {"value": ids[10 * number : 10 * number + 10]} for number in range(4)}
    form = (await fill_in(org.technician, template_id, answers=answers)).json
    headers = {"Accept": "application/pdf"}
    content = (await org.viewer.get(f"/v1/inspection-forms/{form['id']}", headers)).content
    assert 15_000_000 < len(content) <= 20_000_000
    read = PdfReader(io.BytesIO(content)).pages
    shown = sum(len(page.images) for page in read)
    assert 20 < shown < 36
    assert f"{36 - shown} more photos are kept with the form." in read[-1].extract_text()


async def test_the_page_of_photos_says_nothing_and_asks_to_sign_in(api: RunningApi) -> None:
    org = api.organization("North")
    form = (await fill_in(org.technician, await template(org))).json["id"]
    nothing = format_id("insp", new_id())
    pages = [await api.anonymous.get(f"/inspection-photos/{each}") for each in (form, nothing)]
    assert [page.status for page in pages] == [200, 200]
    texts = [page.content.decode() for page in pages]
    assert texts[0].replace(form, nothing) == texts[1]
    assert 'id="sign-in"' in texts[0]
    assert ("Sign in to see the photos." in texts[0], 'lang="en"' in texts[0]) == (True, True)
    german = await api.anonymous.get(f"/inspection-photos/{form}", {"Accept-Language": "de-AT"})
    text = german.content.decode()
    assert ("Melden Sie sich an" in text, 'lang="de"' in text) == (True, True)
    assert "script-src 'self'" in pages[0].headers["Content-Security-Policy"]
    script = await api.anonymous.get("/inspection-photos/assets/photo_page.js")
    assert (script.status, b"/v1/auth/session" in script.content) == (200, True)
    assert (await api.anonymous.get("/inspection-photos/x")).status == 404
    assert (await api.anonymous.get(f"/v1/inspection-forms/{form}")).status == 401


async def test_a_form_is_a_pdf_with_photos_and_signatures_for_those_who_accept_it(
    api: RunningApi,
) -> None:
    org = api.organization("Schöne Kräne AG")
    signed = {"id": "sign", "type": "signature", "label": "Signature"}
    sections = [{"title": "Chassis", "questions": [*QUESTIONS, signed, signed | {"id": "other"}]}]
    template_id = await template(org, sections=sections)
    site = (await org.admin.post("/v1/sites", {"name": "Lot 4", "address": "Gate 2"})).json["id"]
    asset = (await org.admin.post("/v1/assets", {"name": "Crane 7"})).json["id"]
    photo_id = (await upload(org.technician, photo(), asset_id=asset)).json["id"]
    answers = BAD | {
        "picture": {"value": [photo_id]},
        "sign": {"value": base64.b64encode(signature()).decode()},
        "other": {"value": base64.b64encode(signature()).decode()},
    }
    more = {"site_id": site, "asset_id": asset, "answers": answers}
    form = (await fill_in(org.technician, template_id, **more)).json
    path = f"/v1/inspection-forms/{form['id']}"
    with psycopg.connect(api.database.url("admin")) as conn:  # as from before they were decoded
        conn.execute("SET session_replication_role = replica")
        conn.execute(
            "UPDATE inspection_forms SET answers = jsonb_set(answers, '{other,value}', %s)"
            " WHERE id = %s",
            (Jsonb(base64.b64encode(bomb(50_000, 50_000)).decode()), parse_id("insp", form["id"])),
        )
    form = (await org.viewer.get(path)).json
    answer = await org.viewer.get(path, {"Accept": "application/pdf"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.headers["Vary"].startswith("Accept")
    assert form["id"] in answer.headers["Content-Disposition"]
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    text = " ".join(page.extract_text().split())
    for line in ("Schöne Kräne AG", "Failed: 1 defect", "Crane 7", "Lot 4", "Gate 2", "Pads are"):
        assert line in text
    assert text.count("the signature cannot be shown") == 1
    assert len(page.images) == 2
    assert b"Anna" not in answer.content
    headers = {"Accept": "application/pdf", "If-None-Match": answer.headers["ETag"]}
    assert (await org.viewer.get(path, headers)).status == 304
    assert (await org.viewer.get(path)).json == form
    nobody = f"/v1/inspection-forms/{format_id('insp', new_id())}"
    assert (await org.viewer.get(nobody, {"Accept": "application/pdf"})).status == 404
    stranger = api.organization("South")
    assert (await stranger.admin.get(path, {"Accept": "application/pdf"})).status == 404


async def test_a_signature_that_cannot_be_shown_is_refused(api: RunningApi) -> None:
    org = api.organization("Drawn")
    sign = {"id": "sign", "type": "signature", "label": "Signature"}
    remark = {"id": "remark", "type": "text", "label": "A remark", "required": False}
    template_id = await template(org, sections=[{"title": "x", "questions": [sign, remark]}])
    blank = saved(Image.new("RGBA", (600, 160)), "PNG")
    drawn = base64.b64encode(signature()).decode()
    draft = await fill_in(org.technician, template_id, answers={}, status="draft")
    path = f"/v1/inspection-forms/{draft.json['id']}"
    for content, says in ((blank, "nothing is drawn"), (bomb(1_999, 1_999), "it ends too early")):
        undrawn = base64.b64encode(content).decode()
        answers = {"sign": {"value": undrawn}, "remark": {"value": undrawn}}
        for refused in (
            await fill_in(org.technician, template_id, answers=answers),
            await org.technician.patch(path, {"answers": answers}),
        ):
            ((pointer, message),) = faults(refused).items()
            assert (pointer, says in message) == ("/answers/sign/value", True), message
    answers = {"sign": {"value": drawn}, "remark": {"value": undrawn}}  # a remark is a text
    assert (await org.technician.patch(path, {"answers": answers})).status == 200
    assert (await org.technician.post(f"{path}/submit", None)).json["answers"] == answers


async def test_a_form_that_is_too_long_to_print_says_so(api: RunningApi) -> None:
    org = api.organization("North")
    asked = [{"id": f"q{n}", "type": "text", "label": "Why?"} for n in range(200)]
    template_id = await template(org, sections=[{"title": "All", "questions": asked}])
    answers = {each["id"]: {"value": "x\n" * 500} for each in asked}
    form = (await fill_in(org.admin, template_id, answers=answers)).json
    path = f"/v1/inspection-forms/{form['id']}"
    answer = await org.viewer.get(path, {"Accept": "application/pdf"})
    assert (answer.status, answer.json["code"]) == (409, "document_too_large")
