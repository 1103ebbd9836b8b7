"""The fuzzer's corpus: inputs of every kind, and those that once broke something."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.subjects import CORPUS, SUBJECTS

INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


def test_there_is_a_corpus_for_each_subject_and_it_is_small() -> None:
    assert {path.parent.name for path in INPUTS} == set(SUBJECTS)
    assert sum(path.stat().st_size for path in INPUTS) < 200_000


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_input_breaks_anything(path: Path) -> None:
    SUBJECTS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", SUBJECTS)
@given(content=st.binary(max_size=300))
def test_no_bytes_break_anything(name: str, content: bytes) -> None:
    SUBJECTS[name](content)
