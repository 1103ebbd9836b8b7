"""The arguments of `twitchaudio db`."""

from server.cli import Subparsers, add_actions, add_command


def register(commands: Subparsers) -> None:
    """Add the `db` command to the `twitchaudio` command line."""
    database = commands.add_parser(
        "db",
        help="the SQL schema and DynamoDB's tables",
        description="The SQL database and DynamoDB's tables.",
    )
    actions = add_actions(database, "ACTION")
    text = "bring the SQL schema up to date and make DynamoDB's tables where they are used; safe to run again"
    add_command(actions, "upgrade", text, "db.upgrade")
    text = "give the space of deleted rows in the SQLite file back to the disk; stop the server first"
    add_command(actions, "vacuum", text, "db.vacuum_database")
