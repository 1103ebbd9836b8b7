"""What workers leave out of NumPy on processors that are slow at it."""

import subprocess
import sys
from pathlib import Path

import pytest

from fingerprint.catalog.numpy_features import numpy_environment

ZEN_4 = {"vendor_id": "AuthenticAMD", "cpu family": "25", "flags": "fpu avx2 avx512f avx512cd"}


def processors(folder: Path, **facts: str) -> Path:
    """Linux's list of two processors that have some facts."""
    path = folder / "cpuinfo"
    one = "".join(f"{name}\t: {value}\n" for name, value in facts.items())
    path.write_text(f"{one}\n{one}", encoding="ascii")
    return path


def test_zen_4_sorts_without_avx_512(tmp_path: Path) -> None:
    found = numpy_environment(processors(tmp_path, **ZEN_4))
    assert {"AVX512F", "AVX512_SKX", "X86_V4"} <= set(found["NPY_DISABLE_CPU_FEATURES"].split())


@pytest.mark.parametrize(
    "other",
    [
        {"vendor_id": "GenuineIntel"},
        {"cpu family": "26"},  # Zen 5
        {"flags": "fpu avx2"},  # Zen 3
    ],
)
def test_others_sort_as_numpy_chooses(tmp_path: Path, other: dict[str, str]) -> None:
    assert numpy_environment(processors(tmp_path, **{**ZEN_4, **other})) == {}


def test_a_system_that_does_not_list_its_processors_sorts_as_numpy_chooses(tmp_path: Path) -> None:
    assert numpy_environment(tmp_path / "nowhere") == {}


def test_numpy_starts_without_a_word_with_features_that_it_does_not_know(tmp_path: Path) -> None:
    """Names of other versions of NumPy, and those that the processor lacks, cost nothing but a silent warning."""
    environment = numpy_environment(processors(tmp_path, **ZEN_4))
    program = "import numpy; assert numpy.sort(numpy.arange(5000, dtype=numpy.uint32)[::-1])[0] == 0"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
