"""The job stores by name. A new one is a file here and a line in `REGISTRY`; it must pass the contract suite."""

from collections.abc import Callable
from typing import Final

from fingerprint.database import Database
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.ports import JobStore

REGISTRY: Final[dict[str, Callable[[Database], JobStore]]] = {"sql": SqlJobStore}
