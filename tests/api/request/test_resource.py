"""Answers that follow from the response model, and references that follow from types of ids."""

from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import Field

from api.http import fields
from api.request.references import references_in
from api.request.resource import item_of
from db.core.ids import new_id
from telemetry.ids import format_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = "2026-03-01T12:00:00Z"
IDS = [new_id() for _ in range(4)]
CLIENTS = [format_id("cli", each) for each in IDS]
SITES = [format_id("sit", each) for each in IDS]


class _Row(NamedTuple):
    id: UUID
    site_id: UUID | None
    client_ids: list[UUID] | None
    size_bytes: int
    seen_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class _Item(fields.StoredItem):
    id: fields.ClientId
    site_id: fields.SiteId | None
    client_ids: Annotated[list[fields.ClientId], Field(max_length=9)] | None
    size: str
    seen_at: Annotated[fields.Time | None, Field(description="now and then")]
    included: int = 0


_item = item_of(_Item, size=lambda row: f"{row.size_bytes} bytes")


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (
            _Row(IDS[0], IDS[1], IDS[2:], 7, AT, AT, AT, AT),
            [CLIENTS[0], SITES[1], CLIENTS[2:], "7 bytes", TEXT, TEXT, TEXT, TEXT],
        ),
        (
            _Row(IDS[0], None, None, 7, None, AT, AT, None),
            [CLIENTS[0], None, None, "7 bytes", None, TEXT, TEXT, None],
        ),
        (
            _Row(IDS[0], None, [], 0, None, AT, AT, None),
            [CLIENTS[0], None, [], "0 bytes", None, TEXT, TEXT, None],
        ),
    ],
)
def test_an_item_has_the_required_fields_of_its_model_the_times_last(
    row: _Row, shown: list[Any]
) -> None:
    names = ["id", "site_id", "client_ids", "size", "seen_at"]
    names += ["created_at", "updated_at", "deleted_at"]
    assert list(_item(row).items()) == list(zip(names, shown, strict=True))
    assert list(_Item.model_json_schema()["properties"])[-3:] == names[-3:]


class _Line(fields.Body):
    site_id: fields.SiteId | None = None


class _Order(fields.Body):
    name: str = "x"
    client_id: fields.ClientId | None = None
    visit_id: fields.VisitId | None = None
    line: _Line | None = None
    lines: Annotated[list[_Line], Field(max_length=9)] = Field(default_factory=list)
    site_ids: Annotated[list[fields.SiteId], Field(max_length=9)] | None = None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, []),
        ({"client_id": CLIENTS[0]}, [("client", IDS[0], "/client_id", False)]),
        ({"visit_id": format_id("vis", IDS[0])}, []),  # nothing looks visits up
        ({"line": {"site_id": SITES[1]}}, [("site", IDS[1], "/line/site_id", False)]),
        (
            {"lines": [{}, {"site_id": SITES[1]}]},
            [("site", IDS[1], "/lines/1/site_id", False)],
        ),
        (
            {"client_id": CLIENTS[2], "site_ids": SITES[:2]},
            [
                ("client", IDS[2], "/client_id", False),
                ("site", IDS[0], "/site_ids/0", True),
                ("site", IDS[1], "/site_ids/1", True),
            ],
        ),
    ],
)
def test_the_ids_in_a_body_are_found_by_their_types(body: Any, found: list[Any]) -> None:
    references = references_in(_Order.model_validate(body))
    assert [(one.kind.name, one.id, one.pointer, one.is_in_list) for one in references] == found


def test_the_ids_in_a_list_of_bodies_have_their_place() -> None:
    bodies = [_Line(), _Line.model_validate({"site_id": SITES[0]})]
    assert [one.pointer for one in references_in(bodies)] == ["/1/site_id"]
