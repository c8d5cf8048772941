"""Secrets encrypted at rest."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.core.secrets import (
    SECRET_KEY_FORM,
    SecretBox,
    SecretKeyError,
    UnsealError,
    derived_key,
    new_secret_key,
    read_secret_keys,
)

KEY = bytes(range(32))
OWNER = bytes(16)


@given(plain=st.binary(max_size=200), owner=st.binary(min_size=16, max_size=16))
def test_what_is_sealed_opens_for_its_owner(plain, owner):
    box = SecretBox((KEY,))
    assert box.open(box.seal(plain, owner), owner) == plain


def test_sealing_twice_gives_other_bytes():
    box = SecretBox((KEY,))
    assert box.seal(b"secret", OWNER) != box.seal(b"secret", OWNER)


def test_it_opens_for_no_other_owner():
    box = SecretBox((KEY,))
    with pytest.raises(UnsealError):
        box.open(box.seal(b"secret", OWNER), b"\x01" * 16)


def test_it_opens_with_no_other_key():
    with pytest.raises(UnsealError):
        SecretBox((b"\x01" * 32,)).open(SecretBox((KEY,)).seal(b"secret", OWNER), OWNER)


def test_any_damage_is_noticed():
    sealed = SecretBox((KEY,)).seal(b"secret", OWNER)
    box = SecretBox((KEY,))
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(UnsealError):
            box.open(bytes(damaged), OWNER)
    for length in range(len(sealed)):
        with pytest.raises(UnsealError):
            box.open(sealed[:length], OWNER)


def test_a_secret_key_is_read_with_and_without_padding():
    padded = base64.urlsafe_b64encode(KEY).decode()
    assert read_secret_keys(padded) == read_secret_keys(padded.rstrip("=") + "\n") == (KEY,)


@pytest.mark.parametrize("text", ["", "short", "A" * 42, "A" * 45, "ä" * 43, "A" * 42 + "!"])
def test_other_texts_are_no_secret_key(text):
    with pytest.raises(SecretKeyError):
        read_secret_keys(text)


def test_two_purposes_have_two_keys():
    assert derived_key(KEY, b"one") != derived_key(KEY, b"two")


OTHER, THIRD = b"\x01" * 32, b"\x02" * 32
RINGS = [(KEY,), (OTHER,), (KEY, OTHER), (OTHER, KEY), (OTHER, THIRD, KEY)]


@pytest.mark.parametrize("then", RINGS)
@pytest.mark.parametrize("now", RINGS)
def test_what_was_sealed_opens_where_its_key_is_in_the_ring(then, now):
    sealed = SecretBox(then).seal(b"secret", OWNER)
    box = SecretBox(now)
    if then[0] not in now:
        for refused in (box.open, box.sealed_anew):
            with pytest.raises(UnsealError):
                refused(sealed, OWNER)
        return
    assert box.open(sealed, OWNER) == b"secret"
    anew = box.sealed_anew(sealed, OWNER)
    assert (anew is None) == (then[0] == now[0])
    # Under the first key alone it opens then, for its owner only.
    first = SecretBox(now[:1])
    assert first.open(anew or sealed, OWNER) == b"secret"
    with pytest.raises(UnsealError):
        first.open(anew or sealed, b"\x01" * 16)


def test_one_key_seals_as_ever():
    """Bytes that were sealed before there were rings."""
    sealed = base64.b64decode("AQABAgMEBQYHCAkKC4UvMCsTT2Tb+HZWZ0yZ39lFJ5Z3jn8=")
    assert SecretBox((KEY,)).open(sealed, OWNER) == b"secret"


def test_a_ring_is_read_key_by_key():
    texts = [new_secret_key() for _ in range(4)]
    assert read_secret_keys(", ".join(texts)) == tuple(
        base64.urlsafe_b64decode(text) for text in texts
    )


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (["a", ""], f"key 2 of the 2 of OPSC_SECRET_KEY must be {SECRET_KEY_FORM}"),
        (["", "a"], f"key 1 of the 2 of OPSC_SECRET_KEY must be {SECRET_KEY_FORM}"),
        (["a", "Sw0rdfish", "b"], f"key 2 of the 3 of OPSC_SECRET_KEY must be {SECRET_KEY_FORM}"),
        (["a", "b", "a"], "the keys 1 and 3 of OPSC_SECRET_KEY are the same: leave one out"),
        (["a", "b", "c", "d", "e"], "OPSC_SECRET_KEY has 5 keys; it may have 4: leave out those"),
        (["Sw0rdfish"], f"the secret key must be {SECRET_KEY_FORM}"),
    ],
)
def test_a_ring_that_is_none_is_told_without_its_keys(places, says):
    made = {name: new_secret_key() for name in "abcde"}
    with pytest.raises(SecretKeyError) as error:
        read_secret_keys(",".join(made.get(place, place) for place in places))
    assert str(error.value).startswith(says)
    assert not any(key in str(error.value) for key in (*made.values(), "Sw0rdfish"))


def test_the_same_key_in_another_form_is_the_same():
    key = new_secret_key()
    with pytest.raises(SecretKeyError, match=r"keys 1 and 2 .* are the same"):
        read_secret_keys(f"{key},{key.rstrip('=')}")
