"""`twitchaudio admin song-tokens`, `reports`, `watches`, `channels`, `unknowns`: what belongs to channels."""

import argparse
import sys
from datetime import UTC, datetime
from typing import cast

from fingerprint.database import Database
from fingerprint.domain.targets import channel_target
from fingerprint.settings import read_settings
from server.access.rules.lists import user_value
from server.channels.reports import ReportStore
from server.channels.song_tokens import OPERATOR, SongTokenStore
from server.channels.unknown_store import UnknownStore
from server.channels.watch import BUDGET, EVERY_SECONDS, watch_terms
from server.channels.watch_store import WatchStore
from server.cli import Subparsers, add_command, add_list
from server.cli.listing import print_list
from server.cli.with_database import forget_channel, operator_changes, positive_int, print_secret, with_database
from server.settings import ServerSettings


def register(groups: Subparsers) -> None:
    """Add the command groups `song-tokens`, `reports`, `watches`, `channels` and `unknowns` to `admin`."""
    _register_song_tokens(groups)
    _register_reports(groups)
    _register_watches(groups)
    _register_channels(groups)
    _register_unknowns(groups)


def _register_song_tokens(groups: Subparsers) -> None:
    text = "tokens with which a chat bot asks for one channel's song"
    kept = "; the tokens themselves are not kept"
    actions, listed = add_list(groups, "song-tokens", text, _list_tokens, more=kept, channel=None)
    listed.add_argument("--channel", metavar="NAME", help="only this channel's")
    create = add_command(actions, "create", "make a token, which is shown this once", _create_token)
    create.add_argument("channel", metavar="CHANNEL", help="the channel that it gives access to")
    create.add_argument("--note", default="", metavar="TEXT", help="which bot, for you and the channel's owner")
    revoke = add_command(actions, "revoke", "revoke tokens", _revoke_tokens)
    revoke.add_argument("ids", nargs="+", metavar="ID")


def _register_reports(groups: Subparsers) -> None:
    text = "answers that listeners reported as wrong"
    actions, listed = add_list(groups, "reports", text, _list_reports, more=", the newest first", all=False)
    listed.add_argument("--all", action="store_true", help="also those that you are done with")
    done = add_command(actions, "done", "take them off the list", _handle_reports)
    done.add_argument("ids", nargs="+", metavar="ID")


def _register_watches(groups: Subparsers) -> None:
    text = "channels whose music is identified while they are live"
    actions, _ = add_list(groups, "watches", text, _list_watches)
    until = " until its stream ends or the budget is used. A server has to run"
    start = add_command(actions, "start", "watch a channel", _start_watch, more=until)
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
    stop = add_command(actions, "stop", "stop watching", _stop_watches)
    stop.add_argument("channels", nargs="+", metavar="CHANNEL")


def _register_channels(groups: Subparsers) -> None:
    channels = add_command(groups, "channels", "what is stored about channels", None)
    actions = cast("Subparsers", channels.add_subparsers(required=True, metavar="ACTION"))
    text = "delete everything about a channel, its clips and its VODs"
    more = ": answers, set list, time line, tokens, watch and reports"
    forget = add_command(actions, "forget", text, _forget_channel, more=more)
    forget.add_argument("channel", metavar="CHANNEL", help="its name, its address, or id:NUMBER")
    forget.add_argument(
        "--keep-away", action="store_true", help="also blacklist it, so that nothing is stored about it again"
    )


def _register_unknowns(groups: Subparsers) -> None:
    text = "moments in which no song was found"
    actions, _ = add_list(groups, "unknowns", text, _list_unknowns, more=", the most wanted first")
    delete = add_command(
        actions, "delete", "delete them, so that they are not searched for again", _delete_unknowns
    )
    delete.add_argument("ids", nargs="+", metavar="ID")


