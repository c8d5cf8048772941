"""Signatures, checked by the independent package `standardwebhooks`."""

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from webhooks.delivery.signing import SecretFormatError, signed_headers, signing_key

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def _signed(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    lines = signed_headers([key], message_id, timestamp_s, body).decode().split("\r\n")
    assert lines.pop() == ""
    return dict(line.split(": ") for line in lines)


@given(payload=st.dictionaries(st.text(), st.text()))
def test_the_independent_package_verifies(payload):
    body = json.dumps(payload).encode()
    headers = _signed(signing_key(SECRET), "evt_1", int(time.time()), body)
    assert Webhook(SECRET).verify(body.decode(), headers) == payload


def test_the_example_of_the_specification():
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = _signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("change", ["id", "timestamp", "body", "secret"])
def test_another_id_timestamp_body_or_secret_does_not_verify(change):
    now_s = int(time.time())
    headers = _signed(signing_key(SECRET), "evt_1", now_s, b"{}")
    if change == "id":
        headers["webhook-id"] = "evt_2"
    if change == "timestamp":
        headers["webhook-timestamp"] = str(now_s + 1)
    secret = "whsec_" + "A" * 32 if change == "secret" else SECRET
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify("[]" if change == "body" else "{}", headers)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!", "MfKQ9r8G", "whsec_MfKQ9r8", "whsec_ä"])
def test_other_texts_are_no_secret_and_are_not_shown(text):
    with pytest.raises(SecretFormatError) as caught:
        signing_key(text)
    assert text == "" or text not in str(caught.value) or text == "whsec_"
