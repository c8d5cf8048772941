"""Search over everything that has a name, a number, or an id of the organization's own.

A caller finds what their lists would show: users only as an admin, and by a narrowed API key only
the kinds that the key may read.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.responses import Response

from api.auth.caller import lets_through, needed_scope
from api.http import fields
from api.http.encoding import id_text, ok
from api.http.problems import bad_parameter
from api.request.access import Access, Reader
from api.request.route import TenantRoute
from db.resources.kinds import KINDS
from db.resources.search import MAX_CHARACTERS, MIN_CHARACTERS, SEARCHED, SearchResult, search

router = APIRouter(prefix="/v1/search", tags=["search"], route_class=TenantRoute)
MAX_OF_A_KIND = 50
_KINDS: list[Any] = list(SEARCHED)
_KIND_LIST = "^({0})(,({0}))*$".format("|".join(SEARCHED))
_Kind = Annotated[str, Field(examples=["work_order"], json_schema_extra={"enum": _KINDS})]


class FoundItem(BaseModel):
    """A thing that was found."""

    kind: _Kind
    id: Annotated[str, fields.text(40, "wo_01jd8x0k2m4n6p8q0r2s4t6v8w")]
    title: Annotated[str, fields.text(254, "Replace the crane's cable")] | None = Field(
        description="the name, or the title; null: a tracker without a name"
    )
    subtitle: Annotated[str, fields.text(500, "#48 assigned")] | None = Field(
        description="what tells it from others: an id of yours, a number, a state, an address"
    )


class FoundItems(BaseModel):
    """Everything that was found, the best first."""

    data: Annotated[list[FoundItem], Field(max_length=MAX_OF_A_KIND * len(SEARCHED))]
    more: Annotated[list[_Kind], Field(max_length=len(SEARCHED))] = Field(
        description="the kinds of which there are more than `limit`"
    )


class SearchQuery(fields.Query):
    """A text, and where to search it."""

    q: Annotated[
        str,
        AfterValidator(fields.storable),
        fields.text(MAX_CHARACTERS, "crane cab", r"^[^\u0000]+$"),
        Field(
            min_length=MIN_CHARACTERS,
            description="the first letters of a name, of words in it, of a number, or of an id of"
            " yours, whatever their case; all words must be there",
        ),
    ]
    kinds: Annotated[
        str | None,
        StringConstraints(max_length=200),
        fields.shaped(_KIND_LIST, f"must be of {', '.join(SEARCHED)}, with commas"),
        Field(
            description="one or several, with commas; all unless given",
            examples=["asset,work_order"],
            json_schema_extra={"pattern": _KIND_LIST},
        ),
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_OF_A_KIND, description="of each kind")] = 10


@router.get("", operation_id="searchEverything", response_model=FoundItems)
async def search_everything(access: Reader, query: Annotated[SearchQuery, Query()]) -> Response:
    """Find things by the first letters of words, the best first."""
    text = " ".join(query.q.split())
    if len(text) < MIN_CHARACTERS:
        raise bad_parameter("q", f"must have at least {MIN_CHARACTERS} characters that are seen.")
    asked = SEARCHED.keys() if query.kinds is None else set(query.kinds.split(","))
    kinds = [kind for kind in asked if _may_read(access, kind)]
    async with access.transaction() as conn:
        found = await search(conn, text, kinds, query.limit + 1) if kinds else []
    return ok(_shown(found, query.limit))


def _may_read(access: Access, kind: str) -> bool:
    """Return whether the caller may list things of a kind."""
    if kind == "user" and access.caller.role != "admin":
        return False
    table, scopes = KINDS[kind].table, access.caller.scopes
    assert table is not None  # every kind that is searched has one
    return scopes is None or lets_through(scopes, needed_scope(table.replace("_", "-"), "GET"))


def _shown(found: list[SearchResult], limit: int) -> dict[str, Any]:
    shown: list[dict[str, Any]] = []
    counts = dict.fromkeys(SEARCHED, 0)
    for each in found:
        counts[each.kind] += 1
        if counts[each.kind] <= limit:
            item_id = id_text(KINDS[each.kind].prefix, each.id)
            shown.append(each._asdict() | {"id": item_id})
    return {"data": shown, "more": [kind for kind in counts if counts[kind] > limit]}
