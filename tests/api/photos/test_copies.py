"""Copies of photos: upright, within bounds, and nothing of the file but its pixels."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from api.limits.turns import MOST_OF_EACH, TooManyOfOne
from api.photos.copier import PhotoCopier, PhotoError
from api.photos.copying import (
    FULL_SIDE_PX,
    MAX_PIXELS,
    SMALL_BYTES,
    THUMB_SIDE_PX,
    PhotoAnswer,
    PhotoRequest,
    copied,
)
from tests.api.photos.pictures import bomb, opened, photo, picture, saved

NORTH, SOUTH = UUID(int=1), UUID(int=2)
SIDES = (FULL_SIDE_PX, THUMB_SIDE_PX)
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")


def answered(content: bytes, *sides_px: int) -> PhotoAnswer:
    return copied(PhotoRequest(content, sides_px or SIDES))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_upright_however_it_was_held(orientation: int, kind: str) -> None:
    upright = opened(picture("PNG", (60, 40)))
    held = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    sent = saved(upright if held is None else upright.transpose(held), kind, exif=exif)
    full, _ = answered(sent).copies
    shown = opened(full.content)
    if kind == "PNG":
        assert shown.tobytes() == upright.tobytes()
    for place in ((5, 5), (50, 5), (5, 35), (50, 35)):
        assert _red_and_blue(shown, place) == _red_and_blue(upright, place)


@pytest.mark.parametrize(
    ("mode", "kind", "media_type"),
    [
        ("L", "JPEG", "image/jpeg"),
        ("CMYK", "JPEG", "image/jpeg"),
        ("1", "PNG", "image/png"),
        ("P", "PNG", "image/png"),
        ("LA", "PNG", "image/png"),
        ("RGBA", "PNG", "image/png"),
        ("I;16", "PNG", "image/png"),
        ("RGB", "WEBP", "image/jpeg"),
        ("RGBA", "WEBP", "image/png"),
        ("P", "GIF", "image/png"),
        ("1", "TIFF", "image/jpeg"),
        ("RGB", "TIFF", "image/jpeg"),
        ("RGBA", "TIFF", "image/png"),
        ("CMYK", "TIFF", "image/jpeg"),
        ("YCbCr", "TIFF", "image/jpeg"),
        ("LAB", "TIFF", "image/jpeg"),
        ("I;16", "TIFF", "image/jpeg"),
        ("F", "TIFF", "image/jpeg"),
    ],
)
def test_every_kind_of_pixels_has_copies(mode: str, kind: str, media_type: str) -> None:
    full, thumb = answered(saved(Image.new(mode, (500, 400)), kind)).copies
    assert (full.media_type, full.width_px, full.height_px) == (media_type, 500, 400)
    assert (thumb.media_type, thumb.width_px, thumb.height_px) == ("image/jpeg", 320, 256)
    for copy in (full, thumb):
        assert opened(copy.content).size == (copy.width_px, copy.height_px)


def test_sixteen_bits_of_grey_are_not_cut_off() -> None:
    full, _ = answered(saved(Image.new("I;16", (8, 8), 0x8000), "PNG")).copies
    assert opened(full.content).getpixel((4, 4)) == (128, 128, 128)


def test_what_can_be_seen_through_is_white_in_a_thumbnail() -> None:
    _, thumb = answered(saved(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "PNG")).copies
    assert opened(thumb.content).getpixel((4, 4)) == (255, 255, 255)


def test_colours_are_those_that_the_profile_says() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"xxxx").replace(b"bXYZ", b"rXYZ").replace(b"xxxx", b"bXYZ")
    plain, other, broken = (
        opened(answered(picture("JPEG", icc_profile=each)).copies[0].content)
        for each in (profile, swapped, b"no profile" * 50)
    )
    assert plain.tobytes() == broken.tobytes()
    assert _red_and_blue(plain) == (True, False)
    assert _red_and_blue(other) == (False, True)
    assert "icc_profile" not in other.info


def _red_and_blue(image: Image.Image, place: tuple[int, int] = (5, 5)) -> tuple[bool, bool]:
    red, _, blue = image.getpixel(place)
    return red > 200, blue > 200


def test_a_large_photo_has_copies_of_bounded_sides() -> None:
    full, thumb = answered(picture("JPEG", (6_000, 3_000))).copies
    assert (full.width_px, full.height_px) == (4_096, 2_048)
    assert (thumb.width_px, thumb.height_px) == (320, 160)
    thin, _ = answered(picture("PNG", (9_000, 1))).copies
    assert (thin.width_px, thin.height_px) == (4_096, 1)


def test_a_copy_that_would_be_too_large_as_png_is_a_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.frombytes("RGB", (200, 200), Random(1).randbytes(200 * 200 * 3))
    sent = saved(noise, "PNG")
    assert answered(sent).copies[0].media_type == "image/png"
    monkeypatch.setattr("api.photos.copying.MAX_COPY_BYTES", len(sent) // 2)
    assert answered(sent).copies[0].media_type == "image/jpeg"


def test_the_first_picture_of_several_is_the_copy() -> None:
    frames = [opened(picture("PNG")), Image.new("RGB", (60, 40), "green")]
    for kind in ("GIF", "WEBP", "TIFF", "MPO"):
        sent = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        copy = opened(answered(sent).copies[0].content).convert("RGB")
        assert _red_and_blue(copy) == (True, False)


@pytest.mark.parametrize(
    ("width_px", "height_px", "is_fine"),
    [(8_000, 8_000, True), (8_001, 8_000, False), (50_000, 50_000, False), (1, 2**31 - 1, False)],
)
def test_the_size_is_read_before_anything_is_decoded(
    width_px: int, height_px: int, is_fine: bool
) -> None:
    assert (width_px * height_px <= MAX_PIXELS) == is_fine
    answer = answered(bomb(width_px, height_px))
    assert answer.is_too_large != is_fine
    if not is_fine:
        assert answer.problem.startswith(f"it has {width_px} x {height_px} pixels; at most 64 mega")


@pytest.mark.parametrize(
    ("options", "place", "size"),
    [
        ({}, 26, struct.pack("<HH", 16_383, 16_383)),
        ({"lossless": True}, 21, struct.pack("<I", 16_382 | 16_382 << 14)),
        (
            {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"},
            24,
            (16_382 | 16_382 << 24).to_bytes(6, "little"),
        ),
    ],
)
def test_the_size_of_a_webp_is_read_before_anything_is_decoded(
    options: dict[str, Any], place: int, size: bytes
) -> None:
    sent = picture("WEBP", **options)
    sent = sent[:place] + size + sent[place + len(size) :]
    assert answered(sent).problem.startswith("it has 16383 x 16383 pixels")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_a_problem_or_a_photo(kind: str) -> None:
    sent = picture(kind)
    for length in range(0, len(sent), 7):
        answer = answered(sent[:length])
        assert bool(answer.problem) != bool(answer.copies)
    assert answered(sent[: len(sent) // 2]).problem


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
)
def test_no_damage_raises(kind: str, changes: list[tuple[float, int]]) -> None:
    sent = bytearray(photo(kind) if kind not in ("GIF", "TIFF") else picture(kind))
    for place, value in changes:
        sent[int(place * len(sent))] = value
    answer = answered(bytes(sent))
    assert bool(answer.problem) != bool(answer.copies)


def test_what_is_no_photo_is_a_problem() -> None:
    for content in (b"", b"<svg/>", b"%PDF-1.7", saved(Image.new("RGB", (9, 9)), "BMP")):
        assert answered(content).problem == "it is damaged, or not what its first bytes say"


def reading(content: bytes) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return content

    return read


@pytest.fixture
async def copier() -> AsyncIterator[PhotoCopier]:
    """A copier with a process of its own."""
    made = PhotoCopier()
    yield made
    await made.close()


@pytest.mark.long  # ten seconds of a processor
async def test_a_photo_that_takes_too_long_is_refused_and_the_next_one_is_copied(
    copier: PhotoCopier,
) -> None:
    with pytest.raises(PhotoError, match="cannot be decoded within 10 s"):
        await copier.copies(NORTH, reading(with_many_scans((6_000, 6_000), 4_000)))
    assert (await copier.copies(NORTH, reading(picture()))).full.width_px == 60


def with_many_scans(size: tuple[int, int], scans: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated: each passes over all pixels."""
    sent = saved(Image.new("L", size), "JPEG", progressive=True)
    last = sent.rfind(b"\xff\xda")
    return sent[:last] + sent[last:-2] * scans + sent[-2:]


