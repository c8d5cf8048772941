"""`/v1/ws`: who is let in, who must leave, and what is said of messages that cannot be read."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import connect

from api.auth.access_tokens import Tokens
from api.http.websocket import (
    MOST_FRAGMENTS,
    MOST_MESSAGE_BYTES,
    MOST_UNREAD,
    BoundedWebSocket,
)
from api.limits import gate, last_used
from api.limits.plans import LIVE_CONNECTIONS
from api.live.connection import MESSAGES_AT_ONCE, MOST_BAD_MESSAGES, LiveConnection
from db.core.ids import new_id
from tests.api.live.reading import (
    UNAUTHORIZED,
    emit,
    key_of,
    session_cookie,
    signed_in,
    stalled,
    stranger,
    subscribed,
)
from tests.api.running import CLOCK, Client, Organization, RunningApi
from tests.waiting import until

_SESSION = "org_id = %s AND kind = 'session'"
_LONG_AGO = f"UPDATE sign_ins SET last_used_at = now() - interval '11 hours' WHERE {_SESSION}"
_IS_OLD = f"SELECT last_used_at < now() - interval '1 hour' FROM sign_ins WHERE {_SESSION}"


def socket_url(api: RunningApi) -> str:
    return "ws" + api.url.removeprefix("http") + "/v1/ws"


async def test_a_token_is_answered_with_whose_it_is(api: RunningApi, north: Organization) -> None:
    async with stranger(api.url) as reader:
        answer = await reader.ask("authenticate", id=7, token=north.viewer.token)
        expires_at = datetime.fromisoformat(answer.pop("expires_at"))
        assert timedelta(minutes=59) < expires_at - datetime.now(UTC) <= timedelta(hours=1)
        assert answer.pop("user_id").startswith("usr_")
        assert answer == {
            "op": "authenticated",
            "id": 7,
            "organization_id": north.id,
            "role": "viewer",
        }


async def test_a_token_may_come_as_a_subprotocol(api: RunningApi, north: Organization) -> None:
    offered = ["opsc.v1", f"opsc.bearer.{north.viewer.token}"]
    async with stranger(api.url, subprotocols=offered) as reader:
        assert reader.socket.subprotocol == "opsc.v1"
        assert (await reader.next())["op"] == "authenticated"


async def test_a_token_in_the_url_is_refused(api: RunningApi, north: Organization) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(f"{socket_url(api)}?token={north.viewer.token}", proxy=None):
            pass
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body)["code"] == "unknown_parameter"


@pytest.mark.parametrize("token", ["nonsense", "opsk_nonsense", "a.b.c", ""])
async def test_who_is_not_known_must_leave(api: RunningApi, token: str) -> None:
    async with stranger(api.url) as reader:
        answer = await reader.ask("authenticate", id=3, token=token)
        assert (answer["op"], answer["id"], answer["code"]) == ("error", 3, "unauthorized")
        assert await reader.closed() == UNAUTHORIZED


async def test_without_token_and_cookie_nobody_is_let_in(api: RunningApi) -> None:
    async with stranger(api.url) as reader:
        answer = await reader.ask("authenticate", id=3)
        assert (answer["code"], "first message" in answer["detail"]) == ("unauthorized", True)
        assert await reader.closed() == UNAUTHORIZED


@pytest.mark.usefixtures("impatient")
async def test_who_says_nothing_must_leave(api: RunningApi) -> None:
    async with stranger(api.url) as reader:
        assert await reader.closed() == (4005, {"code": "authentication_timeout"})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"op":"subscribe","id":1,"channel":"events"}', '{"op":"dance"}', "{}"],
)
async def test_the_first_message_must_authenticate(api: RunningApi, text: str) -> None:
    async with stranger(api.url) as reader:
        await reader.socket.send(text)
        assert (await reader.next())["code"] == "bad_message"
        assert await reader.closed() == (4000, {"code": "bad_message"})


async def test_the_dashboard_authenticates_by_its_cookie(
    api: RunningApi, north: Organization
) -> None:
    cookie = await session_cookie(api, north)
    headers = {"Cookie": cookie}
    async with stranger(api.url, origin=api.url, additional_headers=headers) as reader:
        answer = await reader.ask("authenticate")
        assert (answer["op"], answer["expires_at"]) == ("authenticated", None)
    async with stranger(api.url, origin="https://evil.example", additional_headers=headers) as evil:
        assert (await evil.ask("authenticate"))["code"] == "csrf_failed"
        assert await evil.closed() == (4003, {"code": "forbidden"})


async def test_a_session_that_ends_ends_its_connection(
    api: RunningApi, south: Organization
) -> None:
    headers = {"Cookie": await session_cookie(api, south)}
    async with stranger(api.url, origin=api.url, additional_headers=headers) as reader:
        await reader.ask("authenticate")
        api.sql(
            "UPDATE sign_ins SET ended_at = now() WHERE org_id = %s AND kind = 'session'",
            south.org_id,
        )
        assert await reader.closed() == UNAUTHORIZED


async def test_a_map_on_a_wall_stays_signed_in(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_used, "_EVERY_S", 0.0)
    headers = {"Cookie": await session_cookie(api, org)}
    async with stranger(api.url, origin=api.url, additional_headers=headers) as reader:
        assert (await reader.ask("authenticate"))["op"] == "authenticated"
        await until(lambda: not api.sql(_IS_OLD, org.org_id)[0][0])
        api.sql(_LONG_AGO, org.org_id)
        await until(lambda: not api.sql(_IS_OLD, org.org_id)[0][0])


async def test_a_sign_in_that_is_revoked_ends_its_connection(
    api: RunningApi, north: Organization
) -> None:
    (user_id,) = api.sql(
        "SELECT id FROM users WHERE org_id = %s AND role = 'technician'", north.org_id
    )[0]
    grant = api.grant(north.org_id, user_id)
    client = Client(api.url, Tokens(api.settings.secret_keys, 3600).issue(grant))
    async with (
        subscribed(api.url, client) as reader,
        subscribed(api.url, north.technician) as other,
    ):
        (seq,) = emit(api, north)
        assert await reader.seqs(1) == [seq]
        assert await other.seqs(1) == [seq]
        api.sql("UPDATE sign_ins SET ended_at = now() WHERE id = %s", grant.sign_in_id)
        assert await reader.closed() == (4001, {"code": "unauthorized", "seq": seq})
        (seq,) = emit(api, north)
        assert await other.seqs(1) == [seq]


async def test_a_user_who_is_deactivated_is_cut_off(api: RunningApi, north: Organization) -> None:
    user_id = new_id()
    api.sql(
        "INSERT INTO users (org_id, id, email, password_hash, role)"
        " VALUES (%s, %s, 'gone@example.com', '', 'viewer')",
        north.org_id,
        user_id,
    )
    async with signed_in(api.url, api.client(north.org_id, user_id)) as reader:
        api.sql("UPDATE users SET deactivated_at = now() WHERE id = %s", user_id)
        assert await reader.closed() == UNAUTHORIZED


async def test_a_key_that_is_revoked_or_rotated_ends_its_connection(
    api: RunningApi, north: Organization
) -> None:
    revoked, rotated = await key_of(north), await key_of(north)
    async with (
        signed_in(api.url, Client(api.url, revoked["secret"])) as first,
        signed_in(api.url, Client(api.url, rotated["secret"])) as second,
    ):
        await north.admin.send("POST", f"/v1/api-keys/{revoked['id']}/revoke")
        assert await first.closed() == UNAUTHORIZED
        api.sql(
            "UPDATE api_keys SET secret_hash = sha256(uuid_send(id)) WHERE org_id = %s",
            north.org_id,
        )
        assert await second.closed() == UNAUTHORIZED


async def test_a_key_reads_what_its_scopes_allow(api: RunningApi, north: Organization) -> None:
    key = await key_of(north, ["assets:read"])
    async with signed_in(api.url, Client(api.url, key["secret"])) as reader:
        answer = await reader.ask("subscribe", id=1, channel="events")
        assert (answer["id"], answer["code"]) == (1, "scope_missing")
    key = await key_of(north, ["events:read"])
    async with subscribed(api.url, Client(api.url, key["secret"])) as reader:
        (seq,) = emit(api, north)
        assert await reader.seqs(1) == [seq]
        api.sql(
            "UPDATE api_keys SET scopes = '{assets:read}' WHERE org_id = %s AND scopes = %s",
            north.org_id,
            ["events:read"],
        )
        assert await reader.closed() == (4003, {"code": "forbidden", "seq": seq})


async def test_a_plan_without_api_is_for_the_dashboard_alone(api: RunningApi) -> None:
    poor = api.organization("Poor")
    headers = {"Cookie": await session_cookie(api, poor)}
    async with (
        signed_in(api.url, poor.viewer) as program,
        stranger(api.url, origin=api.url, additional_headers=headers) as dashboard,
    ):
        await dashboard.ask("authenticate")
        api.sql("UPDATE organizations SET plan = 'team' WHERE org_id = %s", poor.org_id)
        assert await program.closed() == (4003, {"code": "plan_required"})
        assert (await dashboard.ask("ping", id=1)) == {"op": "pong", "id": 1}
        CLOCK.let_pass(3)  # until the plan is asked for again
        async with stranger(api.url) as again:
            answer = await again.ask("authenticate", token=poor.viewer.token)
            assert answer["code"] == "plan_required"
            assert await again.closed() == (4003, {"code": "plan_required"})


class _InHalfAnHour(datetime):
    """A clock that is fast."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(minutes=30)


