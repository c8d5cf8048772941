"""Secrets encrypted at rest."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.core.secrets import SecretBox, SecretKeyError, UnsealError, derived_key, read_secret_keys

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
