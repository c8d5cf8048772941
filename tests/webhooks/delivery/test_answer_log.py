"""What the log keeps of an answer: the beginning, and no secret."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.delivery.answer_log import (
    BODY_BYTES_READ,
    BODY_CHARACTERS,
    HEADERS_MAX,
    logged_answer,
    url_secrets,
)

SECRET = 'tok_"9\\f3a-of-the-receiver'


def test_an_answer_without_secrets_is_kept_as_it_is():
    logged = logged_answer([("Content-Type", "text/plain")], "zu spät\n".encode(), (SECRET,))
    assert (logged.headers, logged.body) == ('{"Content-Type": "text/plain"}', "zu spät\n")


@pytest.mark.parametrize(
    "name",
    ["Set-Cookie", "Authorization", "X-Api-Key", "WWW-Authenticate", "x-csrf", "Session-Id"],
)
def test_a_header_whose_name_tells_of_a_secret_has_no_value(name):
    assert json.loads(logged_answer([(name, "abc")], b"", ()).headers or "") == {name: "***"}


def test_a_header_whose_name_is_too_long_has_no_value():
    logged = logged_answer([("x" * 100, "abc")], b"", ())
    assert json.loads(logged.headers or "") == {"x" * 64: "***"}


@pytest.mark.parametrize(
    "text",
    [
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "opsk_abcdefgh_12345",
        "Bearer abc.def-ghi",
        "basic dXNlcjpwYXNz",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        SECRET,
        json.dumps(SECRET)[1:-1],
    ],
)
def test_what_is_a_secret_is_masked_wherever_it_stands(text):
    logged = logged_answer([("X-Echo", f"got {text}")], f"<b>{text}</b>".encode(), (SECRET,))
    assert logged.body == f"<b>{'*' * len(text)}</b>"
    assert json.loads(logged.headers or "") == {"X-Echo": "got " + "*" * len(text)}


@pytest.mark.parametrize(
    ("header", "echoed"),
    [
        ("Bearer 9f8e7d6c5b4a", "9f8e7d6c5b4a"),
        ("Token  token=9f8e7d6c5b4a", "9f8e7d6c5b4a"),
        ('Digest username="anna-k", response="6629fae49393a053"', "6629fae49393a053"),
        ("Basic YW5uYTpwYXNzOndvcmQ=", "YW5uYTpwYXNzOndvcmQ="),
        ("basic YW5uYTpwYXNzOndvcmQ=", "anna"),
        ("Basic YW5uYTpwYXNzOndvcmQ=", "pass:word"),
        ("Basic YW5uYTpwYXNzOndvcmQ=", "anna:pass:word"),
    ],
)
def test_a_part_of_a_secret_is_masked_too(header, echoed):
    logged = logged_answer([("X-Echo", f"no {echoed}")], f"invalid {echoed}!".encode(), (header,))
    assert logged.body == f"invalid {'*' * len(echoed)}!"
    assert json.loads(logged.headers or "") == {"X-Echo": "no " + "*" * len(echoed)}


@pytest.mark.parametrize("header", ["Basic", "Basic ?", "Basic é", "Basic YW5uYQ=", "Basic :", ""])
def test_what_is_no_credential_masks_nothing_else(header):
    assert logged_answer([], b"invalid user", (header,)).body == "invalid user"


@pytest.mark.parametrize(
    "echoed",
    [
        "/services/T0AB12/x%C3%A9-9f8e7d6c5b4a",
        "/services/T0AB12/xé-9f8e7d6c5b4a",
        "x%C3%A9-9f8e7d6c5b4a",
        "/services/T0AB12/x%C3%A9-9f8e7d6c5b4a?code=AbC%2FdEf123&n=1",
        "AbC%2FdEf123",
        "AbC/dEf123",
    ],
)
def test_a_part_of_the_url_that_may_be_a_secret_is_masked(echoed):
    url = "https://hooks.example.com/services/T0AB12/x%C3%A9-9f8e7d6c5b4a?code=AbC%2FdEf123&n=1"
    location = [("Location", f"<{echoed}>"), ("Content-Type", "text/plain")]
    logged = logged_answer(location, f"no {echoed}!".encode(), url_secrets(url))
    assert logged.body == f"no {'*' * len(echoed)}!"
    assert json.loads(logged.headers or "") == {
        "Location": f"<{'*' * len(echoed)}>",
        "Content-Type": "text/plain",
    }


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example/json?x=plain"])
def test_short_words_of_a_url_mask_nothing(url):
    logged = logged_answer([("Content-Type", "text/plain")], b'{"json": "plain"}', url_secrets(url))
    assert (logged.headers, logged.body) == ('{"Content-Type": "text/plain"}', '{"json": "plain"}')


def test_a_receiver_that_writes_what_nearly_is_a_credential_costs_no_time():
    nearly = "eyJ" * 40_000
    began_s = time.process_time()
    for text in (nearly, "whsec_" * 10_000, "bearer" + " " * 60_000):
        logged_answer([(f"x-{number}", text) for number in range(20)], text.encode(), (SECRET,))
    assert time.process_time() - began_s < 0.5


def test_nothing_is_shown_where_there_is_too_much_to_mask():
    many = url_secrets("https://a.example/" + "/".join(f"a{number:07}" for number in range(200)))
    logged = logged_answer([("x-one", "1"), ("x-two", "2")], b"well", many)
    assert set(json.loads(logged.headers or "").values()) == {"***"}
    assert logged.body == "***"
    assert logged_answer([], b"", many).body == ""


@given(before=st.integers(0, 1_100), more=st.integers(0, 3))
def test_no_part_of_a_secret_comes_into_what_is_kept(before, more):
    body = (SECRET * more + "x" * before + SECRET).encode()
    kept = logged_answer([], body, (SECRET,)).body or ""
    assert set(kept) <= {"x", "*"}
    assert len(kept) == min(len(body), BODY_CHARACTERS)


@given(
    headers=st.lists(
        st.tuples(st.text(max_size=100), st.text(max_size=300) | st.just('"' * 300)), max_size=30
    ),
    body=st.binary(max_size=2 * BODY_BYTES_READ),
)
def test_everything_is_bounded_and_can_be_stored(headers, body):
    logged = logged_answer(headers, body, ())
    kept = json.loads(logged.headers or "")
    assert len(kept) <= HEADERS_MAX
    assert len(logged.headers or "") <= 12_000  # as the table has it
    assert len(logged.body or "") <= BODY_CHARACTERS
    assert "\x00" not in (logged.body or "") + (logged.headers or "")