async def test_a_token_is_renewed_in_band(
    api: RunningApi, north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.live, "limits", replace(api.live.limits, expiry_notice_s=25 * 60))
    (user_id,) = api.sql(
        "SELECT id FROM users WHERE org_id = %s AND email = 'viewer@example.com'",
        north.org_id,
    )[0]
    grant = api.grant(north.org_id, user_id)
    short = Tokens(api.settings.secret_keys, 20 * 60).issue(grant)
    long = api.client(north.org_id, user_id)
    async with (
        signed_in(api.url, Client(api.url, short)) as renewed,
        signed_in(api.url, Client(api.url, short)) as forgotten,
    ):
        assert (await renewed.next())["op"] == "token_expires"
        answer = await renewed.ask("authenticate", id=2, token=north.dispatcher.token)
        assert (answer["id"], answer["code"]) == (2, "forbidden")
        answer = await renewed.ask("authenticate", id=3, token=long.token)
        assert (answer["op"], answer["id"]) == ("authenticated", 3)
        assert (await renewed.ask("subscribe", id=4, channel="events"))["op"] == "subscribed"
        monkeypatch.setattr("api.live.streams.datetime", _InHalfAnHour)
        code, reason = await forgotten.closed()
        assert (code, reason["code"]) == (4002, "token_expired")
        (seq,) = emit(api, north)
        assert await renewed.seqs(1) == [seq]


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("{", "truncated"),
        ('{"op":"dance","id":5}', "dance"),
        ('{"op":"subscribe","id":5,"channel":"weather"}', "weather"),
        ('{"op":"subscribe","id":5,"channel":"events","typos":[]}', "typos"),
        ('{"op":"subscribe","id":5,"channel":"events","types":["asset.moved"]}', "asset.*"),
        ('{"op":"subscribe","id":5,"channel":"events","types":[]}', "types"),
        ('{"op":"subscribe","id":5,"channel":"events","after":-1}', "after"),
        ('{"op":"subscribe","id":5,"channel":"events","after":4000000000}', "newest event is"),
        ('{"op":"subscribe","id":5,"channel":"events","bbox":[0,0,1,1]}', "bbox"),
        ('{"op":"subscribe","id":5,"channel":"positions","types":["*"]}', "types"),
        ('{"op":"subscribe","id":5,"channel":"positions","bbox":[0,9,1,1]}', "south"),
        ('{"op":"subscribe","id":5,"channel":"positions","bbox":[0,0,181,1]}', "bbox"),
        ('{"op":"subscribe","id":5,"channel":"positions","asset_ids":["zon_1"]}', "ast_"),
        ('{"op":"unsubscribe","id":5}', "no subscription"),
        ('{"op":"ping","id":"five"}', "id"),
        ("[" * 10_000, ""),
    ],
)
async def test_a_bad_message_is_answered_and_the_next_good_one_is_served(
    api: RunningApi, north: Organization, message: str, hint: str
) -> None:
    async with signed_in(api.url, north.viewer) as reader:
        await reader.socket.send(message)
        answer = await reader.next()
        assert (answer["op"], answer["code"]) == ("error", "bad_message"), answer
        assert answer["id"] == (5 if '"id":5' in message else None)
        assert hint in answer["detail"]
        assert await reader.ask("ping", id=6) == {"op": "pong", "id": 6}


