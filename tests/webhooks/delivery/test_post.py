"""One attempt, against receivers that behave and others that do not."""

import asyncio
import socket

import pytest

from tests.webhooks import receivers
from tests.webhooks.world import posted
from webhooks.delivery.addresses import AddressRefused, CheckedResolver
from webhooks.delivery.post import NO_ANSWER, Poster

BODY = b'{"id":"evt_1"}'


@pytest.fixture
async def poster():
    async with Poster(allow_loopback=True, connections=10, timeout_s=1) as poster:
        yield poster


async def test_body_and_headers_arrive_as_they_are(poster):
    async with receivers.well_behaved() as receiver:
        answer = await posted(poster, receiver.url, BODY, headers=b"webhook-id: evt_1\r\n")
    assert answer.accepted
    assert receiver.requests[0].body == BODY
    assert receiver.requests[0].headers["webhook-id"] == "evt_1"
    assert receiver.requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [400, 410, 500, 503])
async def test_a_status_is_the_answer(poster, status):
    async with receivers.well_behaved(statuses=[status]) as receiver:
        answer = await posted(poster, receiver.url, BODY)
    assert (answer.status, answer.accepted) == (status, False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(poster, status):
    async with receivers.well_behaved(statuses=[status]) as receiver:
        answer = await posted(poster, receiver.url, BODY)
        assert (answer.status, answer.accepted) == (status, False)
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_to_what_a_cloud_tells_its_machines_is_not_followed(poster, status):
    metadata = "http://169.254.169.254/latest/meta-data/"
    async with (
        receivers.well_behaved() as inside,
        receivers.well_behaved(statuses=[status, status]) as receiver,
    ):
        for receiver.location in (metadata, inside.url):
            answer = await posted(poster, receiver.url, BODY)
            assert (answer.status, answer.body) == (status, b"")
        assert len(receiver.requests) == 2
        assert inside.requests == []


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [
        (receivers.hangs, "no answer within 1 s"),
        (receivers.resets, "no HTTP answer: the connection|reset"),
        (receivers.talks_nonsense, "no HTTP answer: Expected HTTP"),
        (receivers.sends_headers_without_end, "no HTTP answer: the head of the answer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_only_our_own_log_says_why_there_was_no_answer(poster, behaviour, detail):
    async with receivers.raw(behaviour) as url:
        answer = await posted(poster, url, BODY)
    assert (answer.status, answer.error, answer.headers, answer.body) == (None, NO_ANSWER, (), b"")
    assert any(part in answer.detail for part in detail.split("|")), answer.detail
    assert answer.detail.isprintable()


@pytest.mark.parametrize(
    "behaviour", [receivers.accepts_without_end, receivers.accepts_drop_by_drop]
)
async def test_the_status_counts_and_an_endless_body_is_cut_off(poster, behaviour):
    async with receivers.raw(behaviour) as url:
        answer = await asyncio.wait_for(posted(poster, url, BODY), timeout=10)
    assert answer.accepted


async def test_nobody_listens(poster):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    answer = await posted(poster, f"http://127.0.0.1:{port}/", BODY)
    assert answer.error == NO_ANSWER
    assert answer.detail.startswith("no connection: ")


async def test_a_connection_is_used_again(poster):
    async with receivers.well_behaved() as receiver:
        for _ in range(50):
            await posted(poster, receiver.url, BODY)
    assert len(receiver.peers) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "http://2130706433:{port}/",
        "https://example.com:{port}@127.0.0.1/",
        "not a url",
        "",
        "https://" + "a" * 300 + ".example/",
    ],
)
async def test_without_the_flag_nothing_of_ours_is_reached(url):
    async with (
        receivers.well_behaved() as receiver,
        Poster(allow_loopback=False, connections=10, timeout_s=2) as poster,
    ):
        port = receiver.url.split(":")[2].split("/")[0]
        answer = await posted(poster, url.format(port=port), BODY)
    assert answer.status is None
    assert receiver.requests == []


async def test_a_name_that_leads_to_a_private_address_is_refused():
    resolver = CheckedResolver(allow_loopback=False)
    with pytest.raises(AddressRefused):
        await resolver.resolve("localhost", 443)
    resolver.close()


async def test_with_the_flag_a_name_may_lead_to_loopback():
    resolver = CheckedResolver(allow_loopback=True)
    found = await resolver.resolve("localhost", 443)
    resolver.close()
    assert {info[4][0] for info in found} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "nowhere.invalid"])
async def test_a_name_that_leads_nowhere_is_an_error_of_the_network(host):
    resolver = CheckedResolver(allow_loopback=False)
    with pytest.raises(OSError):
        await resolver.resolve(host, 443)
    resolver.close()
