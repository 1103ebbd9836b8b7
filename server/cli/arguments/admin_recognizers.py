"""The arguments of `twitchaudio admin recognizers`."""

from server.cli import Subparsers, add_command, add_list


def register(groups: Subparsers) -> None:
    """Add the command group `recognizers` to `admin`."""
    text = "which recognizers are asked, in which order and how often"
    actions = add_list(groups, "recognizers", text, "admin_recognizers.list_recognizers")
    more = ", in place of TWITCHAUDIO_RECOGNIZERS; those that are not named are not asked"
    order = add_command(actions, "order", "set the order", "admin_recognizers.choose_order", more=more)
    order.add_argument("names", nargs="+", metavar="NAME", help="catalog, learned, acrcloud, audd or shazam")
    more = ", in place of TWITCHAUDIO_BUDGETS, for all servers together"
    text = "set how often providers may be asked"
    budgets = add_command(actions, "budgets", text, "admin_recognizers.choose_budgets", more=more)
    budgets.add_argument("budgets", nargs="+", metavar="BUDGET", help="such as audd=10/day, or none")
    reset = add_command(actions, "reset", "use the settings again", "admin_recognizers.reset")
    reset.add_argument(
        "what", nargs="?", choices=("order", "budgets"), metavar="WHAT", help="order or budgets; both"
    )
