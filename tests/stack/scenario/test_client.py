"""The client reads through outages and repeats a write only where it cannot have been done."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from stack.scenario.api_client import ApiClient, ApiError

Handler = Callable[[web.Request], web.Response]


class Script:
    """Answers one after the other; the last stays."""

    def __init__(self, *answers: Handler) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        token = request.headers.get("Authorization", "")
        self.requests.append((request.method, request.path_qs, token))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(request)  # pyright: ignore[reportArgumentType]


def status(code: int) -> Handler:
    return lambda _request: web.json_response({"title": "no"}, status=code)


def hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def good(**content: object) -> Handler:
    return lambda _request: web.json_response(content)


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(script))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_read_goes_on_through_an_outage() -> None:
    script = Script(hang_up, status(503), status(500), status(429), good(total=7))
    async with serving(script) as url, ApiClient(url) as client:
        assert await client.total("/v1/events", {"after": 0}) == 7
    assert {request[1] for request in script.requests} == {"/v1/events?after=0&limit=1"}
    assert len(script.requests) == 5


async def test_patience_ends() -> None:
    async with ApiClient("http://127.0.0.1:9", patience_s=0.3) as client:
        with pytest.raises(ApiError, match="no answer"):
            await client.get("/v1/events")


@pytest.mark.parametrize("answer", [hang_up, status(500)])
async def test_a_write_that_may_have_been_done_is_not_repeated(answer: Handler) -> None:
    script = Script(answer, good(id="x"))
    async with serving(script) as url, ApiClient(url) as client:
        with pytest.raises(ApiError):
            await client.post("/v1/assets", {"name": "x"})
    assert len(script.requests) == 1


async def test_a_write_that_was_refused_for_now_is_repeated() -> None:
    script = Script(status(503), status(429), good(id="x"))
    async with serving(script) as url, ApiClient(url) as client:
        assert await client.post("/v1/assets", {"name": "x"}) == {"id": "x"}


@pytest.mark.parametrize("code", [400, 401, 404, 422])
async def test_a_refusal_is_told_with_its_status(code: int) -> None:
    script = Script(status(code))
    async with serving(script) as url, ApiClient(url) as client:
        with pytest.raises(ApiError) as refused:
            await client.get("/v1/assets")
    assert refused.value.status == code
    assert len(script.requests) == 1


async def test_a_token_that_has_run_out_is_renewed() -> None:
    script = Script(good(access_token="old"), status(401), good(access_token="new"), good(total=1))
    async with serving(script) as url, ApiClient(url) as client:
        await client.sign_in("org_1", "a@b.example", "secret")
        assert await client.total("/v1/events") == 1
    assert [request[2] for request in script.requests] == ["", "Bearer old", "", "Bearer new"]


async def test_a_wrong_password_is_tried_once() -> None:
    script = Script(status(401))
    async with serving(script) as url, ApiClient(url) as client:
        with pytest.raises(ApiError):
            await client.sign_in("org_1", "a@b.example", "wrong")
    assert len(script.requests) == 1


async def test_a_walk_follows_the_cursor_to_the_end() -> None:
    script = Script(
        good(data=[{"id": 1}, {"id": 2}], total=3, next_cursor="c2"),
        hang_up,
        good(data=[{"id": 3}], total=3, next_cursor=None),
    )
    async with serving(script) as url, ApiClient(url) as client:
        pages = [[bytes(raw) for raw in page] async for page in client.walk("/v1/visits")]
    assert [len(page) for page in pages] == [2, 1]
    assert script.requests[-1][1] == "/v1/visits?limit=1000&cursor=c2"


async def test_an_answer_that_is_no_json_is_an_error_with_its_place() -> None:
    script = Script(lambda _request: web.Response(text="<html>"))
    async with serving(script) as url, ApiClient(url) as client:
        with pytest.raises(ApiError, match="GET /v1/assets"):
            await client.get("/v1/assets")
