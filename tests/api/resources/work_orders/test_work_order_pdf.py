"""A work order as a PDF."""

import base64
import io

import psycopg
from pypdf import PdfReader

from telemetry.ids import parse_id
from tests.api.photos.pictures import bomb, photo, signature
from tests.api.photos.uploading import upload
from tests.api.punching import Worker
from tests.api.resources.dispatching import (
    made_order,
    say,
)
from tests.api.running import Client, Organization, RunningApi
from tests.api.stocked import stocked


async def test_a_work_order_is_a_pdf_for_those_who_accept_it(
    api: RunningApi, anna: tuple[Organization, Worker]
) -> None:
    org, worker_ = anna
    client = {"name": "Frei Immobilien", "address": "Pilatusstrasse 3"}
    order = await made_order(
        org,
        client_id=(await org.admin.post("/v1/clients", client)).json["id"],
        assignee_ids=[worker_.id],
        checklist=[{"text": "Lock the switch.", "done": True}],
    )
    photo_id = (await upload(org.technician, photo(), work_order_id=order["id"])).json["id"]
    await upload(org.technician, b"hello", "notes.txt", work_order_id=order["id"])
    path = f"/v1/work-orders/{order['id']}"
    text, images = await _printed(org, path)
    for line in ("Work order 1", "Frei Immobilien", "Pilatusstrasse 3", "Anna Keller", "notes.txt"):
        assert line in text
    assert (images, "Sign-off Name Signature Date" in text) == (1, True)
    await say(org, order, "assign")
    await say(org, order, "start")
    drawn = base64.b64encode(signature()).decode()
    spoilt = bomb(50_000, 50_000)  # from before signatures were decoded
    # Viewers and technicians see who signed, and not how: no drawing, and no photo that was a
    # signature once.
    for given, kept, shown, shown_to_few in (
        ({"signature": drawn}, signature(), 2, 1),
        ({"signature_attachment_id": photo_id}, None, 2, 0),
        ({"signature": drawn}, spoilt, 1, 0),
        ({}, None, 1, 0),
    ):
        body = {"signer_name": "Peter Frei"} | given
        assert (await say(org, order, "complete", body)).status == 200
        with psycopg.connect(api.database.url("admin")) as conn:
            conn.execute(
                "UPDATE work_order_transitions SET signature = %s WHERE work_order_id = %s"
                " AND signature IS NOT NULL AND %s::bytea IS NOT NULL",
                (kept, parse_id("wo", order["id"]), kept),
            )
        text, images = await _printed(org, path, org.dispatcher)
        assert (images, "Peter Frei" in text, "Completed" in text) == (shown, True, True)
        for caller in (org.viewer, org.technician):
            text, images = await _printed(org, path, caller)
            assert (images, "Peter Frei" in text) == (shown_to_few, True)
        await say(org, order, "reopen")
        assert "Peter Frei" not in (await _printed(org, path))[0]
        await say(org, order, "start")
    await say(org, order, "cannot-complete")
    assert "Cannot complete The part is missing." in (await _printed(org, path))[0]
    assert (await org.viewer.get(path)).json["id"] == order["id"]


async def test_the_parts_of_an_order_are_printed_without_their_costs(
    anna: tuple[Organization, Worker],
) -> None:
    org, worker_ = anna
    order = await made_order(org, assignee_ids=[worker_.id])
    path = f"/v1/work-orders/{order['id']}"
    used = await stocked(org, "Cable", quantity=20)
    planned = await stocked(org, "Clamp", quantity=20)
    for part, quantity in ((used, 2), (planned, 4)):
        plan = {"part_id": part["parts"], "quantity": quantity, "warehouse_id": part["warehouses"]}
        assert (await org.admin.post(f"{path}/parts", plan)).status == 201
    await say(org, order, "assign")
    use = {"quantity": 3.5, "warehouse_id": used["warehouses"]}
    consumed = await org.admin.post(f"{path}/parts/{used['parts']}/consume", use)
    assert consumed.json["cost_cents"] == 875
    for caller in (org.viewer, org.technician, org.dispatcher, org.admin):
        text, _ = await _printed(org, path, caller)
        assert "Cable part 2 3.5 piece" in text
        assert "Clamp part 4 piece" in text
        for cost in ("875", "8.75", "2.5", "250"):
            assert cost not in text.replace("3.5", "")
    clear = {"quantity": 0}
    await org.admin.patch(f"{path}/parts/{planned['parts']}", clear)
    assert "Clamp" not in (await _printed(org, path))[0]


async def _printed(org: Organization, path: str, caller: Client | None = None) -> tuple[str, int]:
    """Return the text of the one page of a work order, and how many images it has."""
    answer = await (caller or org.viewer).get(path, {"Accept": "application/pdf"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/pdf")
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    return " ".join(page.extract_text().split()), len(page.images)
