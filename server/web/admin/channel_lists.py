"""The operator's lists about channels: wrong answers, watches, and tokens for chat bots."""

from collections.abc import Callable, Sequence
from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import channel_target
from fingerprint.ports import Clock
from server.channels.reports import ReportStore
from server.channels.song_tokens import SongTokenStore
from server.channels.unknown_store import UnknownStore
from server.channels.watch import WatchState
from server.channels.watch_store import WatchStore
from server.channels.watch_terms import BUDGET, EVERY_SECONDS, watch_terms
from server.web.admin.sections import AdminSection, Change, Form, FormField, Row

_CHANNEL: Final = FormField(
    name="channel", label="Channel", required=True, help="Its name, or its address at Twitch."
)


class Reports(AdminSection):
    """Answers that listeners say are wrong."""

    slug = "reports"
    title = "Reports"
    intro = "Answers that viewers reported as wrong. A reported clip is identified again on the next request."
    columns = ("Target", "Answer", "Reason", "Note", "When")
    fields = ()
    verbs = ("", "Done")

    def __init__(self, reports: ReportStore, clock: Clock) -> None:
        self._reports = reports
        self._clock = clock

    async def rows(self) -> Sequence[Row]:
        """Every report that is not handled, newest first."""
        return [
            Row(
                key=report.id,
                cells=(
                    f"{report.kind} {report.target}",
                    report.song or "no song",
                    str(report.reason),
                    report.note,
                    report.created_at,
                ),
            )
            for report in await self._reports.newest(handled=False)
        ]

    async def add(self, form: Form) -> Change:
        """Raises TwitchAudioError `invalid-input`: only listeners send reports."""
        raise TwitchAudioError(ProblemCode.INVALID_INPUT, "Reports are sent by listeners.")

    async def remove(self, key: str) -> Change:
        """Mark a report as handled."""
        await self._reports.handle(key, self._clock.now())
        return Change(message="Done with that report.", undo={"action": "undo", "key": key})

    async def undo_remove(self, key: str) -> Change:
        await self._reports.undo_handle(key, self._clock.now())
        return Change(message="That report is in the list again.")


class UnknownMoments(AdminSection):
    """Moments for which no song was found."""

    slug = "unknowns"
    title = "Unknown songs"
    intro = (
        "Moments in which no song was found, most wanted first. When music is added to the catalog, we search for "
        "them again. We keep a fingerprint of each, but no sound."
    )
    columns = ("Where", "Channel", "Asked for", "When")
    fields = ()
    verbs = ("", "Delete")
    warning = "It is not searched for again, and cannot be brought back."

    def __init__(self, unknowns: UnknownStore) -> None:
        self._unknowns = unknowns

    async def rows(self) -> Sequence[Row]:
        return [
            Row(
                key=unknown.id,
                cells=(
                    f"{unknown.kind} {unknown.target}",
                    unknown.channel,
                    "once" if unknown.times == 1 else f"{unknown.times} times",
                    unknown.captured_at or unknown.created_at,
                ),
            )
            for unknown in await self._unknowns.most_asked()
        ]

    async def add(self, form: Form) -> Change:
        """Raises TwitchAudioError `invalid-input`: only questions without an answer add some."""
        raise TwitchAudioError(ProblemCode.INVALID_INPUT, "Unknown songs come from questions without an answer.")

    async def remove(self, key: str) -> Change:
        await self._unknowns.delete([key])
        return Change(message="It is deleted, and is not searched for any more.")


