"""The arguments of `twitchaudio admin blacklist`, `whitelist`, `codes`, `sessions` and `broadcasters`."""

from server.access.rules.blacklist_kinds import TAKES, BlacklistKind
from server.cli import Subparsers, add_command, add_list, positive_int

_KINDS = tuple(str(kind) for kind in BlacklistKind)


def register(groups: Subparsers) -> None:
    """Add the command groups `blacklist`, `whitelist`, `codes`, `sessions` and `broadcasters` to `admin`."""
    _register_blacklist(groups)
    _register_whitelist(groups)
    _register_codes(groups)
    _register_sessions(groups)
    _register_broadcasters(groups)


def _register_blacklist(groups: Subparsers) -> None:
    actions = add_list(
        groups,
        "blacklist",
        "who and what is refused in every access mode",
        "admin_people.list_blacklist",
    )
    kinds = "; ".join(f"{kind}: {takes}" for kind, takes in TAKES.items())
    add = add_command(actions, "add", "block something", "admin_people.block", more=f". {kinds}")
    add.add_argument("--reason", default="", metavar="TEXT", help="only visible to operators")
    for action in (
        add,
        add_command(actions, "remove", "allow it again", "admin_people.unblock"),
    ):
        action.add_argument("kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
        action.add_argument("value", metavar="VALUE")


def _register_whitelist(groups: Subparsers) -> None:
    actions = add_list(
        groups,
        "whitelist",
        "users who always have access in subscribers mode",
        "admin_people.list_whitelist",
    )
    user = "a Twitch login or the channel's address, or id:NUMBER for the account whatever it is called"
    add = add_command(actions, "add", "add a user", "admin_people.allow")
    add.add_argument("--note", default="", metavar="TEXT", help="only visible to operators")
    for action in (
        add,
        add_command(actions, "remove", "remove a user", "admin_people.disallow"),
    ):
        action.add_argument("user", metavar="USER", help=user)


def _register_codes(groups: Subparsers) -> None:
    text = "access codes, which give access in subscribers mode"
    actions = add_list(
        groups,
        "codes",
        text,
        "admin_people.list_codes",
        more="; the codes themselves are not stored",
    )
    create = add_command(actions, "create", "make a code; it is shown only once", "admin_people.create_code")
    create.add_argument(
        "--uses", type=positive_int, default=1, metavar="N", help="how many people can redeem it (default: 1)"
    )
    create.add_argument("--days", type=positive_int, metavar="N", help="how many days it can be redeemed")
    create.add_argument("--note", default="", metavar="TEXT", help="only visible to operators")
    text = "revoke codes, and the access of everyone who redeemed them"
    revoke = add_command(actions, "revoke", text, "admin_people.revoke_codes")
    revoke.add_argument("ids", nargs="+", metavar="ID")


def _register_sessions(groups: Subparsers) -> None:
    actions = add_list(groups, "sessions", "who is signed in on the website", "admin_people.list_signed_in")
    end = add_command(actions, "end", "end all sign-ins of a user, in every browser", "admin_people.end_signed_in")
    end.add_argument("user", metavar="USER", help="a Twitch login or the channel's address, or id:NUMBER")


def _register_broadcasters(groups: Subparsers) -> None:
    text = "broadcasters whose subscribers have access in subscribers mode"
    actions = add_list(groups, "broadcasters", text, "admin_people.list_broadcasters")
    needs = (
        ". A login is looked up at Twitch, which needs TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET; "
        "id:NUMBER needs neither"
    )
    add = add_command(actions, "add", "add a broadcaster", "admin_people.add_broadcaster", more=needs)
    add.add_argument("--note", default="", metavar="TEXT", help="only visible to operators")
    for action in (
        add,
        add_command(actions, "remove", "remove a broadcaster", "admin_people.remove_broadcaster"),
    ):
        action.add_argument(
            "broadcaster", metavar="BROADCASTER", help="a Twitch login or the channel's address, or id:NUMBER"
        )
