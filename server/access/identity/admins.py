"""Admins: the Twitch accounts in `TWITCHAUDIO_ADMINS`, who may use the admin pages.

A login names the account that has it when the server first asks Twitch, or when its owner first signs in. That is
kept in the data folder, so that the next person with a login that was given up does not become an admin.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from fingerprint.background import Background
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Broadcaster, Clock
from server.access.identity.twitch_user import ID_PREFIX, TwitchUser

FILE: Final = "admins.json"
RETRY_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


class Admins:
    """The configured admins, named by `id:NUMBER` or by login in lower case."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._ids: dict[str, str] = {}
        self._warned: set[str] = set()
        self.changed = asyncio.Event()
        """Set when the account of a login became known."""

    @property
    def none(self) -> bool:
        """Whether no admin is configured."""
        return not self._names

    @property
    def ids(self) -> Mapping[str, str]:
        """The id of each login whose account is known."""
        return self._ids

    @property
    def unknown(self) -> frozenset[str]:
        """The logins whose account is not known yet."""
        return frozenset(name for name in self._names - set(self._ids) if not name.startswith(ID_PREFIX))

    def pin(self, login: str, user_id: str) -> None:
        """From now on, a login names this account only; ignored for other logins, and those that are known."""
        if login in self.unknown:
            self._ids[login] = user_id
            self.changed.set()

    def contain(self, user: TwitchUser) -> bool:
        """Whether the user is an admin. A login whose account is not known yet is theirs from now on."""
        if f"{ID_PREFIX}{user.id}" in self._names or user.id in self._ids.values():
            return True
        if user.login not in self._names:
            return False
        if user.login in self._ids:
            if user.id not in self._warned and len(self._warned) < 100:
                self._warned.add(user.id)
                _log.warning("admin_login_changed_hands", extra={"login": user.login, "user_id": user.id})
            return False
        self.pin(user.login, user.id)
        return True


@asynccontextmanager
async def pinned(
    admins: Admins,
    folder: Path,
    find: Callable[[str], Awaitable[Broadcaster | None]],
    *,
    clock: Clock,
    background: Background,
) -> AsyncGenerator[None]:
    """Keep the accounts of admins in a file of the folder; ask Twitch in the background for those not known.

    Raises TwitchAudioError with one line for the operator when admins are named by login and the file is damaged:
    the account that has such a login now may be another than the one that had it when it was looked up.
    """
    file = folder / FILE
    known: Mapping[str, str] = await asyncio.to_thread(_read, file) if admins.unknown else {}
    for login, user_id in known.items():
        admins.pin(login, user_id)
    admins.changed.clear()
    async with background.running(
        {
            "look up admins": partial(_resolve, admins, find, clock),
            "keep the accounts of admins": partial(_keep, admins, file),
        }
    ):
        yield


async def _resolve(admins: Admins, find: Callable[[str], Awaitable[Broadcaster | None]], clock: Clock) -> None:
    while admins.unknown:
        for login in sorted(admins.unknown):
            with contextlib.suppress(TwitchAudioError):
                account = await find(login)
                if account is not None and account.login == login:
                    admins.pin(login, account.id)
        await clock.sleep(RETRY_SECONDS)


async def _keep(admins: Admins, file: Path) -> None:
    while True:
        await admins.changed.wait()
        admins.changed.clear()
        try:
            await asyncio.to_thread(_write, file, dict(admins.ids))
        except BaseException:
            admins.changed.set()
            raise


def _read(file: Path) -> Mapping[str, str]:
    try:
        found: Any = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _damaged(file, error.strerror or type(error).__name__) from error
    except ValueError as error:
        raise _damaged(file, "it is not JSON") from error
    if not isinstance(found, dict):
        raise _damaged(file, "it is not an object")
    kept = cast("dict[str, object]", found)
    ids = {login: user_id for login, user_id in kept.items() if isinstance(user_id, str) and user_id.isdecimal()}
    if len(ids) < len(kept):
        raise _damaged(file, "an id is not a number")
    return ids


def _damaged(file: Path, reason: str) -> TwitchAudioError:
    detail = (
        f"{file} says which accounts the logins in TWITCHAUDIO_ADMINS are, and cannot be read: {reason}. "
        "Restore it, or name the admins by id:NUMBER. Delete it only if each login still belongs to the right "
        "person."
    )
    return TwitchAudioError(ProblemCode.INTERNAL, detail)


def _write(file: Path, ids: Mapping[str, str]) -> None:
    temporary = file.with_suffix(".new")
    try:
        with temporary.open("w", encoding="utf-8") as opened:
            json.dump(ids, opened)
            opened.flush()
            # A power cut must not leave an empty file, which would stop the next start.
            os.fsync(opened.fileno())
        temporary.replace(file)
    except OSError:
        _log.warning("admins_not_kept", extra={"file": str(file)})
