"""Quotes, through HTTP: drafts, lists, revisions and evidence."""

import asyncio
from typing import Any

import pytest

from tests.api.mailbox import Mailbox
from tests.api.resources.quoting import (
    CONSENT,
    LINE,
    client_of,
    data_url,
    done,
    draft,
    events_of,
    form,
    mailed,
    png,
    read,
    sent,
)
from tests.api.running import Client, Organization, RunningApi

# Drafts -------------------------------------------------------------------------------------------


async def test_a_draft_has_the_next_number_and_its_sums(org: Organization) -> None:
    first = await draft(org)
    second = await draft(org, lines=[LINE, LINE])
    assert (first["number"], second["number"]) == (1, 2)
    assert (first["label"], first["revision"], first["status"]) == ("Q-1", 1, "draft")
    sums = ("subtotal_cents", "discount_cents", "tax_cents", "total_cents")
    assert [first[name] for name in sums] == [300_000, 15_000, 23_085, 308_085]
    assert [second[name] for name in sums] == [2 * first[name] for name in sums]
    assert first["lines"][0]["net_cents"] == 285_000
    assert await read(org, first) == first


async def test_numbers_are_taken_one_after_the_other(org: Organization) -> None:
    client_id = await client_of(org)
    made = await asyncio.gather(*(draft(org, client_id=client_id) for _ in range(8)))
    assert sorted(each["number"] for each in made) == list(range(1, 9))


async def test_a_number_is_not_used_again(org: Organization) -> None:
    quote = await draft(org)
    assert (await org.dispatcher.delete(f"/v1/quotes/{quote['id']}")).status == 204
    assert (await draft(org))["number"] == 2
    assert (await done(org, quote, "restore")).json["number"] == 1


async def test_a_draft_is_changed_with_its_sums(org: Organization) -> None:
    quote = await draft(org)
    path = f"/v1/quotes/{quote['id']}"
    changed = (await org.dispatcher.patch(path, {"lines": [LINE] * 3, "terms": "30 days"})).json
    assert (changed["total_cents"], changed["terms"]) == (3 * quote["total_cents"], "30 days")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"lines": []}, "/lines"),
        ({"lines": [LINE] * 201}, "/lines"),
        ({"lines": [LINE | {"unit_price_cents": -1}]}, "/lines/0/unit_price_cents"),
        ({"lines": [LINE | {"quantity_thousandths": 0.5}]}, "/lines/0/quantity_thousandths"),
        ({"lines": [LINE | {"quantity_thousandths": 0}]}, "/lines/0/quantity_thousandths"),
        ({"lines": [LINE | {"tax_basis_points": 10_001}]}, "/lines/0/tax_basis_points"),
        ({"lines": [{"description": "Much", "quantity_thousandths": 10**9,
                     "unit_price_cents": 10**9}]}, "/lines"),
        ({"currency": "chf"}, "/currency"),
        ({"valid_until": "2026-02-30"}, "/valid_until"),
        ({"total_cents": 1}, "/total_cents"),
        ({"status": "expired", "title": "Both"}, "/status"),
    ],
)  # fmt: skip
async def test_a_bad_field_is_named(
    north: Organization, change: dict[str, Any], pointer: str
) -> None:
    quote = await draft(north)
    answer = await north.dispatcher.patch(f"/v1/quotes/{quote['id']}", change)
    assert answer.status == 422, answer.json
    assert answer.json["errors"][0]["pointer"] == pointer


async def test_a_list_is_filtered(org: Organization, mailbox: Mailbox) -> None:
    other = await client_of(org, name="Other")
    await sent(org, mailbox)
    await draft(org, client_id=other)
    listed = "/v1/quotes"
    cases: list[tuple[dict[str, Any], int]] = [
        ({"status": "draft"}, 1),
        ({"status": "draft,sent"}, 2),
        ({"status": "expired,viewed"}, 0),
        ({"client_id": other}, 1),
        ({"from": "2026-01-01T00:00:00Z"}, 2),
        ({"to": "2026-01-01T00:00:00Z"}, 0),
    ]
    for filters, number in cases:
        answer = (await org.viewer.get(listed, **filters)).json
        assert (answer["total"], len(answer["data"])) == (number, number), filters
    assert (await org.viewer.get(listed, status="lost")).status == 400


async def test_a_client_with_quotes_stays(org: Organization) -> None:
    quote = await draft(org)
    answer = await org.dispatcher.delete(f"/v1/clients/{quote['client_id']}")
    assert (answer.status, answer.json["code"]) == (409, "in_use")


# Revisions ----------------------------------------------------------------------------------------


