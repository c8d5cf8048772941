"""A long list is made into JSON in pieces, and others are served in between."""

import asyncio
import json

import pytest

from api.http.encoding import ok_list
from api.http.etags import tag_of

KIB = 1024


@pytest.mark.parametrize(
    ("rows", "row_bytes", "turns"),
    [(0, 0, 0), (50, 1_000, 0), (100, 1, 0), (101, 1, 1), (1_000, 1, 9), (20, 64 * KIB, 19)],
)
async def test_others_have_a_turn_after_each_piece(rows: int, row_bytes: int, turns: int) -> None:
    had = 0

    async def have_turns() -> None:
        nonlocal had
        while True:
            await asyncio.sleep(0)
            had += 1

    items = ({"place": place, "text": "x" * row_bytes} for place in range(rows))
    others = asyncio.create_task(have_turns())
    await asyncio.sleep(0)  # it has begun
    response = await ok_list(items, {"total": rows, "limit": rows})
    assert had == turns
    others.cancel()
    found = json.loads(response.body)
    assert list(found) == ["data", "total", "limit"]
    assert [row["place"] for row in found["data"]] == [*range(rows)]
    assert response.headers["ETag"] == tag_of(bytes(response.body))
