"""The operator's rules in SQL, and as one immutable value that all requests of a server share.

Every change also changes the row `version`, so that a server that polls it reloads the rules only after a change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fingerprint.database import Database
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.ports import Broadcaster
from fingerprint.upserts import upsert
from server.access.identity.twitch_user import ID_PREFIX
from server.access.rules.lists import Blacklist
from server.access.rules.recognizers import read_override
from server.access.rules.website import WebsiteSettings, parse_setting, setting_text, website_settings
from server.access.rules_version import VERSION, change_rules
from server.access.tables import blacklisted_values, subscribe_broadcasters, whitelisted_users
from server.access.tables import website_settings as table
from server.audit.changes import ChangeLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All of the operator's rules at one moment."""

    version: str
    website: WebsiteSettings
    blacklist: Blacklist = field(default_factory=Blacklist)
    whitelist: frozenset[str] = frozenset()
    recognizers: RecognizerOverride = field(default_factory=RecognizerOverride)
    broadcasters: tuple[Broadcaster, ...] = ()
    """Broadcasters whose subscribers may ask in `subscribers` mode; their logins may be out of date."""

    @property
    def logins(self) -> tuple[str, ...]:
        """The broadcasters' logins, or the id where the login is unknown."""
        return tuple(each.login or each.id for each in self.broadcasters) if self.broadcasters else ()


class RulesStore:
    """Reads all rules, and changes website settings."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def read(self, known: Rules | None = None) -> Rules:
        """Read all rules; returns `known` if the version is unchanged. Raises TwitchAudioError `busy`."""

        def work(connection: Connection) -> Rules:
            rows = _rows(connection)
            version = rows.pop(VERSION, "")
            if known is not None and known.version == version:
                return known
            blocked = connection.execute(select(blacklisted_values)).all()
            allowed = connection.execute(select(whitelisted_users.c.value, whitelisted_users.c.user_id))
            chosen = (subscribe_broadcasters.c.login, subscribe_broadcasters.c.user_id)
            listed = connection.execute(select(*chosen).order_by(*chosen))
            return Rules(
                version=version,
                website=website_settings(rows),
                recognizers=read_override(connection),
                blacklist=Blacklist.of(
                    ((row.kind, row.value) for row in blocked),
                    {(row.kind, row.value): row.user_id for row in blocked if row.user_id is not None},
                ),
                # Whoever has the login of an entry by now inherits nothing from it.
                whitelist=frozenset(
                    row.value if row.user_id is None else f"{ID_PREFIX}{row.user_id}" for row in allowed
                ),
                broadcasters=tuple(Broadcaster(id=row.user_id, login=row.login) for row in listed),
            )

        return await self._database.read(work)

    async def set_website(self, name: str, text: str) -> tuple[str, str]:
        """Change one website setting; returns the texts before and after.

        Raises TwitchAudioError `invalid-input`, whose text says which values are valid; `busy`.
        """
        after = setting_text(parse_setting(name, text))

        def change(connection: Connection) -> str:
            before = _rows(connection).get(name)
            if before is None:
                before = WebsiteSettings().to_texts()[name]
            upsert(connection, table, {"name": name, "value": after})
            self._changes.record(connection, "set website setting", name, before=before, after=after)
            return before

        return await change_rules(self._database, change), after


def _rows(connection: Connection) -> dict[str, str]:
    rows: Mapping[str, str] = {row.name: row.value for row in connection.execute(select(table))}
    return dict(rows)
