"""`python -m tests.fuzz SUBJECT NEW [libFuzzer options]`: feeds a subject with what reaches new code.

What is found new is kept in the folder NEW; an input that breaks something is written there too, and named.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

from tests.fuzz.subjects import CORPUS, SUBJECTS


def main(arguments: Sequence[str]) -> None:
    name, new, *options = arguments
    atheris = cast("Any", import_module("atheris"))  # it is only in the fuzzer's own environment
    atheris.instrument_all()
    subject = SUBJECTS[name]
    folders = [new, str(CORPUS / name)]
    atheris.Setup([sys.argv[0], *folders, f"-artifact_prefix={new}/broken-", *options], subject)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
