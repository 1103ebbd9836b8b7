"""The worker process that recognizes songs by a catalog: see `recognition_pool` for its parent.

It opens the catalog by itself, whose files are mapped into memory and so shared with all other workers.
"""

import contextlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.query_print import identify_print
from fingerprint.catalog.recognition_protocol import FAILED, FOUND, PREPARED
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
    content = pipe.content()
    if job[0]:
        query = prepare(Pcm(np.frombuffer(content, np.float32).reshape(job[0], -1), SAMPLE_RATE))
        query.take = job[1]
    else:
        query = None
    pipe.send(PREPARED)
    try:
        snapshot = catalog.snapshot()
        found = (
            identify_print(snapshot, bytes(content))
            if query is None
            else identify(snapshot, query, take=query.take)
        )
        pipe.send(FOUND, msgspec.json.encode(found))
    except CatalogError as error:
        pipe.send(FAILED, msgspec.json.encode((error.code, error.detail)))


def _warm_up(catalog: Catalogs) -> None:
    """Map the catalog and fingerprint some noise: the first time takes twice as long."""
    with contextlib.suppress(CatalogError):
        catalog.snapshot()
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, WARM_UP_SECONDS * SAMPLE_RATE))
    prepare(Pcm(noise.astype(np.float32)))