async def test_a_client_that_only_sends_bad_messages_must_leave(
    api: RunningApi, north: Organization
) -> None:
    async with signed_in(api.url, north.viewer) as reader:
        for _ in range(MOST_BAD_MESSAGES + 1):
            await reader.socket.send("?")
        assert await reader.closed() == (4000, {"code": "bad_message"})


async def test_too_many_messages_end_the_connection(api: RunningApi, north: Organization) -> None:
    async with signed_in(api.url, north.viewer) as reader:
        for number in range(2 * MESSAGES_AT_ONCE):
            await reader.say("ping", id=number)
        assert await reader.closed() == (4029, {"code": "too_many_messages"})


async def test_a_pong_has_the_place_of_a_reader_of_events(
    api: RunningApi, north: Organization
) -> None:
    async with subscribed(api.url, north.viewer, types=["quote.sent"]) as reader:
        (seq,) = emit(api, north)
        events = (await only_reader(api))._events
        assert events is not None
        await until(lambda: events.seq == seq)
        assert await reader.ask("ping", id=4) == {"op": "pong", "id": 4, "seq": seq}


async def test_what_costs_as_much_as_a_request_counts_as_one(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gate.REQUESTS_PER_MINUTE, "starter", 3)
    org = api.organization("Small")
    api.sql(
        "UPDATE organizations SET plan = 'starter', api_addon = true WHERE org_id = %s", org.org_id
    )
    async with subscribed(api.url, org.viewer) as reader:
        assert (await reader.ask("authenticate", token=org.viewer.token))["op"] == "authenticated"
        for op, fields in (
            ("authenticate", {"token": org.viewer.token}),
            ("subscribe", {"channel": "positions"}),
        ):
            answer = await reader.ask(op, id=2, **fields)
            assert (answer["op"], answer["id"], answer["code"]) == ("error", 2, "rate_limited")
        (seq,) = emit(api, org)
        assert await reader.seqs(1) == [seq]


