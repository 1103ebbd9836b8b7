"""`twitchaudio admin song-tokens`, `reports`, `watches`, `channels`, `unknowns`: what belongs to channels."""

import argparse
import sys
from datetime import UTC, datetime

from fingerprint.database import Database
from fingerprint.domain.targets import channel_target
from fingerprint.settings import read_settings
from server.access.rules.lists import user_value
from server.channels.reports import ReportStore
from server.channels.song_tokens import OPERATOR, SongTokenStore
from server.channels.unknown_store import UnknownStore
from server.channels.watch_store import WatchStore
from server.channels.watch_terms import watch_terms
from server.cli import checked_arguments
from server.cli.listing import print_list
from server.cli.with_database import forget_channel, operator_changes, print_secret, with_database
from server.settings import ServerSettings


def list_unknowns(arguments: argparse.Namespace) -> None:
    """Print the unknown songs that were asked for most."""
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


def delete_unknowns(arguments: argparse.Namespace) -> int:
    """Delete unknown songs."""

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


def forget(arguments: argparse.Namespace) -> None:
    """Delete all that is stored about a channel."""
    with checked_arguments():
        channel = user_value(arguments.channel)
    count = with_database(lambda database: forget_channel(database, channel, keep_away=arguments.keep_away))
    print(f"{channel} is forgotten. Answers deleted: {count}.")


def list_watches(arguments: argparse.Namespace) -> None:
    """Print all watches."""
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


def start_watch(arguments: argparse.Namespace) -> None:
    """Watch a channel."""
    with checked_arguments():
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


def stop_watches(arguments: argparse.Namespace) -> None:
    """Stop watching channels."""
    with checked_arguments():
        channels = [channel_target(text).login for text in arguments.channels]

    async def stop(database: Database) -> None:
        for channel in channels:
            stopped = await WatchStore(database, changes=operator_changes()).stop(channel, now=datetime.now(UTC))
            print(f"{channel} {'is no longer' if stopped else 'was not being'} watched.")

    with_database(stop)


def list_tokens(arguments: argparse.Namespace) -> None:
    """Print the song tokens."""
    with checked_arguments():
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


def create_token(arguments: argparse.Namespace) -> None:
    """Make a song token, and print it."""
    with checked_arguments():
        channel = channel_target(arguments.channel).login
    token, secret = with_database(
        lambda database: SongTokenStore(database, changes=operator_changes()).create(
            channel, now=datetime.now(UTC), note=arguments.note
        )
    )
    asks = f"The bot asks /api/v1/channels/{channel}/song.txt?token=..."
    print_secret(secret, f"This is the token {token.id} for {channel}. {asks}")


def revoke_tokens(arguments: argparse.Namespace) -> None:
    """Revoke song tokens."""

    async def revoke(database: Database) -> None:
        for token_id in arguments.ids:
            await SongTokenStore(database, changes=operator_changes()).revoke(token_id, now=datetime.now(UTC))
            print(f"{token_id} is revoked.")

    with_database(revoke)


def list_reports(arguments: argparse.Namespace) -> None:
    """Print the reports of wrong answers."""
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


def handle_reports(arguments: argparse.Namespace) -> None:
    """Take reports off the list."""

    async def handle(database: Database) -> None:
        for report_id in arguments.ids:
            await ReportStore(database, changes=operator_changes()).handle(report_id, datetime.now(UTC))
            print(f"{report_id} is done.")

    with_database(handle)
