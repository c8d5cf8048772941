"""Webhooks are checked by an independent package, or by our own code: both say the same."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

import pytest

from stack.verify.webhook_receiver import own_check, signature_check

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def signed(body: bytes, *, at: float, secret: str = SECRET) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    moment = str(int(at))
    digest = hmac.digest(key, f"evt_1.{moment}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": "evt_1", "webhook-timestamp": moment, "webhook-signature": signature}


@pytest.mark.parametrize("check", [own_check(SECRET), signature_check(SECRET)[0]])
def test_both_checks_agree(check: Callable[[dict[str, str], bytes], str | None]) -> None:
    now, body = time.time(), '{"name": "Höhe"}'.encode()
    good = signed(body, at=now)
    other = "whsec_" + base64.b64encode(b"another").decode()
    assert check(good, body) is None
    assert (
        check({**good, "webhook-signature": "v1,AAAA " + good["webhook-signature"]}, body) is None
    )
    assert check(good, body + b" ") is not None
    assert check(signed(body, at=now, secret=other), body) is not None
    assert check(signed(body, at=now - 600), body) is not None
    assert check({**good, "webhook-id": "evt_2"}, body) is not None
    assert check({**good, "webhook-timestamp": "soon"}, body) is not None
    assert check({**good, "webhook-signature": ""}, body) is not None
    assert check({**good, "webhook-signature": "v1"}, body) is not None
    assert check({**good, "webhook-id": ""}, body) is not None


def test_the_independent_check_is_used_where_it_is_installed() -> None:
    pytest.importorskip("standardwebhooks")
    assert signature_check(SECRET)[1] == "package standardwebhooks"
