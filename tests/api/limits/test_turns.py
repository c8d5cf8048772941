"""Turns: a full queue refuses at once, and the problem says what there is too much of."""

import pytest

from api.http.problems import Problem
from api.limits.turns import Turns, refusing_when_full


@pytest.mark.parametrize(
    ("key", "status", "detail"),
    [
        ("one", 429, "Too many images of the organization at once."),
        ("another", 503, "Too many images at once: try again in a second."),
    ],
)
async def test_a_full_queue_is_a_429_and_too_many_queues_are_a_503(
    key: str, status: int, detail: str
) -> None:
    turns = Turns(most_of_each=1, most=1)
    async with turns.turn("one"):
        with pytest.raises(Problem) as refused, refusing_when_full("images"):
            async with turns.turn(key):
                pytest.fail("there was a turn")
    assert (refused.value.status, refused.value.detail) == (status, detail)
    assert refused.value.headers["Retry-After"] == "1"
