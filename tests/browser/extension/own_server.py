"""A real server of the tests' own, which a test may stop, start again, or tell to change its rules.

It runs in this process: one in a process of its own costs two seconds of CPU at each start.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientSession
from yarl import URL

from fingerprint.configured_database import database_url
from fingerprint.database import Database
from fingerprint.settings import read_settings
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.broadcaster_lookup import look_up_broadcaster
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.codes import CodeStore
from server.access.rules.lists import user_value
from server.access.rules.store import RulesStore
from server.app import listening, make_app
from server.settings import ServerSettings
from tests.databases import migrated_database


class OwnServer:
    """What `serve` serves, on one port of loopback, the same whenever it is started again."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._settings = read_settings(ServerSettings, {**environment, "TWITCHAUDIO_DATA_DIR": str(folder)})
        self._running = AsyncExitStack()
        self.address = URL()

    async def start(self) -> None:
        """Start it; it remembers what is in its database, and nothing else."""
        app = make_app(self._settings)
        self.address = await self._running.enter_async_context(listening(app, "127.0.0.1", self.address.port or 0))

    async def stop(self) -> None:
        """Stop it: nothing listens on its port then."""
        await self._running.aclose()

    async def jobs(self) -> int:
        """How many jobs have ended since it was started."""
        async with ClientSession() as session, session.get(self.address / "metrics") as answer:
            lines = (await answer.text()).splitlines()
        counted = [line for line in lines if line.startswith("twitchaudio_identifications_total{")]
        return sum(int(float(line.split()[-1])) for line in counted)

    async def set(self, name: str, value: str) -> None:
        """Change a setting of the website."""
        async with self._database() as database:
            await RulesStore(database).set_website(name, value)

    async def let_in_subscribers_of(self, login: str) -> None:
        """List a broadcaster."""
        async with self._database() as database:
            found = await look_up_broadcaster(self._settings, user_value(login))
            await BroadcasterStore(database).add(found.id, found.login, note="", now=datetime.now(UTC))

    async def new_code(self) -> str:
        """An access code for one person."""
        async with self._database() as database:
            _, code = await CodeStore(database).create(now=datetime.now(UTC))
        return code.reveal()

    async def new_key(self, *scopes: str) -> str:
        """An API key."""
        async with self._database() as database:
            _, key = await ApiKeyStore(database).create("a test", now=datetime.now(UTC), scopes=scopes)
        return key.reveal()

    @asynccontextmanager
    async def _database(self) -> AsyncGenerator[Database]:
        async with migrated_database(database_url(self._settings.pipeline)) as database:
            yield database
