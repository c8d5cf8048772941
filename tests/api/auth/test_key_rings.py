"""Signatures of one ring of secret keys under another: tokens, cursors and CSRF tokens."""

import jwt
import pytest
from starlette.requests import Request

from api.auth.access_tokens import Grant, TokenError, Tokens
from api.auth.session_cookie import Cookies
from api.http.cursors import CursorPosition, Cursors
from api.http.problems import Problem
from db.core.ids import new_id
from db.core.secrets import SecretKeys

OLD, NEW, THIRD = (bytes([number]) * 32 for number in range(3))
RINGS = [(OLD,), (NEW,), (OLD, NEW), (NEW, OLD), (NEW, THIRD, OLD)]
SCOPE = b"scope"
POSITION = CursorPosition((1,), 10, 20, total_is_estimate=False)

every_pair = pytest.mark.parametrize(
    ("then", "now"), [(then, now) for then in RINGS for now in RINGS]
)


@every_pair
def test_a_token_is_good_where_its_key_is_in_the_ring(then: SecretKeys, now: SecretKeys) -> None:
    grant = Grant(new_id(), new_id(), new_id())
    token = Tokens(then, 60).issue(grant)
    if then[0] in now:
        assert Tokens(now, 60).verify(token) == grant
    else:
        with pytest.raises(TokenError):
            Tokens(now, 60).verify(token)


def test_one_key_names_its_tokens_as_ever() -> None:
    token = Tokens((OLD,), 60, lambda: 1_800_000_000).issue(Grant(new_id(), new_id(), new_id()))
    assert jwt.get_unverified_header(token)["kid"] == "ed25519-694"


# Of two rings with the same first key, or one after the other in the steps of a rotation.
@pytest.mark.parametrize(
    ("then", "now"),
    [
        ((OLD,), (OLD,)),
        ((OLD,), (OLD, NEW)),
        ((OLD, NEW), (OLD, NEW)),
        ((OLD, NEW), (NEW, OLD)),
        ((NEW, OLD), (NEW, OLD)),
        ((NEW, OLD), (NEW,)),
    ],
)
def test_the_public_keys_verify_the_tokens_of_the_step_before(
    then: SecretKeys, now: SecretKeys
) -> None:
    token = Tokens(then, 60).issue(Grant(new_id(), new_id(), new_id()))
    keys = Tokens(now, 60).key_set()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys) == 3 + 3 * len(now)
    kid = jwt.get_unverified_header(token)["kid"]
    (found,) = [key for key in keys if key["kid"] == kid]
    options = {"verify_aud": False, "verify_iss": False}
    assert jwt.decode(token, jwt.PyJWK(found).key, algorithms=["EdDSA"], options=options)


@every_pair
def test_a_cursor_is_good_where_its_key_is_in_the_ring(then: SecretKeys, now: SecretKeys) -> None:
    text = Cursors(then).write(POSITION, SCOPE)
    if then[0] in now:
        assert Cursors(now).read(text, SCOPE, tuple[int]) == POSITION
    else:
        with pytest.raises(Problem):
            Cursors(now).read(text, SCOPE, tuple[int])


@every_pair
def test_a_csrf_token_is_good_where_its_key_is_in_the_ring(
    then: SecretKeys, now: SecretKeys
) -> None:
    given = Cookies(then, is_secure=True).csrf_token("session")
    request = Request(
        {"type": "http", "method": "POST", "headers": [(b"x-csrf-token", given.encode())]}
    )
    cookies = Cookies(now, is_secure=True)
    if then[0] in now:
        cookies.check(request, "session")
    else:
        with pytest.raises(Problem):
            cookies.check(request, "session")
