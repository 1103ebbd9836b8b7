"""The arguments of `twitchaudio admin plays`."""

from typing import Final, cast

from server.cli import JSON_HELP, Subparsers, add_command

PUBLIC: Final = ("set-list", "now", "nothing")


def register(groups: Subparsers) -> None:
    """Add the command group `plays` to `admin`."""
    plays = add_command(groups, "plays", "what a channel's set list shows, and to whom")
    actions = cast("Subparsers", plays.add_subparsers(required=True, metavar="ACTION"))
    newest = add_command(actions, "list", "the newest plays of a channel", "admin_plays.list_plays")
    correct = add_command(
        actions,
        "correct",
        "give a play another title and artists",
        "admin_plays.correct",
        more="; what is left out stays as it is",
    )
    hide = add_command(actions, "hide", "hide plays", "admin_plays.hide")
    corrections = add_command(
        actions, "corrections", "corrected and hidden plays of a channel", "admin_plays.list_corrections"
    )
    undo = add_command(actions, "undo", "show plays as they were recognized", "admin_plays.undo")
    public = add_command(
        actions, "public", "what of a channel is public", "admin_plays.public", more="; shows or sets it"
    )
    for command in (newest, correct, hide, corrections, undo, public):
        command.add_argument("channel", metavar="CHANNEL")
    for command in (newest, corrections, public):
        command.add_argument("--json", action="store_true", help=JSON_HELP)
    correct.add_argument("id", metavar="ID", help="of the play, as in the list")
    correct.add_argument("--title", metavar="TEXT")
    correct.add_argument("--artist", action="append", metavar="NAME", help="may be repeated")
    hide.add_argument("ids", nargs="+", metavar="ID", help="of a play, as in the list")
    undo.add_argument("ids", nargs="+", metavar="ID", help="of a correction")
    public.add_argument("public", nargs="?", choices=PUBLIC, metavar="WHAT", help=", ".join(PUBLIC))
