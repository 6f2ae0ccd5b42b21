"""Every parser, its corpus and a second of mutations: a sentence may come of it, nothing else."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import pytest
from mutations import corpus, mutations
from targets import CORPUS, TARGETS, one_input

SECONDS = 1.0
MOST = 3000  # inputs
LONGEST = 5.0  # processor seconds that one may take


@pytest.fixture(autouse=True)
def _keep_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIDEOZOO_HOME", "VIDEOZOO_CACHE"):
        monkeypatch.setenv(name, "")


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(len(corpus(name)) >= 2 for name in TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_sentence_or_nothing(name: str, tmp_path: Path) -> None:
    ends = time.monotonic() + SECONDS
    inputs = [*corpus(name), *islice(mutations(name, seed=1), MOST)]
    for i, data in enumerate(inputs):
        if i >= len(corpus(name)) and time.monotonic() > ends:
            break
        begun = time.process_time()
        try:
            one_input(name, data)
        except BaseException as error:
            (tmp_path / "crash").write_bytes(data)
            raise AssertionError(f"{name}: {data[:300]!r}") from error
        assert time.process_time() - begun < LONGEST, f"{name} takes long: {data[:300]!r}"
