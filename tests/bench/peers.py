"""Other open fingerprinters, asked what ours is asked. None of their code is here: their programs are run.

audfprint is `audfprint2` on PyPI, in an environment of its own. Olaf is its C core (`make compile_core`), built as
it is, and with `numberOfEPsPerFP` 2 in `src/olaf_config.c`, which makes hashes of two points.
"""

import hashlib
import json
import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from fingerprint.domain.problems import TwitchAudioError
from tests.bench.corpus import Corpus, Outcome, Query, Said, decode

AUDFPRINT: Final[dict[str, tuple[str, ...]]] = {
    "audfprint": (),
    "audfprint-70-8": ("--density", "70", "--fanout", "8"),
}
"""Its default, and the options that are best on the corpus."""

PROGRAM_SECONDS: Final = 3600.0
_AUDFPRINT_OWN: Final = 5.0
"""The common hashes from which it names a track by itself."""

_OLAF_OWN: Final = 6.0
"""The aligned matches from which it does."""

_MATCHED: Final = re.compile(r"Matched (.+?) [\d.]+ sec \d+ raw hashes as (.+?) at +[\d.]+ s with +(\d+) of")


def kept(work: Path, name: str, corpus: Corpus, ask: Callable[[], Outcome]) -> Outcome:
    """A peer's answers from an earlier run with the same tracks and clips, or new ones, which are kept.

    A peer does not change while ours does; its answers of 1,640 clips take several minutes. To ask again, delete
    NAME.answers.json.
    """
    path = work / f"{name}.answers.json"
    asked = [_marker(corpus), *(query.file for query in corpus.queries)]
    if path.exists():
        body = json.loads(path.read_text())
        if body["asked"] == asked:
            said = {file: Said(track_id, score) for file, track_id, score in body["said"]}
            return Outcome(said=said, threshold=body["threshold"], cpu_ms=body["cpu_ms"])
    outcome = ask()
    answers = [(file, said.track_id, said.score) for file, said in outcome.said.items()]
    body = {"asked": asked, "said": answers, "threshold": outcome.threshold, "cpu_ms": outcome.cpu_ms}
    path.write_text(json.dumps(body))
    return outcome


def ask_audfprint(corpus: Corpus, program: str, work: Path, *, name: str, jobs: int) -> Outcome:
    """audfprint's answers; the score is the number of common hashes, the cost contains decoding by FFmpeg."""
    options = AUDFPRINT[name]
    database = work / f"{name}.pklz"
    if not _is_for(database, corpus):
        _audfprint(program, "new", ["--dbase", str(database), *options], corpus.tracks.values(), jobs)
        _note(database, corpus)
    by_path = {str(path): track_id for track_id, path in corpus.tracks.items()}
    files = [corpus.clip(query) for query in corpus.queries]
    limits = ["--verbose", "--min-count", "1", "--max-matches", "1"]
    before = _children_seconds()
    lines = _audfprint(program, "match", ["--dbase", str(database), *limits, *options], files, jobs)
    cpu = _children_seconds() - before
    said = {query.file: Said(None, 0.0) for query in corpus.queries}
    for line in lines:
        found = _MATCHED.search(line)
        if found:
            said[Path(found[1]).name] = Said(by_path.get(found[2]), float(found[3]))
    return Outcome(said=said, threshold=_AUDFPRINT_OWN, cpu_ms=cpu * 1000 / len(files))


def _audfprint(program: str, action: str, options: list[str], files: Iterable[Path], jobs: int) -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(map(str, files)))
        listing.flush()
        command = [program, *options, "--ncores", str(jobs), "--list", action, listing.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PROGRAM_SECONDS)
    # It reports matches as log lines.
    return done.stderr.splitlines()


def ask_olaf(corpus: Corpus, program: Path, work: Path, *, jobs: int) -> Outcome:
    """Olaf's answers; the score is the number of aligned matches, the cost contains starting the program."""
    home = work / program.name
    database = home / ".olaf" / "db"
    with ThreadPoolExecutor(jobs) as pool:
        if not _is_for(database / "data.mdb", corpus):
            database.mkdir(parents=True, exist_ok=True)
            for left in database.iterdir():
                left.unlink()
            for track_id, path in corpus.tracks.items():
                _olaf(program, home, "store", path, track_id)
            _note(database / "data.mdb", corpus)

        def ask(query: Query) -> tuple[str, Said, float]:
            lines, took = _olaf(program, home, "query", corpus.clip(query), query.file)
            # Best first: matches, start and end in the query, track, ...
            fields = lines[0].split(", ") if lines else []
            return query.file, Said(fields[3], float(fields[0])) if len(fields) > 3 else Said(None, 0.0), took

        answers = list(pool.map(ask, corpus.queries))
    costs = sorted(took for _, _, took in answers)
    return Outcome(
        said={file: said for file, said, _ in answers}, threshold=_OLAF_OWN, cpu_ms=costs[len(costs) // 2] * 1000
    )


def _olaf(program: Path, home: Path, action: str, path: Path, name: str) -> tuple[list[str], float]:
    """What it prints, and the CPU seconds that it took."""
    raw = home / f"{name}.raw"
    try:
        raw.write_bytes(decode(path).mono.tobytes())
    except TwitchAudioError:
        _ffmpeg(path, raw)
    command = [str(program), action, str(raw), name]
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"HOME": str(home)},
    )
    assert process.stdout is not None
    with process.stdout:
        lines = process.stdout.read().splitlines()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    raw.unlink()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed after {time.monotonic() - started:.0f} s")
    return [line for line in lines if line[:1].isdigit()], used.ru_utime + used.ru_stime


def _ffmpeg(path: Path, raw: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", "16000"]
    subprocess.run([*command, "-f", "f32le", str(raw)], check=True, timeout=PROGRAM_SECONDS)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _is_for(database: Path, corpus: Corpus) -> bool:
    """Whether an index is there, made of the corpus's tracks."""
    note = database.with_suffix(".for")
    return database.exists() and note.exists() and note.read_text() == _marker(corpus)


def _note(database: Path, corpus: Corpus) -> None:
    database.with_suffix(".for").write_text(_marker(corpus))


def _marker(corpus: Corpus) -> str:
    return hashlib.sha256("".join(sorted(corpus.tracks)).encode()).hexdigest()
