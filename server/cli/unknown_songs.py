"""After music was added on the command line: searches for what no song was found for before."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Final

from fingerprint.clock import SystemClock
from fingerprint.configured_database import database_may_exist, open_configured_database
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.jobs import open_job_store
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.recognizers.catalog import CatalogRecognizer
from server import migrations
from server.channels.unknown_store import Unknown, UnknownStore
from server.channels.unknowns import search_unknowns
from server.owner_choices.store import ChoiceStore
from server.songs.store import SongStore
from server.webhooks.later_plays import store_later_play
from server.webhooks.store import WebhookStore

MAX_SECONDS: Final = 60.0
"""After this, the rest is left to the servers."""


class _EnoughError(Exception):
    """The time is over."""


def named_since_it_grew(settings: PipelineSettings, catalog: Path) -> int | None:
    """How many unknowns have a name since the catalog in a folder has grown; None where that cannot be known.

    Those count, too, that a server on the same database named meanwhile.
    """
    if not settings.unknown_days or not database_may_exist(settings):
        return None
    try:
        return asyncio.run(_search(settings, catalog))
    except (TwitchAudioError, migrations.NewerSchemaError):
        return None  # the servers do it


async def _search(settings: PipelineSettings, catalog: Path) -> int:
    clock = SystemClock()
    began, until = clock.now(), time.monotonic() + MAX_SECONDS

    async def wait() -> None:
        if time.monotonic() > until:
            raise _EnoughError

    async def forbidden(_unknown: Unknown) -> bool:
        return False  # the servers delete it

    async def named(answer: Identification) -> None:
        with contextlib.suppress(TwitchAudioError):
            choices = await ChoiceStore(database).read(answer.target, answer.channel_id)
            await store_later_play(WebhookStore(database), jobs, answer, choices, now=clock.now())

    async with open_configured_database(settings) as database, open_job_store(settings, clock, database) as jobs:
        await migrations.check(database)
        store = UnknownStore(database)
        with contextlib.suppress(_EnoughError):
            await search_unknowns(
                store,
                CatalogRecognizer(catalog),
                jobs,
                clock=clock,
                wait=wait,
                forbidden=forbidden,
                complete=SongStore(database).note,
                named=named,
            )
        return await store.count_named(since=began)
