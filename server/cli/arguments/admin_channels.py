"""The arguments of `twitchaudio admin song-tokens`, `reports`, `watches`, `channels` and `unknowns`."""

from typing import cast

from server.channels.watch_terms import BUDGET, EVERY_SECONDS
from server.cli import Subparsers, add_command, add_list, positive_int


def register(groups: Subparsers) -> None:
    """Add the command groups `song-tokens`, `reports`, `watches`, `channels` and `unknowns` to `admin`."""
    _register_song_tokens(groups)
    _register_reports(groups)
    _register_watches(groups)
    _register_channels(groups)
    _register_unknowns(groups)


def _register_song_tokens(groups: Subparsers) -> None:
    text = "tokens with which a chat bot asks for one channel's song"
    kept = "; the tokens themselves are not stored"
    only = {"metavar": "NAME", "help": "only this channel's"}
    run = "admin_channels.list_tokens"
    actions = add_list(groups, "song-tokens", text, run, more=kept, channel=only)
    create = add_command(
        actions,
        "create",
        "make a token; it is shown only once",
        "admin_channels.create_token",
    )
    create.add_argument("channel", metavar="CHANNEL", help="the channel that it gives access to")
    create.add_argument("--note", default="", metavar="TEXT", help="which bot, for you and the channel's owner")
    revoke = add_command(actions, "revoke", "revoke tokens", "admin_channels.revoke_tokens")
    revoke.add_argument("ids", nargs="+", metavar="ID")


def _register_reports(groups: Subparsers) -> None:
    text = "answers that listeners reported as wrong"
    handled = {"action": "store_true", "help": "also those marked as done"}
    run = "admin_channels.list_reports"
    actions = add_list(groups, "reports", text, run, more=", the newest first", all=handled)
    done = add_command(actions, "done", "mark them as done", "admin_channels.handle_reports")
    done.add_argument("ids", nargs="+", metavar="ID")


def _register_watches(groups: Subparsers) -> None:
    text = "channels whose music is identified while they are live"
    actions = add_list(groups, "watches", text, "admin_channels.list_watches")
    until = " until its stream ends or the budget is used. A server must be running"
    start = add_command(actions, "start", "watch a channel", "admin_channels.start_watch", more=until)
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
    stop = add_command(actions, "stop", "stop watching", "admin_channels.stop_watches")
    stop.add_argument("channels", nargs="+", metavar="CHANNEL")


def _register_channels(groups: Subparsers) -> None:
    channels = add_command(groups, "channels", "what is stored about channels")
    actions = cast("Subparsers", channels.add_subparsers(required=True, metavar="ACTION"))
    text = "delete everything about a channel, its clips and its VODs"
    more = ": answers, set list, time line, tokens, watch and reports"
    forget = add_command(actions, "forget", text, "admin_channels.forget", more=more)
    forget.add_argument("channel", metavar="CHANNEL", help="its name, its address, or id:NUMBER")
    forget.add_argument(
        "--keep-away", action="store_true", help="also blacklist it, so that nothing is stored about it again"
    )


def _register_unknowns(groups: Subparsers) -> None:
    text = "moments in which no song was found"
    actions = add_list(groups, "unknowns", text, "admin_channels.list_unknowns", more=", the most wanted first")
    delete = add_command(
        actions,
        "delete",
        "delete them, so that they are not searched for again",
        "admin_channels.delete_unknowns",
    )
    delete.add_argument("ids", nargs="+", metavar="ID")