async def test_bytes_are_no_message(api: RunningApi, north: Organization) -> None:
    async with signed_in(api.url, north.viewer) as reader:
        await reader.socket.send(b'{"op":"ping"}')
        assert await reader.closed() == (1003, {"code": "not_text"})


async def test_fragments_are_put_together_but_not_too_many(
    api: RunningApi, north: Organization
) -> None:
    async with signed_in(api.url, north.viewer) as reader:
        await reader.socket.send(iter(['{"op":', '"ping",', '"id":1}']))
        assert await reader.next() == {"op": "pong", "id": 1}
        await reader.socket.send(" " * 10 for _ in range(MOST_FRAGMENTS + 1))
        code, reason = await reader.closed()
        assert (code, "fragments" in reason) == (1008, True)


async def test_a_message_that_is_too_large_ends_the_connection(
    api: RunningApi, north: Organization
) -> None:
    async with signed_in(api.url, north.viewer) as reader:
        largest = '{"op":"ping"}'.ljust(MOST_MESSAGE_BYTES)
        await reader.socket.send(largest)
        assert (await reader.next())["op"] == "pong"
        await reader.socket.send(largest + " ")
        assert (await reader.closed())[0] == 1009
    async with signed_in(api.url, north.viewer) as reader:
        await reader.socket.send("x" * (MOST_MESSAGE_BYTES // 2) for _ in range(3))
        assert (await reader.closed())[0] == 1009


async def test_a_close_right_behind_what_ends_the_connection_is_a_close(
    api: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [b"\x01\x80", *[b"\0\x80"] * MOST_FRAGMENTS, b"\x80\x80", b"\x88\x80"]
    async with stranger(api.url) as reader:
        reader.socket.transport.write(b"".join([frame + bytes(4) for frame in frames]))
        assert (await reader.closed())[0] == 1005
    assert caplog.messages == []


async def test_what_breaks_the_protocol_ends_the_connection(
    api: RunningApi, north: Organization, caplog: pytest.LogCaptureFixture
) -> None:
    for frame, code in (
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),  # not UTF-8
        (b"\x81\x02hi", 1002),  # not masked
        (b"\xc1\x82\0\0\0\0hi", 1002),  # compressed, which was not agreed
    ):
        async with signed_in(api.url, north.viewer) as reader:
            reader.socket.transport.write(frame)
            assert (await reader.closed())[0] == code
    assert caplog.messages == []  # no error of ours


async def test_nothing_is_compressed(api: RunningApi) -> None:
    async with stranger(api.url, compression="deflate") as reader:
        assert reader.socket.response is not None
        assert "Sec-WebSocket-Extensions" not in reader.socket.response.headers


async def test_subscriptions_have_a_number_and_an_id_each(
    api: RunningApi, north: Organization
) -> None:
    async with signed_in(api.url, north.viewer) as reader:
        assert (await reader.ask("subscribe", id=1, channel="events"))["op"] == "subscribed"
        assert (await reader.ask("subscribe", id=1, channel="events"))["code"] == "bad_message"
        assert (await reader.ask("subscribe", id=2, channel="events"))[
            "code"
        ] == "already_subscribed"
        assert await reader.ask("unsubscribe", id=1) == {"op": "unsubscribed", "id": 1}
        (seq,) = emit(api, north)
        answer = await reader.ask("subscribe", id=2, channel="events")
        assert answer == {"op": "subscribed", "id": 2, "channel": "events", "after": seq}
        assert (await reader.ask("unsubscribe", id=1))["code"] == "bad_message"


async def test_an_organization_has_a_number_of_connections(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    CLOCK.let_pass(3)
    api.sql(
        "UPDATE organizations SET plan = 'starter', api_addon = true WHERE org_id = %s",
        south.org_id,
    )
    try:
        async with AsyncExitStack() as opened:
            for _ in range(LIVE_CONNECTIONS["starter"]):
                last = await opened.enter_async_context(signed_in(api.url, south.viewer))
            async with stranger(api.url) as beyond:
                answer = await beyond.ask("authenticate", token=south.viewer.token)
                assert answer["code"] == "too_many_connections"
                assert await beyond.closed() == (4009, {"code": "too_many_connections"})
            async with signed_in(api.url, north.viewer):
                pass
            await last.socket.close()
            async with signed_in(api.url, south.viewer):
                pass
    finally:
        api.sql("UPDATE organizations SET plan = 'unlimited' WHERE org_id = %s", south.org_id)


async def only_reader(api: RunningApi) -> LiveConnection:
    """Return the server's side of the connection that reads events, once no other one does."""
    await until(lambda: sum(bool(each.scopes) for each in api.live.streams.all()) == 1)
    (reader,) = [each for each in api.live.streams.all() if each.scopes]
    assert isinstance(reader, LiveConnection)
    return reader


def begin_to_ping(connection: LiveConnection) -> None:
    """Send pings often from now on, with no longer for the pong."""
    socket = connection._socket

    def begin() -> None:
        socket.stop_keepalive()
        socket.ping_interval = socket.ping_timeout = 0.1
        socket.start_keepalive()

    socket.loop.call_soon_threadsafe(begin)


async def test_who_answers_no_ping_must_leave(api: RunningApi, north: Organization) -> None:
    async with subscribed(api.url, north.viewer, ping_interval=None) as reader:
        reader.socket.transport.pause_reading()
        begin_to_ping(await only_reader(api))
        await until(lambda: api.live.events.subscriptions == 0)
        reader.socket.transport.resume_reading()
        assert await reader.closed() == (1011, "keepalive ping timeout")


async def test_who_takes_nothing_and_answers_no_ping_is_told_where_to_go_on(
    api: RunningApi, north: Organization
) -> None:
    async with AsyncExitStack() as opened:
        reader = await stalled(api, opened, north)
        seqs = emit(api, north, 1_000, text="x" * 2_000)
        connection = await only_reader(api)
        await until(lambda: connection.unsent_bytes > 0)
        begin_to_ping(connection)
        await until(lambda: api.live.events.subscriptions == 0)
        reader.socket.transport.resume_reading()
        read: list[int] = []
        with suppress(websockets.ConnectionClosed):
            while True:
                read += await reader.seqs(1)
        assert await reader.closed() == (4008, {"code": "too_slow", "seq": read[-1]})
    assert read == seqs[: len(read)]
    assert len(read) < len(seqs)


async def test_a_packet_of_thousands_of_messages_is_not_kept(
    api: RunningApi, north: Organization
) -> None:
    queues: set[asyncio.Queue[Any]] = set()

    def note_queues() -> None:
        connections = tuple(api._server.server_state.connections)
        queues.update(c.queue for c in connections if isinstance(c, BoundedWebSocket))

    many = b"\x81\x80\0\0\0\0" * 10_000  # texts of no bytes
    async with stranger(api.url) as reader:
        note_queues()
        reader.socket.transport.write(many)
        assert await reader.closed() == (4029, {"code": "too_many_messages"})
    async with signed_in(api.url, north.viewer) as reader:
        note_queues()
        reader.socket.transport.write(many)
        assert await reader.closed() == (4029, {"code": "too_many_messages"})
    assert len(queues) >= 2
    assert all(queue.qsize() <= MOST_UNREAD + 2 for queue in queues)  # and its end
    assert MOST_UNREAD > MESSAGES_AT_ONCE  # so a client that may send them is not sent away
