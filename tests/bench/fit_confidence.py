"""Fits the weights of `fingerprint.catalog.confidence` to a corpus, and checks them on music they have not seen.

Every step's candidates of every query are examined as `question` does it, and a logistic regression is fitted to
whether they are of the right track. Then it is scaled so that the confidence of the *answers* (the best candidate
of the passes that are taken) is right as often as it says. The check is five-fold cross-validation over packages:
the weights that judge a query have seen no track of its package. `scripts/bench recognition` must have made the
index.
"""

import argparse
import json
import os
import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.confidence import THRESHOLD, features
from fingerprint.catalog.examination import Examiner
from fingerprint.catalog.identify import prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.search import SPEEDS, Search
from tests.bench.corpus import Corpus, Outcome, Query, Said, decode, read_corpus
from tests.bench.recognition import OURS, catalog_folder, figures, print_figures
from tests.bench.reliability import reliability, table
from tests.bench.table import print_table, write_json

FOLDS: Final = 5
RIDGE: Final = 1.0
"""How much large weights are held back, in units of one candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPass:
    """The candidates of a pass: their tracks and what is known of them. `enough` ends the question."""

    tracks: tuple[str, ...]
    known: NDArray[np.float64]
    enough: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A query's passes, all of them."""

    query: Query
    group: str
    passes: tuple[ScoredPass, ...]


@cache
def _catalog(folder: Path) -> Catalog:
    return Catalog(folder)


def _examine(job: tuple[Path, Path, Query, str]) -> Examined:
    folder, clip, query, group = job
    snapshot = _catalog(folder).snapshot()
    question = prepare(decode(clip))
    search, examiner = Search(snapshot, question), Examiner(snapshot, question)
    passes: list[ScoredPass] = []
    for one_pass in search.passes(as_it_is=True, speeds=SPEEDS):
        votes = search.count_votes(one_pass)
        candidates = list(search.offsets_to_examine(votes))
        known = [
            features(
                *votes.votes_of_track_and_rivals(candidate),
                examiner.contained(candidate),
                altered=candidate.altered,
            )
            for candidate in candidates
        ]
        if known:
            tracks = tuple(candidate.track_id for candidate in candidates)
            passes.append(ScoredPass(tracks=tracks, known=np.array(known), enough=one_pass.enough))
    return Examined(query=query, group=group, passes=tuple(passes))


def groups(folder: Path) -> dict[str, str]:
    """For each query's file, the package that its music is of; its own name when it has none."""
    manifest = cast("dict[str, Any]", json.loads((folder / "manifest.json").read_text()))
    listed = cast("dict[str, Any]", json.loads((folder / "queries.json").read_text()))
    packages = {track["id"]: Path(track["path"]).parts[1] for track in manifest["tracks"]}
    return {str(query["file"]): str(packages.get(query["source"], query["file"])) for query in listed["queries"]}


def fit(examined: Sequence[Examined]) -> NDArray[np.float64]:
    """The weights for these queries."""
    known = np.concatenate([one_pass.known for one in examined for one_pass in one.passes])
    right = np.array(
        [track in one.query.accept for one in examined for one_pass in one.passes for track in one_pass.tracks]
    )
    weights = regression(known, right)
    answers = [answer(one, weights) for one in examined]
    logits = np.array([logit for _, logit in answers])
    correct = np.array([track in one.query.accept for (track, _), one in zip(answers, examined, strict=True)])
    # Scaling and shifting what all candidates get changes no order.
    low, scale = regression(np.stack([np.ones(len(logits)), logits], axis=1), correct)
    weights = weights * scale
    weights[0] += low
    return weights


def regression(known: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logistic regression by Newton's method; the first column, which is 1, is not held back."""
    weights = np.zeros(known.shape[1])
    ridge = np.full(known.shape[1], RIDGE)
    ridge[0] = 1e-6
    for _ in range(50):
        expected = 1 / (1 + np.exp(-np.clip(known @ weights, -40, 40)))
        slope = known.T @ (right - expected) - ridge * weights
        curvature = (known * (expected * (1 - expected))[:, np.newaxis]).T @ known + np.diag(ridge)
        moved = np.linalg.solve(curvature, slope)
        weights += moved
        if np.abs(moved).max() < 1e-6:
            break
    return weights


def answer(examined: Examined, weights: NDArray[np.float64]) -> tuple[str | None, float]:
    """The track that the passes end with, and its logit."""
    best: tuple[str | None, float] = (None, -50.0)
    for one_pass in examined.passes:
        logits = one_pass.known @ weights
        place = int(np.argmax(logits))
        if logits[place] > best[1]:
            best = one_pass.tracks[place], float(logits[place])
        if best[1] >= np.log(one_pass.enough / (1 - one_pass.enough)):
            break
    return best


def cross_validated(examined: Sequence[Examined]) -> dict[str, Said]:
    """Each query's answer by weights that have seen nothing of its package."""
    names = sorted({one.group for one in examined})
    order = np.random.default_rng(1).permutation(len(names))
    folds = {names[place]: number % FOLDS for number, place in enumerate(cast("list[int]", order.tolist()))}
    said: dict[str, Said] = {}
    for fold in range(FOLDS):
        weights = fit([one for one in examined if folds[one.group] != fold])
        for one in examined:
            if folds[one.group] == fold:
                track, logit = answer(one, weights)
                said[one.query.file] = Said(track, float(1 / (1 + np.exp(-logit))))
    return said


def main(argv: Sequence[str]) -> int:
    """Fit and check."""
    parser = argparse.ArgumentParser(prog="scripts/bench fit-confidence", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--work", type=Path, default=Path(".cache/bench/recognition"), metavar="DIR")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th query only")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep what was examined here, for another run")
    arguments = parser.parse_args(argv)
    corpus: Corpus = read_corpus(
        cast("Path", arguments.corpus).absolute(), share=arguments.every, durations=[3, 6, 10]
    )
    keep = cast("Path | None", arguments.keep)
    if keep is not None and keep.exists():
        examined = cast("list[Examined]", pickle.loads(keep.read_bytes()))
    else:
        catalog = catalog_folder(cast("Path", arguments.work).absolute(), corpus.folder)
        of_package = groups(corpus.folder)
        jobs = [(catalog, corpus.clip(query), query, of_package[query.file]) for query in corpus.queries]
        with ProcessPoolExecutor(arguments.jobs) as pool:
            examined = list(pool.map(_examine, jobs, chunksize=8))
        if keep is not None:
            keep.write_bytes(pickle.dumps(examined))
    outcome = Outcome(said=cross_validated(examined), threshold=THRESHOLD, cpu_ms=0.0)
    found = figures(corpus, {OURS: outcome})
    print_figures(found, corpus, {OURS: outcome})
    print_table("reliability, cross-validated", table(reliability(corpus, outcome)))
    weights = [round(float(weight), 3) for weight in fit(examined)]
    print(f"\nWEIGHTS = {tuple(weights)}")
    write_json(cast("Path | None", arguments.json), {**found, "weights": weights})
    return 0
