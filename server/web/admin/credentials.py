"""The operator's lists of access codes and API keys, each over its store."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.problems import invalid_input
from fingerprint.ports import Clock
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.codes import CodeStore
from server.access.scopes import DEFAULT_SCOPES, SCOPES
from server.web.admin.lists import NOTE
from server.web.admin.sections import AdminSection, Change, Form, FormField, Row

_DAYS: Final = FormField(name="days", label="Valid for days", number=True, help="Empty: never expires.")


class Codes(AdminSection):
    """Access codes, which let Twitch users ask in subscribers mode."""

    slug = "codes"
    title = "Access codes"
    intro = "A code gives access in subscribers mode until you revoke it. It is shown only once."
    columns = ("Code", "Note", "Used", "State", "Made", "Until")
    fields = (
        FormField(name="uses", label="People who may redeem it", number=True, value="1", required=True),
        FormField(name="days", label="To be redeemed within days", number=True, help="Empty: whenever."),
        NOTE,
    )
    verbs = ("Make a code", "Revoke")
    warning = "Everyone who redeemed it loses access."

    def __init__(self, codes: CodeStore, clock: Clock) -> None:
        self._codes = codes
        self._clock = clock

    async def rows(self) -> Sequence[Row]:
        """Every code, without its text."""
        now = self._clock.now()
        return [
            Row(
                key="" if code.revoked_at else code.id,
                cells=(
                    code.id,
                    code.note,
                    f"{code.used} of {code.most_uses}",
                    state := _state(code.revoked_at, code.expires_at, now),
                    code.created_at,
                    code.expires_at,
                ),
                ended=state != "valid",
            )
            for code in await self._codes.all()
        ]

    async def add(self, form: Form) -> Change:
        uses, days = (form.count(field) for field in self.fields[:2])
        now = self._clock.now()
        code_id, secret = await self._codes.create(
            now=now, note=form.text("note"), most_uses=uses or 1, expires_at=_after(now, days)
        )
        message = f"This is the code {code_id}. You won't see it again: only a hash of it is stored."
        return Change(message=message, secret=secret)

    async def remove(self, key: str) -> Change:
        """Revoke a code, and with it the access of the users who redeemed it."""
        await self._codes.revoke(key, self._clock.now())
        return Change(message=f"The code {key} is revoked.", undo={"action": "undo", "key": key})

    async def undo_remove(self, key: str) -> Change:
        await self._codes.undo_revoke(key, self._clock.now())
        return Change(message=f"The code {key} is valid again.")


class Keys(AdminSection):
    """API keys, with which programs ask in every access mode."""

    slug = "keys"
    title = "API keys"
    intro = "For programs: chat bots, overlays, other services. A key has access in every mode. It is shown once."
    columns = ("Key", "Begins with", "Name", "Scopes", "Limits", "State", "Last used")
    fields = (
        FormField(name="name", label="Name", required=True, limit=100, help="Whose it is, or what it is for."),
        FormField(
            name="scope",
            label="Scopes",
            choices=SCOPES,
            many=True,
            help=f"Nothing chosen: {' and '.join(DEFAULT_SCOPES)}.",
        ),
        FormField(name="per_minute", label="New identifications a minute", number=True, help="Empty: no limit."),
        FormField(
            name="per_day", label="New identifications a day", number=True, help="Days of UTC. Empty: no limit."
        ),
        _DAYS,
    )
    verbs = ("Make a key", "Revoke")
    warning = "Programs that use it are refused from then on."

    def __init__(self, keys: ApiKeyStore, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def rows(self) -> Sequence[Row]:
        """Every key, without its text."""
        now = self._clock.now()
        return [
            Row(
                key="" if key.revoked_at else key.id,
                cells=(
                    key.id,
                    f"{key.shown}…",
                    key.name,
                    ", ".join(sorted(key.scopes)),
                    ", ".join(
                        f"{most} a {unit}"
                        for most, unit in ((key.per_minute, "minute"), (key.per_day, "day"))
                        if most is not None
                    ),
                    state := _state(key.revoked_at, key.expires_at, now),
                    key.used_at,
                ),
                ended=state != "valid",
            )
            for key in await self._keys.all()
        ]

    async def add(self, form: Form) -> Change:
        per_minute, per_day, days = (form.count(field) for field in self.fields[2:])
        scopes = form.all("scope") or list(DEFAULT_SCOPES)
        if not set(scopes) <= set(SCOPES):
            raise invalid_input(f"The scopes of a key are {', '.join(SCOPES)}.")
        now = self._clock.now()
        key, secret = await self._keys.create(
            form.text("name"),
            now=now,
            scopes=scopes,
            per_minute=per_minute,
            per_day=per_day,
            expires_at=_after(now, days),
        )
        message = f"This is the key {key.id} ({key.name}). You won't see it again: only a hash of it is stored."
        return Change(message=message, secret=secret)

    async def remove(self, key: str) -> Change:
        await self._keys.revoke(key, self._clock.now())
        return Change(message=f"The key {key} is revoked.", undo={"action": "undo", "key": key})

    async def undo_remove(self, key: str) -> Change:
        await self._keys.undo_revoke(key, self._clock.now())
        return Change(message=f"The key {key} is valid again.")


def _state(revoked_at: datetime | None, expires_at: datetime | None, now: datetime) -> str:
    if revoked_at is not None:
        return "revoked"
    return "expired" if expires_at is not None and expires_at <= now else "valid"


def _after(now: datetime, days: int | None) -> datetime | None:
    try:
        return None if days is None else now + timedelta(days=days)
    except OverflowError as error:
        raise invalid_input("That is too many days from now.") from error
