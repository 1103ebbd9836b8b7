"""`twitchaudio db`: the SQL schema and, where jobs are in DynamoDB, its tables."""

import argparse
import asyncio
import sys
from pathlib import Path

from sqlalchemy.engine import make_url

from fingerprint.configured_database import database_url, open_configured_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.text import printable
from fingerprint.jobs import prepare_job_store
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from server import migrations
from server.cli.spinner import at_work
from server.data_folder import replaced
from server.observability import configure_logging
from server.settings import ServerSettings
from server.sqlite_space import vacuum


def upgrade(_arguments: argparse.Namespace) -> int:
    """Bring the SQL schema up to date, and make DynamoDB's tables where they are used."""
    settings = read_settings(ServerSettings)
    configure_logging("warning", sys.stderr)
    with at_work("Bringing the schema up to date ..."):
        schema, made = asyncio.run(_upgraded(settings.pipeline))
    if schema.before == schema.after:
        print(f"The schema is up to date ({schema.after}).")
    else:
        print(f"The schema went from {schema.before or 'nothing'} to {schema.after}.")
    for name in made:
        print(f"Made the DynamoDB table {name}.")
    return 0


async def _upgraded(settings: PipelineSettings) -> tuple[migrations.Schema, list[str]]:
    made = await prepare_job_store(settings)
    async with open_configured_database(settings) as database:
        return await migrations.upgrade(database), made


def vacuum_database(_arguments: argparse.Namespace) -> int:
    """Give the space of deleted rows back to the disk."""
    settings = read_settings(ServerSettings).pipeline
    url = make_url(database_url(settings))
    if url.get_backend_name() != "sqlite":
        detail = (
            "Only a SQLite file is vacuumed. MySQL and MariaDB use the space again; OPTIMIZE TABLE gives it back."
        )
        raise TwitchAudioError(ProblemCode.INTERNAL, detail)
    file = Path(url.database or "")
    with replaced(settings.data_dir), at_work("Giving space back ..."):
        done = vacuum(file)
    print(printable(f"{file} had {done.before / 1e6:.1f} MB and has {done.after / 1e6:.1f} now."))
    return 0
