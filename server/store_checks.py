"""Checks of the stores that servers share: clocks that agree with this machine's, and whole texts."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection

from fingerprint.clock import SystemClock
from fingerprint.configured_database import SQLITE_FILE, open_configured_database
from fingerprint.setting_formats import Secret
from fingerprint.step_report import Outcome, Verdict
from server.observability import Metrics
from server.redis_link import RedisAwayError, open_redis
from server.settings import ServerSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

CLOCK_SECONDS: Final = (2.0, 10.0)
"""Differences to a store's clock that are worth a word, and that take leases from servers at work."""


async def check_clocks(settings: ServerSettings) -> Verdict:
    """This machine's clock agrees with those of the stores: leases of jobs and limits are compared with both."""
    apart: dict[str, float] = {}
    for name, ask, steps in _clocks(settings):
        before = datetime.now(UTC)
        there = await ask()
        if there is not None:  # of a store that does not answer, its own check tells
            apart[name] = seconds_apart(there, before, datetime.now(UTC), steps)
    return judge_clocks(apart) if apart else (Outcome.OK, (f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",))


def seconds_apart(there: datetime, before: datetime, after: datetime, steps: timedelta = timedelta(0)) -> float:
    """How far a clock is from ours at least, when it was asked `before` and had answered `after`.

    `steps`: what the clock leaves out, such as the parts of a second.
    """
    return max(0.0, (before - (there + steps)).total_seconds(), (there - after).total_seconds())


def judge_clocks(apart: Mapping[str, float]) -> Verdict:
    """What is said about how many seconds this machine's clock is apart from each store's."""
    notes = tuple(f"{seconds:.1f} s apart from {name}'s" for name, seconds in apart.items())
    worst = max(apart.values())
    if worst < CLOCK_SECONDS[0]:
        return Outcome.OK, notes
    late = Outcome.FAILED if worst > CLOCK_SECONDS[1] else Outcome.DIFFERS
    return late, (*notes, "Let both keep time by NTP, otherwise servers take each other's jobs.")


def _clocks(settings: ServerSettings) -> Iterator[tuple[str, Callable[[], Awaitable[datetime | None]], timedelta]]:
    """The name of each store with a clock of its own, how it is asked, and what the answer leaves out."""
    if not (settings.pipeline.database_url or "sqlite:").startswith("sqlite:"):
        yield "the database server", lambda: _database_time(settings), timedelta(0)
    if settings.pipeline.jobs == "dynamodb":
        # Only then: its library is large.
        client = import_module("fingerprint.jobs.dynamodb.client")
        yield "DynamoDB", lambda: client.service_time(settings.pipeline.dynamodb.endpoint), timedelta(seconds=1)
    if (url := settings.redis_url) is not None:
        yield "Redis", lambda: _redis_time(url), timedelta(0)


async def _database_time(settings: ServerSettings) -> datetime:
    async with open_configured_database(settings.pipeline) as database:
        rows = await database.read(lambda connection: connection.execute(text("SELECT UTC_TIMESTAMP(6)")).all())
    there: datetime = rows[0][0]
    return there.replace(tzinfo=UTC)


async def _redis_time(url: Secret) -> datetime | None:
    async def ask(client: "Redis") -> datetime:
        seconds, microseconds = await client.time()  # pyright: ignore[reportUnknownMemberType] - its types are partial
        return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)

    try:
        async with open_redis(url, clock=SystemClock(), metrics=Metrics()) as link:
            return await link.call(ask)
    except RedisAwayError:
        return None


def lossy_texts(connection: Connection) -> list[str]:
    """A sentence for each way in which a MySQL would lose part of a text."""
    return [*_character_sets(connection), *_lax_mode(connection)]


def _character_sets(connection: Connection) -> list[str]:
    """A sentence for each of our tables on MySQL that cannot keep all texts, such as after a restore by hand."""
    columns = text(
        "SELECT table_name, MIN(character_set_name) FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND character_set_name NOT IN ('utf8mb4', 'ascii') "
        "GROUP BY table_name ORDER BY table_name"
    )
    return [
        f"The table {table} keeps texts as {charset}, which lacks most scripts and emoji, so songs and names are "
        f"refused or changed: ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin."
        for table, charset in connection.execute(columns)
    ]


def _lax_mode(connection: Connection) -> list[str]:
    """A sentence when MySQL cuts texts that are too long, in place of refusing them."""
    (mode,) = connection.execute(text("SELECT @@SESSION.sql_mode")).one()
    if "STRICT_" in mode:
        return []
    return ["The database cuts what is too long without a word: add STRICT_TRANS_TABLES to its sql_mode."]


def is_unmade(settings: ServerSettings) -> bool:
    """Whether the database is a SQLite file that does not exist yet."""
    address = settings.pipeline.database_url
    if address is None:
        return not (settings.pipeline.data_dir / SQLITE_FILE).exists()
    return address.startswith("sqlite:///") and not Path(address.removeprefix("sqlite:///")).exists()