def _list_unknowns(arguments: argparse.Namespace) -> int:
    rows = [
        {
            "id": unknown.id,
            "kind": str(unknown.kind),
            "target": unknown.target,
            "channel": unknown.channel,
            "asked": unknown.times,
            "when": unknown.captured_at or unknown.created_at,
        }
        for unknown in with_database(lambda database: UnknownStore(database).most_asked())
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _delete_unknowns(arguments: argparse.Namespace) -> int:
    async def delete(database: Database) -> int:
        missing = 0
        for unknown_id in arguments.ids:
            if await UnknownStore(database).delete([unknown_id]):
                print(f"{unknown_id} is deleted.")
            else:
                print(f"twitchaudio: there is no unknown song {unknown_id}", file=sys.stderr)
                missing += 1
        return missing

    missing = with_database(delete)
    return 0 if not missing else 1 if missing == len(arguments.ids) else 3


def _forget_channel(arguments: argparse.Namespace) -> int:
    channel = user_value(arguments.channel)
    count = with_database(lambda database: forget_channel(database, channel, keep_away=arguments.keep_away))
    print(f"{channel} is forgotten. Answers deleted: {count}.")
    return 0


def _list_watches(arguments: argparse.Namespace) -> int:
    rows = [
        {
            "channel": watch.channel,
            "state": str(watch.state),
            "reason": watch.reason,
            "every_seconds": watch.every_seconds,
            "used": watch.used,
            "budget": watch.budget,
            "last": watch.last_at,
            "made_by": watch.made_by,
        }
        for watch in with_database(lambda database: WatchStore(database).newest())
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _start_watch(arguments: argparse.Namespace) -> int:
    channel = channel_target(arguments.channel).login
    every, budget = watch_terms(arguments.every, arguments.budget)
    most = read_settings(ServerSettings).watches
    _, started = with_database(
        lambda database: WatchStore(database, changes=operator_changes()).start(
            channel,
            every_seconds=every,
            budget=budget,
            made_by=OPERATOR,
            most=most,
            now=datetime.now(UTC),
        )
    )
    print(f"{channel} {'is being watched' if started else 'was being watched, and has the new terms'}.")
    return 0


def _stop_watches(arguments: argparse.Namespace) -> int:
    async def stop(database: Database) -> None:
        for text in arguments.channels:
            channel = channel_target(text).login
            stopped = await WatchStore(database, changes=operator_changes()).stop(channel, now=datetime.now(UTC))
            print(f"{channel} {'is no longer' if stopped else 'was not being'} watched.")

    with_database(stop)
    return 0


def _list_tokens(arguments: argparse.Namespace) -> int:
    channel = None if arguments.channel is None else channel_target(arguments.channel).login
    rows = [
        {
            "id": token.id,
            "channel": token.channel,
            "note": token.note,
            "made_by": token.made_by,
            "state": "valid" if token.revoked_at is None else "revoked",
            "created": token.created_at,
            "last_used": token.used_at,
        }
        for token in with_database(lambda database: SongTokenStore(database).all(channel))
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _create_token(arguments: argparse.Namespace) -> int:
    channel = channel_target(arguments.channel).login
    token, secret = with_database(
        lambda database: SongTokenStore(database, changes=operator_changes()).create(
            channel, now=datetime.now(UTC), note=arguments.note
        )
    )
    asks = f"The bot asks /api/v1/channels/{channel}/song.txt?token=..."
    print_secret(secret, f"This is the token {token.id} for {channel}. {asks}")
    return 0


def _revoke_tokens(arguments: argparse.Namespace) -> int:
    async def revoke(database: Database) -> None:
        for token_id in arguments.ids:
            await SongTokenStore(database, changes=operator_changes()).revoke(token_id, now=datetime.now(UTC))
            print(f"{token_id} is revoked.")

    with_database(revoke)
    return 0


def _list_reports(arguments: argparse.Namespace) -> int:
    handled = None if arguments.all else False
    rows = [
        {
            "id": report.id,
            "when": report.created_at,
            "kind": report.kind,
            "target": report.target,
            "song": report.song or None,
            "reason": str(report.reason),
            "note": report.note,
            "done": report.handled_at,
        }
        for report in with_database(lambda database: ReportStore(database).newest(handled=handled))
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _handle_reports(arguments: argparse.Namespace) -> int:
    async def handle(database: Database) -> None:
        for report_id in arguments.ids:
            await ReportStore(database, changes=operator_changes()).handle(report_id, datetime.now(UTC))
            print(f"{report_id} is done.")

    with_database(handle)
    return 0
