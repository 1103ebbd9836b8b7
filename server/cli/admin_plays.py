"""`twitchaudio admin plays`: corrects and hides plays of a channel, and chooses what is public."""

import argparse
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from fingerprint.clock import SystemClock
from fingerprint.database import Database
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.targets import channel_target
from fingerprint.jobs import open_job_store
from fingerprint.settings import read_settings
from server.channel_names import ChannelNames
from server.channels.play_corrections import PlayCorrections
from server.channels.song_tokens import OPERATOR
from server.cli import checked_arguments
from server.cli.listing import print_list
from server.cli.with_database import operator_changes, with_database
from server.identifications.history import ChannelHistory
from server.identifications.limits import ServiceLimits
from server.owner_choices.choices import Visibility
from server.owner_choices.service import OwnerChoices
from server.settings import ServerSettings
from server.songs.store import SongStore

MOST_PLAYS: Final = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Plays:
    """What the commands work with: the set lists, what is decided, and what changes it."""

    history: ChannelHistory
    choices: OwnerChoices
    corrections: PlayCorrections


@asynccontextmanager
async def _opened(database: Database) -> AsyncGenerator[_Plays]:
    clock = SystemClock()
    names = ChannelNames(database, None, clock=clock)
    async with (
        open_job_store(read_settings(ServerSettings).pipeline, clock, database) as store,
        OwnerChoices(database, names, clock=clock) as choices,
    ):
        history = ChannelHistory(store, names=names, choices=choices, limits=ServiceLimits())
        corrections = PlayCorrections(
            database, history, choices, SongStore(database), clock=clock, on_changed=lambda _login: None
        )
        yield _Plays(history, choices, corrections)


def _with_plays(work: Callable[[_Plays], Awaitable[T]]) -> T:
    async def run(database: Database) -> T:
        async with _opened(database) as plays:
            return await work(plays)

    return with_database(run)


def list_plays(arguments: argparse.Namespace) -> None:
    """Print the newest plays."""
    with checked_arguments():
        login = channel_target(arguments.channel).login
    page = _with_plays(lambda plays: plays.history.set_list(login, limit=MOST_PLAYS))
    rows = [
        {
            "id": play.answers[0],
            "title": play.song.title,
            "artists": play.song.artists,
            "corrected": "yes" if play.song.corrected else None,
            "first_heard": play.first_heard,
            "last_heard": play.last_heard,
        }
        for play in page.plays
    ]
    print_list(rows, as_json=arguments.json)


def correct(arguments: argparse.Namespace) -> None:
    """Give a play another title and artists."""
    with checked_arguments():
        login = channel_target(arguments.channel).login
        if arguments.title is None and arguments.artist is None:
            raise invalid_input("Say what it is called: --title, --artist, or both.")
    found = _with_plays(
        lambda plays: plays.corrections.correct(
            login,
            arguments.id,
            title=arguments.title,
            artists=arguments.artist,
            made_by=OPERATOR,
            changes=operator_changes(),
        )
    )
    print(f"{found.was_title} is {', '.join(found.artists)} - {found.title} now (correction {found.id}).")


def hide(arguments: argparse.Namespace) -> None:
    """Hide plays."""
    with checked_arguments():
        login = channel_target(arguments.channel).login

    async def work(plays: _Plays) -> None:
        for play in arguments.ids:
            found = await plays.corrections.hide(login, play, made_by=OPERATOR, changes=operator_changes())
            print(f"{found.was_title} is hidden (correction {found.id}).")

    _with_plays(work)


def list_corrections(arguments: argparse.Namespace) -> None:
    """Print the corrected and hidden plays."""
    with checked_arguments():
        login = channel_target(arguments.channel).login
    rows = [
        {
            "id": each.id,
            "hidden": "yes" if each.hidden else None,
            "title": each.title,
            "artists": each.artists,
            "recognized_title": each.was_title,
            "recognized_artists": each.was_artists,
            "last_heard": each.time.until,
            "recording": each.time.recording,
            "made_by": each.made_by,
        }
        for each in _with_plays(lambda plays: plays.corrections.all(login))
    ]
    print_list(rows, as_json=arguments.json)


def undo(arguments: argparse.Namespace) -> None:
    """Show plays as they were recognized."""
    with checked_arguments():
        login = channel_target(arguments.channel).login

    async def work(plays: _Plays) -> None:
        for number in arguments.ids:
            await plays.corrections.undo(login, number, changes=operator_changes())
            print(f"{number} is undone.")

    _with_plays(work)


def public(arguments: argparse.Namespace) -> None:
    """Show what of a channel is public, or set it."""
    with checked_arguments():
        login = channel_target(arguments.channel).login

    async def work(plays: _Plays) -> Visibility:
        if arguments.public is not None:
            await plays.corrections.choose(
                login, Visibility(arguments.public), made_by=OPERATOR, changes=operator_changes()
            )
        return (await plays.choices.of(login)).visibility

    found = _with_plays(work)
    print_list([{"channel": login, "public": str(found)}], as_json=arguments.json)
