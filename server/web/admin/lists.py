"""The operator's lists about users, codes and keys, each over its store."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.ports import Clock
from server.access.identity.helix import HelixUser
from server.access.identity.twitch_user import ID_PREFIX
from server.access.rules.blacklist_kinds import TAKES, BlacklistKind
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.list_store import ListStore
from server.access.rules.lists import user_value
from server.web.admin.sections import AdminSection, Change, Form, FormField, Row

NOTE: Final = FormField(name="note", label="Note", help="Only visible to operators.")


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
        NOTE,
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
        NOTE,
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


def find_section(sections: Sequence[AdminSection], slug: str) -> AdminSection:
    """The section with this slug. Raises TwitchAudioError `not-found`."""
    for section in sections:
        if section.slug == slug:
            return section
    raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no such admin page.")
