"""What a channel's owner and operators see and change on its page: corrections, and what is public."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import TwitchAudioError, invalid_input
from fingerprint.domain.text import clock_text
from server import keys
from server.access.revocations import UNDO_WITHIN
from server.api.owners import sees_all
from server.api.plays import may_decide
from server.owner_choices.choices import Correction, Visibility
from server.web.languages import Language, marked

CHOICES: Final = {
    Visibility.SET_LIST: marked("The set list"),
    Visibility.NOW: marked("Only the song that is playing now"),
    Visibility.NOTHING: marked("Nothing"),
}
"""What the owner can choose, as the page calls it."""

MOST_SHOWN: Final = 100
"""How many corrections the page lists; the API has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRow:
    """A correction as the page lists it. `title`: what is shown; empty for a hidden play."""

    id: str
    title: str
    artists: str
    was_title: str
    was_artists: str
    heard: datetime
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDesk:
    """What an answer's page offers to the channel's owner and operators. `artists`: one a line."""

    login: str
    id: str
    title: str
    artists: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayDesk:
    """What the page offers to the owner and operators. `undo`: the correction that was just made, for a minute."""

    corrections: Sequence[CorrectionRow]
    more: int
    undo: CorrectionRow | None
    visibility: Visibility
    choices: Sequence[tuple[str, str, bool]]


async def shown_desk(request: web.Request, login: str, language: Language) -> PlayDesk | None:
    """The desk; None for visitors who may not decide about the channel. Raises TwitchAudioError `busy`."""
    try:
        if request[keys.CONTEXT].credentials.session is None or not await sees_all(request, login):
            return None
    except TwitchAudioError:
        # Without knowing the visitor, the set list can be shown all the same.
        return None
    found = await request.app[keys.CHOICES].of(login)
    number, now = request.query.get("changed", ""), request.app[keys.CLOCK].now()
    undo = next(
        (each for each in found.corrections if each.id == number and now - each.changed_at <= UNDO_WITHIN), None
    )
    return PlayDesk(
        corrections=[_row(each, language) for each in found.corrections[:MOST_SHOWN]],
        more=max(0, len(found.corrections) - MOST_SHOWN),
        undo=None if undo is None else _row(undo, language),
        visibility=found.visibility,
        choices=[
            (str(value), language.gettext(name), value is found.visibility) for value, name in CHOICES.items()
        ],
    )


async def answer_desk(request: web.Request, found: Identification | None) -> AnswerDesk | None:
    """What the page of an answer offers; None for visitors who may not decide about its channel."""
    if found is None or found.song is None or request[keys.CONTEXT].credentials.session is None:
        return None
    login = found.channel
    if found.kind is Kind.STREAM:
        # The answer about an earlier moment is no play of its own.
        login = found.target if found.asked_at is None else None
    try:
        if login is None or not await sees_all(request, login):
            return None
    except TwitchAudioError:
        # Without knowing the visitor, the answer can be shown all the same.
        return None
    return AnswerDesk(login=login, id=found.id, title=found.song.title, artists="\n".join(found.song.artists))


def _where(recording: str | None, language: Language) -> str:
    """The clip or the moment of a VOD that a correction is about; empty for a play."""
    if recording is None:
        return ""
    kind, target, *at = recording.split(":")
    if kind == "clip":
        return language.gettext("Clip %(clip)s", clip=target)
    return language.gettext("Video %(video)s at %(time)s", video=target, time=clock_text(int(at[0])))


def _row(correction: Correction, language: Language) -> CorrectionRow:
    return CorrectionRow(
        id=correction.id,
        title=correction.title or "",
        artists=", ".join(correction.artists),
        was_title=correction.was_title,
        was_artists=", ".join(correction.was_artists),
        heard=correction.time.until,
        where=_where(correction.time.recording, language),
    )


async def change_plays(request: web.Request, login: str, form: Mapping[str, str]) -> str:
    """Hide or correct a play, or undo that, as a form says; the id of the correction, if one was made.

    Raises TwitchAudioError `invalid-input`, and what `may_decide` and `PlayCorrections` raise.
    """
    made_by, changes = await may_decide(request, login)
    plays, number = request.app[keys.PLAYS], form.get("id", "")[:100]
    match form.get("action", ""):
        case "hide":
            return (await plays.hide(login, number, made_by=made_by, changes=changes)).id
        case "correct":
            title, artists = form.get("title", "").strip(), form.get("artists", "").splitlines()
            if not title:
                raise invalid_input("A song needs a title.")
            found = await plays.correct(
                login, number, title=title, artists=artists, made_by=made_by, changes=changes
            )
            return found.id
        case "undo":
            await plays.undo(login, number, changes=changes)
            return ""
        case _:
            raise invalid_input("`action` is correct, hide or undo.")


async def choose_public(request: web.Request, login: str, form: Mapping[str, str]) -> None:
    """Decide what is public. Raises TwitchAudioError `invalid-input`, and what `may_decide` raises."""
    made_by, changes = await may_decide(request, login)
    chosen = form.get("public", "")
    if chosen not in list(Visibility):
        raise invalid_input("`public` is set-list, now or nothing.")
    await request.app[keys.PLAYS].choose(login, Visibility(chosen), made_by=made_by, changes=changes)
