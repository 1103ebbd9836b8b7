"""Says to the operator, in a sentence, why a database cannot be used and what to do; visitors are never told."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from fingerprint.domain.problems import TwitchAudioError

NO_ANSWER: Final = "Our database does not answer. Try again in a moment."
"""What visitors read, whatever the reason."""

_MYSQL: Final[Mapping[int, str]] = {
    1021: "The disk of the database server is full: make room there.",
    1040: "The database server has too many connections: raise its max_connections.",
    1044: "The database's user has no rights on the database that TWITCHAUDIO_DATABASE_URL names, or there is "
    "none of that name: create it, and GRANT ALL on it.",
    1045: "The database server refuses the user or the password in TWITCHAUDIO_DATABASE_URL.",
    1049: "There is no database of the name in TWITCHAUDIO_DATABASE_URL: create it.",
    1114: "The database server has no room for more rows: make room on its disk.",
    1130: "The database server lets no one in from this machine: let its user be allowed from here.",
    1142: "The database's user lacks a right: GRANT ALL on the database to it.",
    1227: "The database's user lacks a right: GRANT ALL on the database to it.",
    1290: "The database server takes no writes (read_only): let TWITCHAUDIO_DATABASE_URL name the primary.",
    1698: "The database server refuses the user or the password in TWITCHAUDIO_DATABASE_URL.",
    1836: "The database server takes no writes (read_only): let TWITCHAUDIO_DATABASE_URL name the primary.",
    2003: "Nothing answers at the host and port of TWITCHAUDIO_DATABASE_URL: is the database server running, and "
    "is the name right?",
}
"""By the numbers of errors of MySQL and MariaDB."""

_SQLITE: Final[Mapping[str, str]] = {
    "SQLITE_BUSY": "Another process holds the database file: two servers on one file share a local disk, not NFS.",
    "SQLITE_CANTOPEN": "The database file cannot be opened or made: is the folder there, may this user write it, "
    "and is the name not that of a folder?",
    "SQLITE_CORRUPT": "The database file is damaged: stop the server and restore a backup (docs/backups.md).",
    "SQLITE_FULL": "The disk of the database file is full: make room there.",
    "SQLITE_IOERR": "The disk of the database file cannot be read or written: look at the system's log.",
    "SQLITE_NOTADB": "The database file is not a SQLite database: let TWITCHAUDIO_DATABASE_URL or "
    "TWITCHAUDIO_DATA_DIR name another place, or restore a backup (docs/backups.md).",
    "SQLITE_PERM": "The database file cannot be written by this user: change its owner or its permissions.",
    "SQLITE_READONLY": "The database file cannot be written: change its owner or its permissions, or its disk is "
    "mounted read-only.",
}
"""By the names of errors of SQLite; the more exact ones begin with these."""


def detail_for_operator(error: TwitchAudioError) -> str:
    """The detail of an error; if it only says that the database does not answer, why that is."""
    return (database_advice(error) if error.detail == NO_ANSWER else None) or error.detail


def database_advice(error: BaseException | None) -> str | None:
    """Why a database failed and what to do, from an error or what it was raised from; None if that is unknown."""
    while error is not None:
        origin = getattr(error, "orig", None) or error
        if isinstance(origin, sqlite3.Error):
            name = getattr(origin, "sqlite_errorname", "")
            return next((said for start, said in _SQLITE.items() if name.startswith(start)), None)
        number: object = next(iter(origin.args), None)
        # A driver of MySQL, which is not loaded for SQLite.
        if isinstance(number, int) and type(origin).__module__.startswith("pymysql"):
            return _MYSQL.get(number)
        error = error.__cause__
    return None