async def test_what_is_given_up_leaves_no_answer_to_others(copier: PhotoCopier) -> None:
    first = asyncio.create_task(copier.copies(NORTH, reading(picture("PNG", (1_500, 1_500)))))
    await copier.signature(SOUTH, picture("PNG", (30, 20)))
    first.cancel()
    signature = await copier.signature(SOUTH, picture("PNG", (31, 21)))
    assert (signature.width_px, signature.height_px) == (31, 21)


@pytest.mark.parametrize("size_bytes", [0, SMALL_BYTES + 1])
async def test_a_small_photo_does_not_wait_for_dear_ones(
    copier: PhotoCopier, size_bytes: int
) -> None:
    """Whether a file is dear by its size, or by its pixels alone."""
    dear = saved(Image.new("RGB", (6_000, 6_000)), "PNG")
    asked = [asyncio.create_task(copier.copies(NORTH, reading(dear), size_bytes)) for _ in range(3)]
    await asyncio.sleep(0)
    for _ in range(2):
        assert (await copier.copies(SOUTH, reading(picture()))).full.width_px == 60
    assert not all(task.done() for task in asked)
    assert [(await task).full.width_px for task in asked] == [FULL_SIDE_PX] * 3


@pytest.mark.parametrize(
    ("kind", "size", "is_dear"),
    [
        ("JPEG", (4_000, 3_000), False),
        ("JPEG", (5_000, 4_000), True),
        ("PNG", (2_000, 1_500), False),
        ("PNG", (2_001, 1_500), True),
    ],
)
def test_a_process_for_small_photos_does_not_decode_many_pixels(
    kind: str, size: tuple[int, int], is_dear: bool
) -> None:
    content = saved(Image.new("L", size), kind)
    assert copied(PhotoRequest(content, (64,), is_small=True)).is_dear == is_dear


async def test_only_one_file_is_in_memory_at_a_time(copier: PhotoCopier) -> None:
    held, most = 0, 0

    async def read() -> bytes:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await asyncio.sleep(0)
        held -= 1
        return picture()

    asked = [asyncio.create_task(copier.copies(uuid4(), read)) for _ in range(10)]
    own = [asyncio.create_task(copier.copies(NORTH, read)) for _ in range(MOST_OF_EACH)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyOfOne):
        await copier.copies(NORTH, read)
    await asyncio.gather(*asked, *own)
    assert most == 1
