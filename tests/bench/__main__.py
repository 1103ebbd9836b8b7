"""`scripts/bench NAME [--json FILE]`."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, cast

from fingerprint.catalog.numpy_features import numpy_environment

BENCHMARKS: Final = {
    "access": "tests.bench.access",
    "answer-time": "tests.bench.answer_time",
    "attack": "tests.bench.attack",
    "capture": "tests.bench.capture",
    "providers": "tests.bench.providers",
    "cold-start": "tests.bench.cold_start",
    "catalog-scale": "tests.bench.catalog_scale",
    "false-answers": "tests.bench.false_answers",
    "fit-confidence": "tests.bench.fit_confidence",
    "fleet": "tests.bench.fleet",
    "learned": "tests.bench.learned",
    "library": "tests.bench.library",
    "mixes": "tests.bench.mixes",
    "loop-lag": "tests.bench.loop_lag",
    "mutation": "tests.bench.mutation",
    "overload": "tests.bench.overload",
    "herd": "tests.bench.herd",
    "recognition": "tests.bench.recognition",
    "soak": "tests.bench.soak",
    "unknowns": "tests.bench.unknowns",
}


def main(argv: Sequence[str]) -> int:
    """Run the named benchmark with the remaining arguments."""
    if not argv or argv[0] not in BENCHMARKS:
        names = ", ".join(sorted(BENCHMARKS))
        print(f"scripts/bench: name one of {names}", file=sys.stderr)
        return 2
    for name, value in numpy_environment().items():
        os.environ.setdefault(name, value)  # noqa: TID251 - written, not read: for NumPy, before it is loaded
    run = cast("Callable[[Sequence[str]], int]", import_module(BENCHMARKS[argv[0]]).main)
    return run(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