class Watches(AdminSection):
    """Channels that are identified at an interval while they are live."""

    slug = "watches"
    title = "Watched channels"
    intro = (
        "We identify the music on a watched channel until its stream ends or the budget is used. A watch that the "
        "channel's owner started goes on with each stream; its budget is of one day."
    )
    columns = ("Channel", "State", "Every", "Used", "Last", "Made by")
    fields = (
        _CHANNEL,
        FormField(name="every", label="Every seconds", number=True, value=str(EVERY_SECONDS), required=True),
        FormField(name="budget", label="Identifications at most", number=True, value=str(BUDGET), required=True),
    )
    verbs = ("Watch", "Stop")

    def __init__(
        self, watches: WatchStore, clock: Clock, *, made_by: str, most: int, wake: Callable[[], None]
    ) -> None:
        self._watches = watches
        self._clock = clock
        self._made_by = made_by
        self._most = most
        self._wake = wake

    async def rows(self) -> Sequence[Row]:
        return [
            Row(
                key=watch.channel if watch.state is WatchState.RUNNING else "",
                cells=(
                    watch.channel,
                    str(watch.state) if watch.reason is None else f"{watch.state}: {watch.reason}",
                    f"{watch.every_seconds} s",
                    f"{watch.used} of {watch.budget}",
                    watch.last_at,
                    watch.made_by,
                ),
                ended=watch.state is WatchState.ENDED,
            )
            for watch in await self._watches.newest()
        ]

    async def add(self, form: Form) -> Change:
        channel = channel_target(form.text("channel")).login
        every, budget = (form.count(field) for field in self.fields[1:])
        seconds, most = watch_terms(every or EVERY_SECONDS, budget or BUDGET)
        _, started = await self._watches.start(
            channel,
            every_seconds=seconds,
            budget=most,
            made_by=self._made_by,
            most=self._most,
            now=self._clock.now(),
        )
        self._wake()
        return Change(
            message=f"{channel} {'is being watched' if started else 'was being watched, and has the new terms'}."
        )

    async def remove(self, key: str) -> Change:
        channel = channel_target(key).login
        if not await self._watches.stop(channel, now=self._clock.now()):
            raise TwitchAudioError(ProblemCode.NOT_FOUND, f"{channel} is not being watched.")
        return Change(message=f"{channel} is no longer watched.", undo={"action": "undo", "key": channel})

    async def undo_remove(self, key: str) -> Change:
        channel = channel_target(key).login
        await self._watches.undo_stop(channel, most=self._most, now=self._clock.now())
        self._wake()
        return Change(message=f"{channel} is being watched again.")


class SongTokens(AdminSection):
    """Tokens with which a chat bot reads one channel's song."""

    slug = "song-tokens"
    title = "Chat bot tokens"
    intro = (
        "Chat bots cannot send headers, so they use a token in the URL. It only gives access to one channel's "
        "song.txt. A token is shown only once."
    )
    columns = ("Token", "Channel", "Note", "Made by", "State", "Made", "Last used")
    fields = (_CHANNEL, FormField(name="note", label="Note", help="Which bot it is for."))
    verbs = ("Make a token", "Revoke")
    warning = "The bot that uses it gets no songs from then on."

    def __init__(self, tokens: SongTokenStore, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    async def rows(self) -> Sequence[Row]:
        """Every token, without its text."""
        return [
            Row(
                key="" if token.revoked_at else token.id,
                cells=(
                    token.id,
                    token.channel,
                    token.note,
                    token.made_by,
                    "revoked" if token.revoked_at else "valid",
                    token.created_at,
                    token.used_at,
                ),
                ended=token.revoked_at is not None,
            )
            for token in await self._tokens.all()
        ]

    async def add(self, form: Form) -> Change:
        channel = channel_target(form.text("channel")).login
        token, secret = await self._tokens.create(channel, now=self._clock.now(), note=form.text("note"))
        message = (
            f"This is the token {token.id} for {channel}. You won't see it again: only a hash of it is stored."
        )
        return Change(message=message, secret=secret)

    async def remove(self, key: str) -> Change:
        await self._tokens.revoke(key, now=self._clock.now())
        return Change(message=f"The token {key} is revoked.", undo={"action": "undo", "key": key})

    async def undo_remove(self, key: str) -> Change:
        await self._tokens.undo_revoke(key, now=self._clock.now())
        return Change(message=f"The token {key} is valid again.")
