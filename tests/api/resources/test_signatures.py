"""A drawn signature is a whole picture within bounds on which something is drawn."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from api.photos.copier import SIGNATURE_SIDE_PX
from api.photos.copying import PhotoRequest, copied
from operations.signatures import (
    MAX_SIDE_PIXELS,
    MAX_SIGNATURE_BYTES,
    SignatureError,
    read_signature,
)
from tests.api.photos.pictures import bomb, picture, saved, signature

pytestmark = pytest.mark.about("quotes", "work orders", "inspections")

SIGNED = signature((200, 80))
END = SIGNED[-12:]


def is_taken(content: bytes) -> bool:
    """Return whether a drawing is a signature, as quotes, work orders and inspections decide it."""
    try:
        png = read_signature(base64.b64encode(content).decode())
    except SignatureError:
        return False
    answer = copied(PhotoRequest(png, (SIGNATURE_SIDE_PX,)))
    assert bool(answer.problem) != bool(answer.copies)
    return not answer.problem and not answer.is_blank


@pytest.mark.parametrize(
    "content",
    [
        SIGNED,
        picture("PNG"),
        picture("PNG", (MAX_SIDE_PIXELS, MAX_SIDE_PIXELS)),
        picture("PNG", (2, 2)),
    ],
)
def test_a_drawing_is_taken(content: bytes) -> None:
    assert is_taken(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        END,
        picture("JPEG"),
        picture("PNG", (MAX_SIDE_PIXELS + 1, 2)),
        picture("PNG") + bytes(MAX_SIGNATURE_BYTES) + END,
        bomb(MAX_SIDE_PIXELS, MAX_SIDE_PIXELS),
        saved(Image.new("RGBA", (600, 160)), "PNG"),
        saved(Image.new("RGBA", (600, 160), (255, 255, 255, 255)), "PNG"),
        saved(Image.new("LA", (600, 160), (0, 0)), "PNG"),
        saved(Image.new("1", (600, 160), 1), "PNG"),
        saved(Image.new("L", (1, 1)), "PNG"),
    ],
)
def test_what_is_no_drawing_is_refused(content: bytes) -> None:
    assert not is_taken(content)


def test_a_truncation_is_refused_unless_all_pixels_are_there() -> None:
    shown = copied(PhotoRequest(SIGNED, (SIGNATURE_SIDE_PX,))).copies
    refused = 0
    for length in range(len(SIGNED) - len(END)):
        assert not is_taken(SIGNED[:length]), length
        ended = SIGNED[:length] + END
        if is_taken(ended):
            assert copied(PhotoRequest(ended, (SIGNATURE_SIDE_PX,))).copies == shown, length
        else:
            refused += 1
    assert refused > len(SIGNED) * 0.9


@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(SIGNED) - 1), st.integers(0, 255)), min_size=1, max_size=8
    )
)
def test_a_corrupt_drawing_is_refused_or_shows_something(changes: list[tuple[int, int]]) -> None:
    sent = bytearray(SIGNED)
    for place, value in changes:
        sent[place] = value
    is_taken(bytes(sent))
