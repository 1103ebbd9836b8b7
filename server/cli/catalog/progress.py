"""How far a command that reads music has come: a bar for a terminal, or lines for a program."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Generator
from typing import Final

from tqdm import tqdm

from fingerprint.catalog.file_outcomes import Known, Read, Unreadable
from fingerprint.catalog.ingest import IngestProgress
from fingerprint.domain.text import printable

_LINE_SECONDS: Final = 0.25


@contextlib.contextmanager
def progress_lines() -> Generator[Callable[[IngestProgress], None]]:
    """Progress for a program: a JSON object a line, at most four a second, and one at the end."""
    said_at, state = 0.0, {"done": 0, "total": 0, "added": 0, "failed": 0}

    def show(progress: IngestProgress) -> None:
        nonlocal said_at
        state.update(done=progress.done, total=progress.total)
        state["added"] += isinstance(progress.outcome, Read)
        state["failed"] += isinstance(progress.outcome, Unreadable) and not progress.outcome.by_choice
        if time.monotonic() - said_at >= _LINE_SECONDS:
            said_at = time.monotonic()
            print(json.dumps(state), file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(json.dumps(state), file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress_bar(kept: str) -> Generator[Callable[[IngestProgress], None]]:
    """A progress bar for a terminal; a pipe or a log gets the lines only. Ctrl-C says how much is `kept`."""
    new = 0
    with tqdm(unit="file", file=sys.stderr, disable=None, dynamic_ncols=True, leave=False) as bar:

        def show(progress: IngestProgress) -> None:
            nonlocal new
            bar.total = progress.total
            bar.update(progress.done - bar.n)
            match progress.outcome:
                case Unreadable(path, reason):
                    tqdm.write(printable(f"skipped {path}: {reason}"), file=sys.stderr)
                case Read(path, _, _) | Known(path, _):
                    new += isinstance(progress.outcome, Read)
                    bar.set_postfix_str(printable(path.name[:40]), refresh=False)
                case None:
                    pass

        try:
            yield show
        except KeyboardInterrupt:
            tqdm.write(
                printable(f"twitchaudio: interrupted. {kept}: {new}. Run the command again to go on."),
                file=sys.stderr,
            )
            raise
