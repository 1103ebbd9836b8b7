"""The arguments of `twitchaudio admin broadcasters`."""

from server.cli import Subparsers, add_command, add_list


def register(groups: Subparsers) -> None:
    """Add the command group `broadcasters` to `admin`."""
    text = "broadcasters whose subscribers have access in subscribers mode"
    actions = add_list(groups, "broadcasters", text, "admin_broadcasters.list_broadcasters")
    needs = (
        ". A login is looked up at Twitch, which needs TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET; "
        "id:NUMBER needs neither"
    )
    add = add_command(actions, "add", "list one more", "admin_broadcasters.add_broadcaster", more=needs)
    add.add_argument("--note", default="", metavar="TEXT", help="only visible to operators")
    for action in (
        add,
        add_command(actions, "remove", "take one off", "admin_broadcasters.remove_broadcaster"),
    ):
        action.add_argument(
            "broadcaster", metavar="BROADCASTER", help="a Twitch login or the channel's address, or id:NUMBER"
        )
