"""Each input that a fuzzer begins with or has found, and each packet cut at each of its bytes."""

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from benchmarks.fuzz import SHARES
from tests.fuzz.packets import packets
from tests.fuzz.script import play
from tests.fuzz.targets import (
    CORPUS,
    TARGETS,
    VERSIONS,
    corpus,
    missing_bytes,
    script,
    seeds,
    signed_in,
    truncations,
)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_small_and_passes(target: str) -> None:
    inputs = seeds(target) + corpus(target)
    assert len(set(inputs)) > 20
    for data in inputs:
        TARGETS[target](data)


def test_the_fuzzer_has_time_for_each_target() -> None:
    assert SHARES.keys() == TARGETS.keys()
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_the_corpus_stays_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.iterdir()) < 200_000


@pytest.mark.parametrize("version", VERSIONS)
def test_every_truncation_of_every_packet(version: int) -> None:
    for data in [*truncations(version), *missing_bytes(version)]:
        play(data)


@pytest.mark.parametrize("target", ["payloads", "proxy", "requests", "boxes", "frames"])
def test_every_truncation_of_every_other_seed(target: str) -> None:
    for data in seeds(target):
        for size in range(min(len(data), 80)):
            TARGETS[target](data[:size])


steps = st.one_of(
    st.tuples(st.sampled_from((1, 2)), st.integers(0, len(packets(4)) - 1)),
    st.tuples(
        st.sampled_from((3, 4)), st.integers(14, 70), st.integers(0, 60), st.integers(0, 255)
    ),
    st.tuples(st.sampled_from((5, 6)), *[st.integers(0, 255)] * 5),
    st.tuples(st.sampled_from((7, 8)), st.integers(0, 6), st.integers(0, 2), st.integers(0, 20)),
    st.tuples(st.integers(9, 15), *[st.integers(0, 255)] * 3),
).map(bytes)


@given(
    st.sampled_from(VERSIONS),
    st.lists(steps, max_size=25),
    st.integers(0, 16),
    st.integers(0, 2),
)
def test_any_steps_of_any_version(version: int, parts: list[bytes], cut: int, options: int) -> None:
    data = script(version, signed_in(version), *parts, cut=cut, options=options)
    note(data.hex())
    play(data)
