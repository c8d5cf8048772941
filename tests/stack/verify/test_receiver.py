"""A receiver takes webhooks at once and checks them afterwards."""

import base64
import hashlib
import hmac
import time

import aiohttp
import pytest

from stack.verify.webhook_receiver import Received, WebhookReceiver

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def signed(webhook_id: str, body: bytes) -> dict[str, str]:
    moment = str(int(time.time()))
    digest = hmac.digest(KEY, f"{webhook_id}.{moment}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": moment,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


async def test_what_is_posted_is_received_and_checked() -> None:
    async with WebhookReceiver() as receiver, aiohttp.ClientSession() as http:
        receiver.expect(SECRET)
        for number in range(120):
            body = b'{"n": %d}' % number
            async with http.post(
                receiver.url, data=body, headers=signed(f"evt_{number}", body)
            ) as response:
                assert response.status == 204
        async with http.post(receiver.url, data=b"{}", headers=signed("evt_7", b"[]")) as response:
            assert response.status == 204
        await receiver.checked()
        assert len(receiver.ids) == 120
        assert [one.webhook_id for one in receiver.received if one.signature_problem] == ["evt_7"]
        assert receiver.received[5]._replace(received_us=0) == Received("evt_5", b'{"n": 5}', None)


async def test_requests_wait_for_the_secret() -> None:
    seen: list[Received] = []
    async with (
        WebhookReceiver(seen.append, keep=False) as receiver,
        aiohttp.ClientSession() as http,
    ):
        await http.post(receiver.url, data=b"{}", headers=signed("evt_1", b"{}"))
        assert seen == []
        receiver.expect(SECRET)
        await receiver.checked()
        assert [one.signature_problem for one in seen] == [None]
        assert receiver.received == []


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with WebhookReceiver() as receiver, aiohttp.ClientSession() as http:
        async with http.post(receiver.url, data=bytes(1024 * 1024 + 1)) as response:
            assert response.status == 413
        async with http.post(receiver.url, data=b"{}") as response:
            assert response.status == 204


async def test_a_request_without_signature_is_a_problem_not_an_error() -> None:
    async with WebhookReceiver() as receiver, aiohttp.ClientSession() as http:
        receiver.expect(SECRET)
        await http.post(receiver.url, data=b"{}")
        await receiver.checked()
        assert receiver.received[0].signature_problem is not None


async def test_what_a_sender_does_not_wait_for_is_not_received() -> None:
    async with WebhookReceiver(delay_s=0.2) as receiver, aiohttp.ClientSession() as http:
        receiver.expect(SECRET)
        given_up = aiohttp.ClientTimeout(total=0.1)
        with pytest.raises(TimeoutError):
            await http.post(
                receiver.url, data=b"{}", headers=signed("evt_1", b"{}"), timeout=given_up
            )
        await http.post(receiver.url, data=b"{}", headers=signed("evt_2", b"{}"))
        await receiver.checked()
        assert receiver.ids == {"evt_2"}
