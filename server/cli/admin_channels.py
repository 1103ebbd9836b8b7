"""`twitchaudio admin song-tokens` and `reports`: what belongs to channels and their answers."""

import argparse
import sys
from datetime import UTC, datetime
from typing import cast

from fingerprint.database import Database
from fingerprint.domain.targets import channel_target
from fingerprint.settings import Secret
from server.channels.reports import ReportStore
from server.channels.song_tokens import SongToken, SongTokenStore
from server.cli import Subparsers
from server.cli.with_database import operator, with_database


def register(groups: Subparsers) -> None:
    """Add the command groups to `admin`."""
    _register_song_tokens(groups)
    _register_reports(groups)


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
        return await SongTokenStore(database, changes=operator()).create(channel, now=datetime.now(UTC), note=note)

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
            await SongTokenStore(database, changes=operator()).revoke(token_id, now=datetime.now(UTC))
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
            await ReportStore(database, changes=operator()).handle(report_id, datetime.now(UTC))
            print(f"{report_id} is done.")

    with_database(handle)
    return 0
