"""The worker process that recognizes songs by a catalog: see `recognition_pool` for its parent.

It opens the catalog by itself, whose files are mapped into memory and so shared with all other workers.
"""

import contextlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.identify import identify, prepare, prepared
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.levels_ahead import LevelsAhead
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.query_print import identify_print
from fingerprint.catalog.recognition_protocol import ABANDONED, FAILED, FOUND, PREPARED
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.worker_process import ParentPipe, keep_freed_memory, limit_memory, number_argument, serve_jobs

WARM_UP_SECONDS: Final = 6


def main() -> None:
    """Serve jobs until the parent ends. The arguments: the catalogs' folders (JSON), the memory limit in bytes."""
    keep_freed_memory()
    catalog = Catalogs([Path(name) for name in json.loads(sys.argv[-2])])
    serve_jobs(
        partial(_recognize, catalog),
        warm_up=partial(_warm_up, catalog),
        lock_in=lambda: limit_memory(number_argument()),
    )


def _recognize(catalog: Catalogs, pipe: ParentPipe, job: bytearray) -> None:
    channels, take = job[:2]
    if job[2:]:
        with ThreadPoolExecutor(1, thread_name_prefix="side") as helper:
            helper.submit(int)  # begun while the sound is waited for
            _recognize_ahead(catalog, pipe, LevelsAhead(channels, helper=helper), channels, take)
    elif channels:
        query = prepare(Pcm(_samples(pipe.content(), channels), SAMPLE_RATE))
        _answer(catalog, pipe, partial(identify, query=query, take=take))
    else:
        fingerprint = bytes(pipe.content())
        _answer(catalog, pipe, partial(identify_print, fingerprint=fingerprint))


def _recognize_ahead(catalog: Catalogs, pipe: ParentPipe, ahead: LevelsAhead, channels: int, take: int) -> None:
    """Fingerprint a sound that comes in pieces, and search for it unless it is abandoned."""
    while True:
        while not pipe.has_more() and ahead.catch_up():
            pass
        if (frame := pipe.receive()) is None:
            return
        kind, content = frame
        if kind == ABANDONED:
            pipe.send(FOUND, msgspec.json.encode([]))
            return
        if not content:
            query = prepared(ahead.query())
            _answer(catalog, pipe, partial(identify, query=query, take=take))
            return
        ahead.add(_samples(content, channels))


def _answer(catalog: Catalogs, pipe: ParentPipe, search: Callable[[Snapshot], list[Finding]]) -> None:
    """Search the newest state of the catalog, and tell the parent what is found."""
    pipe.send(PREPARED)
    try:
        pipe.send(FOUND, msgspec.json.encode(search(catalog.snapshot())))
    except CatalogError as error:
        pipe.send(FAILED, msgspec.json.encode((error.code, error.detail)))


def _samples(content: bytearray, channels: int) -> NDArray[np.float32]:
    return np.frombuffer(content, np.float32).reshape(channels, -1)


def _warm_up(catalog: Catalogs) -> None:
    """Map the catalog and fingerprint some noise: the first time takes twice as long."""
    with contextlib.suppress(CatalogError):
        catalog.snapshot()
    noise = default_rng(0).uniform(-0.1, 0.1, (2, WARM_UP_SECONDS * SAMPLE_RATE))
    prepare(Pcm(noise.astype(np.float32)))
