"""The operator's lists about users, codes and keys, each over its store."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.ports import Clock
from server.access.identity.api_keys import ApiKeyStore
from server.access.identity.helix import HelixUser
from server.access.identity.twitch_user import ID_PREFIX
from server.access.rules.blacklist_kinds import TAKES, BlacklistKind
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.lists import user_value
from server.access.scopes import DEFAULT_SCOPES, SCOPES
from server.web.admin.sections import AdminSection, Change, Form, FormField, Row

_NOTE: Final = FormField(name="note", label="Note", help="Only visible to operators.")
_DAYS: Final = FormField(name="days", label="Valid for days", number=True, help="Empty: never expires.")


class Whitelist(AdminSection):
    """Users who may ask in subscribers mode without a subscription."""

    slug = "whitelist"
    title = "Whitelist"
    intro = "These people have access in subscribers mode without a subscription."
    columns = ("User", "Since", "Note")
    fields = (
        FormField(
            name="value",
            label="Twitch user",
            required=True,
            help="A login or the channel's address, or id:NUMBER for the account whatever it is called.",
        ),
        _NOTE,
    )
    verbs = ("Let in", "Take off")

    def __init__(self, lists: ListStore, clock: Clock) -> None:
        self._lists = lists
        self._clock = clock

    async def rows(self) -> Sequence[Row]:
        return [
            Row(key=entry.value, cells=(entry.value, entry.created_at, entry.note))
            for entry in await self._lists.whitelist()
        ]

    async def add(self, form: Form) -> Change:
        value = await self._lists.allow(form.text("value"), note=form.text("note"), now=self._clock.now())
        return Change(message=f"{value} is let in.")

    async def remove(self, key: str) -> Change:
        notes = {entry.value: entry.note for entry in await self._lists.whitelist()}
        value = await self._lists.disallow(key)
        undo = {"action": "add", "value": value, "note": notes.get(value, "")}
        return Change(message=f"{value} is no longer on the whitelist.", undo=undo)


class Broadcasters(AdminSection):
    """Broadcasters whose subscribers may ask in subscribers mode."""

    slug = "broadcasters"
    title = "Broadcasters"
    intro = "Their subscribers have access in subscribers mode."
    columns = ("Broadcaster", "Account", "Since", "Note")
    fields = (
        FormField(
            name="value",
            label="Broadcaster",
            required=True,
            help="A Twitch login or the channel's address, or id:NUMBER.",
        ),
        _NOTE,
    )
    verbs = ("List", "Take off")

    def __init__(
        self, broadcasters: BroadcasterStore, clock: Clock, look_up: Callable[[str], Awaitable[HelixUser]]
    ) -> None:
        self._broadcasters = broadcasters
        self._clock = clock
        self._look_up = look_up

    async def rows(self) -> Sequence[Row]:
        return [
            Row(
                key=f"{ID_PREFIX}{each.id}",
                cells=(each.login or None, f"{ID_PREFIX}{each.id}", each.created_at, each.note),
            )
            for each in await self._broadcasters.all()
        ]

    async def add(self, form: Form) -> Change:
        found = await self._look_up(user_value(form.text("value")))
        await self._broadcasters.add(found.id, found.login, note=form.text("note"), now=self._clock.now())
        message = (
            f"{found.login or ID_PREFIX + found.id} is listed: their subscribers have access in subscribers mode."
        )
        if found.login and not found.kind:
            message += " They are neither affiliate nor partner now, and so have no subscribers."
        return Change(message=message)

    async def remove(self, key: str) -> Change:
        notes = {f"{ID_PREFIX}{each.id}": each.note for each in await self._broadcasters.all()}
        name = await self._broadcasters.remove(key)
        undo = {"action": "add", "value": key, "note": notes.get(key, "")}
        return Change(message=f"{name} is not listed any more.", undo=undo)


class Blacklisted(AdminSection):
    """Users, addresses and targets that are refused in every access mode."""

    slug = "blacklist"
    title = "Blacklist"
    intro = "Who or what is listed here is refused in every access mode. The reason is yours alone."
    columns = ("Kind", "Value", "Since", "Reason")
    fields = (
        FormField(
            name="kind",
            label="Kind",
            required=True,
            choices=tuple(str(kind) for kind in BlacklistKind),
            help="\n".join(f"{kind}: {takes}" for kind, takes in TAKES.items()),
        ),
        FormField(name="value", label="Value", required=True),
        FormField(name="note", label="Reason", help="Only visible to operators."),
    )
    verbs = ("Block", "Allow again")

    def __init__(self, lists: ListStore, clock: Clock, forget: Callable[[str], Awaitable[int]]) -> None:
        self._lists = lists
        self._clock = clock
        self._forget = forget

    async def rows(self) -> Sequence[Row]:
        return [
            Row(
                key=f"{entry.kind} {entry.value}",
                cells=(entry.kind, entry.value, entry.created_at, entry.note),
            )
            for entry in await self._lists.blacklist()
        ]

    async def add(self, form: Form) -> Change:
        kind = _kind(form.text("kind"))
        value = await self._lists.block(kind, form.text("value"), reason=form.text("note"), now=self._clock.now())
        if kind is BlacklistKind.FORGOTTEN_CHANNEL:
            count = await self._forget(value)
            return Change(message=f"{value} is blocked. Answers deleted: {count}.")
        return Change(message=f"{kind} {value} is blocked.")

    async def remove(self, key: str) -> Change:
        name, _, text = key.partition(" ")
        kind = _kind(name)
        reasons = {(entry.kind, entry.value): entry.note for entry in await self._lists.blacklist()}
        value = await self._lists.unblock(kind, text)
        undo = {"action": "add", "kind": str(kind), "value": value, "note": reasons.get((kind, value), "")}
        return Change(message=f"{kind} {value} is no longer blocked.", undo=undo)


def _kind(text: str) -> BlacklistKind:
    try:
        return BlacklistKind(text)
    except ValueError as error:
        raise invalid_input(f"Kind takes one of {', '.join(BlacklistKind)}.") from error


class Codes(AdminSection):
    """Access codes, which let Twitch users ask in subscribers mode."""

    slug = "codes"
    title = "Access codes"
    intro = "A code gives access in subscribers mode until you revoke it. It is shown only once."
    columns = ("Code", "Note", "Used", "State", "Made", "Until")
    fields = (
        FormField(name="uses", label="People who may redeem it", number=True, value="1", required=True),
        FormField(name="days", label="To be redeemed within days", number=True, help="Empty: whenever."),
        _NOTE,
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


def find_section(sections: Sequence[AdminSection], slug: str) -> AdminSection:
    """The section with this slug. Raises TwitchAudioError `not-found`."""
    for section in sections:
        if section.slug == slug:
            return section
    raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no such admin page.")
