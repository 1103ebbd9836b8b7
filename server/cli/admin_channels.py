"""`twitchaudio admin song-tokens`, `reports` and `watches`: what belongs to channels and their answers."""

import argparse
import sys
from datetime import UTC, datetime
from typing import cast

from fingerprint.database import Database
from fingerprint.domain.targets import channel_target
from fingerprint.settings import Secret, read_settings
from server.channels.reports import ReportStore
from server.channels.song_tokens import OPERATOR, SongToken, SongTokenStore
from server.channels.watch import BUDGET, EVERY_SECONDS, watch_terms
from server.channels.watch_store import WatchStore
from server.cli import Subparsers
from server.cli.with_database import operator_changes, positive_int, with_database
from server.settings import ServerSettings


def register(groups: Subparsers) -> None:
    """Add the command groups `song-tokens`, `reports` and `watches` to `admin`."""
    _register_song_tokens(groups)
    _register_reports(groups)
    _register_watches(groups)


def _register_song_tokens(groups: Subparsers) -> None:
    text = "tokens with which a chat bot asks for one channel's song"
    command = groups.add_parser("song-tokens", help=text, description=f"{text.capitalize()}; lists them.")
    command.set_defaults(run=_list_tokens, channel=None)
    actions = command.add_subparsers(metavar="ACTION")
    listed = actions.add_parser(
        "list", help="list them", description="List them; the tokens themselves are not kept."
    )
    listed.add_argument("--channel", metavar="NAME", help="only this channel's")
    listed.set_defaults(run=_list_tokens)
    create = actions.add_parser("create", help="make one", description="Make a token. It is shown this once.")
    create.add_argument("channel", metavar="CHANNEL", help="the channel that it may ask for")
    create.add_argument("--note", default="", metavar="TEXT", help="which bot, for you and the channel's owner")
    create.set_defaults(run=_create_token)
    revoke = actions.add_parser(
        "revoke", help="make tokens invalid for good", description="Make tokens invalid for good."
    )
    revoke.add_argument("ids", nargs="+", metavar="ID")
    revoke.set_defaults(run=_revoke_tokens)


def _register_reports(groups: Subparsers) -> None:
    text = "answers that listeners reported as wrong"
    command = groups.add_parser("reports", help=text, description=f"{text.capitalize()}; lists the open ones.")
    command.set_defaults(run=_list_reports, all=False)
    actions = command.add_subparsers(metavar="ACTION")
    listed = actions.add_parser("list", help="list them", description="List the newest.")
    listed.add_argument("--all", action="store_true", help="also those that you are done with")
    listed.set_defaults(run=_list_reports)
    done = actions.add_parser("done", help="take them off the list", description="Take them off the list.")
    done.add_argument("ids", nargs="+", metavar="ID")
    done.set_defaults(run=_handle_reports)


def _register_watches(groups: Subparsers) -> None:
    text = "channels that are identified again and again while they are live"
    command = groups.add_parser("watches", help=text, description=f"{text.capitalize()}; lists them.")
    command.set_defaults(run=_list_watches)
    actions = command.add_subparsers(metavar="ACTION")
    actions.add_parser("list", help="list them", description="List them.").set_defaults(run=_list_watches)
    start = actions.add_parser(
        "start",
        help="watch a channel",
        description="Watch a channel until its stream ends or the budget is used. A server has to run.",
    )
    start.add_argument("channel", metavar="CHANNEL")
    start.add_argument(
        "--every",
        type=positive_int,
        default=EVERY_SECONDS,
        metavar="N",
        help=f"seconds (default: {EVERY_SECONDS})",
    )
    start.add_argument(
        "--budget", type=positive_int, default=BUDGET, metavar="N", help=f"identifications (default: {BUDGET})"
    )
    start.set_defaults(run=_start_watch)
    stop = actions.add_parser("stop", help="stop watching", description="Stop watching.")
    stop.add_argument("channels", nargs="+", metavar="CHANNEL")
    stop.set_defaults(run=_stop_watches)


