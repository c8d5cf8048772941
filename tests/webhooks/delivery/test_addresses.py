"""Names that lead, now or later, to where no webhook may go. Only the name server is faked."""

import socket
from collections.abc import Sequence
from itertools import repeat

import pytest

from tests.webhooks import receivers
from tests.webhooks.world import posted
from webhooks.delivery.addresses import RESOLVING_MAX, AddressRefused, CheckedResolver
from webhooks.delivery.fair_queue import FairQueueLimits
from webhooks.delivery.post import NO_ANSWER, Poster

PUBLIC = "93.184.215.14"


def test_names_that_hang_leave_threads_for_others() -> None:
    limits = FairQueueLimits()
    assert 2 * (limits.new_in_flight + limits.hanging_in_flight) < RESOLVING_MAX


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The answers of the name server to one question after the other; the last is repeated."""
    answers: list[Sequence[str]] = []

    def look_up(host: str, port: int, **_: object) -> list[object]:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", place)
            for each, place in ((each, (each, port)) for each in found)
        ]

    monkeypatch.setattr("webhooks.delivery.addresses.socket.getaddrinfo", look_up)
    return answers


async def _resolved(names: list[Sequence[str]], *answers: Sequence[str]) -> set[str]:
    names[:] = answers
    resolver = CheckedResolver(allow_loopback=False)
    try:
        return {info[4][0] for info in await resolver.resolve("rebound.example", 443)}
    finally:
        resolver.close()


async def test_of_mixed_answers_only_the_public_ones_are_called(
    names: list[Sequence[str]],
) -> None:
    mixed = [
        "10.0.0.1", PUBLIC, "::1", "2606:4700:4700::1111", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "2002:a00:1::1", "fe80::1%2", "100.64.0.1",
    ]  # fmt: skip
    assert await _resolved(names, mixed) == {PUBLIC, "2606:4700:4700::1111"}


@pytest.mark.parametrize(
    "answer",
    [
        "127.0.0.1", "10.1.2.3", "169.254.169.254", "168.63.129.16", "100.100.100.200", "0.0.0.0",
        "::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "2002:7f00:1::1", "fd00:ec2::254", "fe80::1%2", "::7f00:1", "2001::1",
    ],
)  # fmt: skip
async def test_a_name_with_no_public_address_is_refused(
    names: list[Sequence[str]], answer: str
) -> None:
    with pytest.raises(AddressRefused):
        await _resolved(names, [answer])


async def test_a_name_that_is_rebound_between_attempts_reaches_nothing_of_ours(
    names: list[Sequence[str]],
) -> None:
    names[:] = [["127.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["::ffff:127.0.0.1"]]
    async with (
        receivers.well_behaved() as receiver,
        Poster(allow_loopback=False, connections=10, timeout_s=2) as poster,
    ):
        port = receiver.url.split(":")[2].split("/")[0]
        for _ in repeat(None, 4):
            answer = await posted(poster, f"https://rebound.example:{port}/", b"{}")
            assert (answer.status, answer.error) == (None, NO_ANSWER)
    assert receiver.requests == []
    assert receiver.peers == set()
