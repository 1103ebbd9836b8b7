"""The job stores by name. A new one is a module here and a line in `REGISTRY`; it must pass the contract suite.

A store's module is imported only when it is configured, since each needs a large library. It has two functions:

- `open_store(settings, clock, database)`, an async context manager that gives the store; `database` is the one
  that is open already, if any
- `prepare(settings)`, which creates what the store needs besides the SQL schema, and returns the names of that
"""

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from fingerprint.job_ports import JobStore
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Clock

if TYPE_CHECKING:
    from fingerprint.database import Database

REGISTRY: Final = {"sql": "fingerprint.jobs.sql", "dynamodb": "fingerprint.jobs.dynamodb.store"}


def open_job_store(
    settings: PipelineSettings, clock: Clock, database: "Database | None" = None
) -> AbstractAsyncContextManager[JobStore]:
    """Opens the configured job store. Raises SettingsError."""
    module = import_module(REGISTRY[settings.jobs])
    return cast("AbstractAsyncContextManager[JobStore]", module.open_store(settings, clock, database))


async def prepare_job_store(settings: PipelineSettings) -> list[str]:
    """Create the tables that the configured store lacks, and return their names. Raises SettingsError, `busy`."""
    return cast("list[str]", await import_module(REGISTRY[settings.jobs]).prepare(settings))
