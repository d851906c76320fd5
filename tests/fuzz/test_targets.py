"""The corpora go through, whatever has changed; and a moment of mutations with a fixed seed."""

from __future__ import annotations

import pytest

import tests.fuzz.targets
from tests.fuzz.engine import fuzz, run_one
from tests.fuzz.target import CORPUS, TARGETS, Target, TookTooLong, bounded_time

SECONDS = 1.0
"""For each target: some thousand inputs."""

SEED = 20130524
MAX_SEED_BYTES = 10_000


def test_every_corpus_has_its_target() -> None:
    assert tests.fuzz.targets.__all__
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus(name: str) -> None:
    corpus = TARGETS[name].corpus()
    assert corpus
    for data in corpus:
        assert len(data) <= MAX_SEED_BYTES
        run_one(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_mutations(name: str) -> None:
    found = fuzz(TARGETS[name], seconds=SECONDS, seed=SEED)
    if found is not None:
        raise AssertionError(f"{name} breaks: {found.data!r}") from found.error


def test_what_breaks_a_target_is_found_and_shrunk() -> None:
    def breaks(data: bytes) -> str:
        """Never."""
        if b"&" in data and b"=" in data:
            raise ValueError("both")
        return str(len(data) % 8)

    found = fuzz(Target("query", breaks), seconds=60, seed=SEED)
    assert found is not None
    assert sorted(found.data) == sorted(b"&=")
    assert isinstance(found.error, ValueError)


def test_an_input_that_takes_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.target.CPU_SECONDS", 0.05)

    def hangs(_: bytes) -> str:
        while True:
            pass

    with pytest.raises(TookTooLong):
        run_one(Target("hangs", hangs), b"")
    with bounded_time():
        pass