def _list_watches(_arguments: argparse.Namespace) -> int:
    for watch in with_database(lambda database: WatchStore(database).newest()):
        last = "not yet" if watch.last_at is None else f"last {watch.last_at:%Y-%m-%d %H:%M:%S}"
        state = watch.state if watch.reason is None else f"{watch.state}: {watch.reason}"
        used = f"used {watch.used} of {watch.budget}"
        print(" | ".join([watch.channel, state, f"every {watch.every_seconds} s", used, last, watch.made_by]))
    return 0


def _start_watch(arguments: argparse.Namespace) -> int:
    channel = channel_target(cast("str", arguments.channel)).login
    every, budget = watch_terms(cast("int", arguments.every), cast("int", arguments.budget))
    most = read_settings(ServerSettings).watches

    async def start(database: Database) -> bool:
        _, started = await WatchStore(database, changes=operator_changes()).start(
            channel,
            every_seconds=every,
            budget=budget,
            made_by=OPERATOR,
            most=most,
            now=datetime.now(UTC),
        )
        return started

    started = with_database(start)
    print(f"{channel} {'is being watched' if started else 'was being watched, and has the new terms'}.")
    return 0


def _stop_watches(arguments: argparse.Namespace) -> int:
    async def stop(database: Database) -> None:
        for text in cast("list[str]", arguments.channels):
            channel = channel_target(text).login
            stopped = await WatchStore(database, changes=operator_changes()).stop(channel, now=datetime.now(UTC))
            print(f"{channel} {'is no longer' if stopped else 'was not being'} watched.")

    with_database(stop)
    return 0


def _list_tokens(arguments: argparse.Namespace) -> int:
    name = cast("str | None", arguments.channel)
    channel = None if name is None else channel_target(name).login
    for token in with_database(lambda database: SongTokenStore(database).all(channel)):
        state = "valid" if token.revoked_at is None else "revoked"
        used = "never used" if token.used_at is None else f"last used {token.used_at:%Y-%m-%d %H:%M}"
        print(" | ".join([token.id, token.channel, token.note, f"made by {token.made_by}", state, used]))
    return 0


def _create_token(arguments: argparse.Namespace) -> int:
    channel = channel_target(cast("str", arguments.channel)).login

    async def create(database: Database) -> tuple[SongToken, Secret]:
        note = cast("str", arguments.note)
        return await SongTokenStore(database, changes=operator_changes()).create(
            channel, now=datetime.now(UTC), note=note
        )

    token, secret = with_database(create)
    print(secret.reveal())
    print(
        f"This is the token {token.id} for {channel}. It is shown this once: only a hash of it is kept. "
        f"The bot asks /api/v1/channels/{channel}/song.txt?token=...",
        file=sys.stderr,
    )
    return 0


def _revoke_tokens(arguments: argparse.Namespace) -> int:
    async def revoke(database: Database) -> None:
        for token_id in cast("list[str]", arguments.ids):
            await SongTokenStore(database, changes=operator_changes()).revoke(token_id, now=datetime.now(UTC))
            print(f"{token_id} is revoked.")

    with_database(revoke)
    return 0


def _list_reports(arguments: argparse.Namespace) -> int:
    handled = None if cast("bool", arguments.all) else False
    for report in with_database(lambda database: ReportStore(database).newest(handled=handled)):
        about = f"{report.kind} {report.target}"
        when = f"{report.created_at:%Y-%m-%d %H:%M}"
        print(" | ".join([report.id, when, about, report.song or "no song", report.reason, report.note]))
    return 0


def _handle_reports(arguments: argparse.Namespace) -> int:
    async def handle(database: Database) -> None:
        for report_id in cast("list[str]", arguments.ids):
            await ReportStore(database, changes=operator_changes()).handle(report_id, datetime.now(UTC))
            print(f"{report_id} is done.")

    with_database(handle)
    return 0