async def test_a_revision_supersedes_the_one_before_when_it_is_sent(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    first, path = await sent(org, mailbox)
    answer = await done(org, first, "revise")
    assert answer.status == 201, answer.json
    second = answer.json
    assert (second["label"], second["status"]) == ("Q-1 revision 2", "draft")
    assert (second["lines"], second["evidence"]) == (first["lines"], [])
    assert (await api.anonymous.get(path)).status == 200
    again = await done(org, first, "revise")
    assert (again.status, again.json["code"]) == (409, "not_newest")
    _, new_path = await mailed(org, mailbox, second)
    assert (await read(org, first))["status"] == "superseded"
    for closed in (await api.anonymous.get(path), await form(api, f"{path}/accept", **CONSENT)):
        assert (closed.status, b"later revision" in closed.content) == (410, True)
    assert (await form(api, f"{new_path}/accept", **CONSENT)).status == 200


async def test_many_who_revise_a_quote_at_once_make_one_revision(
    org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await sent(org, mailbox)
    answers = await asyncio.gather(*(done(org, quote, "revise") for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 4]
    assert {a.json["code"] for a in answers if a.status == 409} == {"not_newest"}


async def test_nothing_is_accepted_while_a_revision_is_on_its_way(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    first, path = await sent(org, mailbox)
    second = (await done(org, first, "revise")).json
    await done(org, second, "send")
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 410
    by_hand = {"name": "Ann", "reason": "By phone."}
    refused = await done(org, first, "accept", by_hand)
    assert (refused.status, refused.json["code"]) == (409, "revision_on_its_way")
    await mailbox.letters()


async def test_no_revision_is_sent_after_an_acceptance(
    org: Organization, mailbox: Mailbox, api: RunningApi
) -> None:
    first, path = await sent(org, mailbox)
    second = (await done(org, first, "revise")).json
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 200
    answer = await done(org, second, "send")
    assert (answer.status, answer.json["code"]) == (409, "already_accepted")


async def test_a_deleted_revision_makes_room_for_the_next_number_of_revision(
    org: Organization, mailbox: Mailbox
) -> None:
    first, _ = await sent(org, mailbox)
    second = (await done(org, first, "revise")).json
    assert (await org.dispatcher.delete(f"/v1/quotes/{second['id']}")).status == 204
    third = (await done(org, first, "revise")).json
    assert (third["number"], third["revision"]) == (first["number"], 3)
    await done(org, second, "restore")
    answer = await done(org, second, "send")
    assert (answer.status, answer.json["code"]) == (409, "not_newest")


# By hand, and evidence ----------------------------------------------------------------------------


async def test_a_dispatcher_notes_what_a_customer_said(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    quote, _ = await sent(org, mailbox)
    assert (await done(org, quote, "accept", {"name": "Ann"})).status == 422
    answer = await done(org, quote, "accept", {"name": "Ann", "reason": "Signed letter."})
    assert answer.status == 200, answer.json
    entry = answer.json["evidence"][-1]
    assert (entry["kind"], entry["reason"]) == ("accepted_by_hand", "Signed letter.")
    assert entry["user_id"].startswith("usr_")
    assert events_of(api, org)[-1] == "quote.accepted"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("quote_documents", "content = set_byte(content, 40, get_byte(content, 40) # 1)"),
        ("quote_documents", "pdf = set_byte(pdf, 40, get_byte(pdf, 40) # 1)"),
        ("quote_evidence", "content = set_byte(content, 30, get_byte(content, 30) # 1)"),
        ("quote_evidence", "signature_png = set_byte(signature_png, 30, 1)"),
        ("quote_evidence", "pdf = set_byte(pdf, 40, get_byte(pdf, 40) # 1)"),
    ],
)
async def test_a_changed_byte_is_found(
    api: RunningApi, org: Organization, mailbox: Mailbox, table: str, change: str
) -> None:
    quote, path = await sent(org, mailbox)
    await form(api, f"{path}/accept", **CONSENT, signature=data_url(png()))
    evidence = f"/v1/quotes/{quote['id']}/evidence"
    assert (await org.dispatcher.get(evidence)).json["is_intact"] is True
    api.sql(f"UPDATE {table} SET {change} WHERE org_id = %s", org.org_id)
    checked = (await org.dispatcher.get(evidence)).json
    assert checked["is_intact"] is False
    assert checked["faults"]


async def test_only_leads_write(org: Organization) -> None:
    quote = await draft(org)
    clients: list[Client] = [org.viewer, org.technician]
    for client in clients:
        assert (await client.get(f"/v1/quotes/{quote['id']}")).status == 200
        for verb in ("send", "revise", "accept", "decline", "expire"):
            answer = await client.post(f"/v1/quotes/{quote['id']}/{verb}", {})
            assert answer.status == 403, (verb, answer.json)
