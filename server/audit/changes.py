"""Records an operator's changes in the same transaction that makes them, so that none is missing in the log."""

import getpass
from typing import Final

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from fingerprint.clock import SystemClock
from fingerprint.ports import Clock
from server.audit.entries import AuditEntry, AuditKind, Who
from server.audit.store import new_row
from server.audit.tables import log_entries


def system_user() -> Who:
    """The system user who runs this process, as the audit log names them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = "unknown"
    return Who(id=f"cli:{name}", name=name)


UNNAMED: Final = Who(id="unnamed")


class ChangeLog:
    """Records the changes that `who` makes. Stores that change rules get one when they are constructed."""

    def __init__(self, who: Who = UNNAMED, *, clock: Clock | None = None) -> None:
        self._who = who
        self._clock = clock or SystemClock()

    def record(
        self,
        connection: Connection,
        what: str,
        subject: str,
        *,
        before: str | None = None,
        after: str | None = None,
    ) -> None:
        """Record that `what` was done to `subject`, in the transaction of `connection`. Never pass secrets."""
        entry = AuditEntry(
            moment=self._clock.now(),
            kind=AuditKind.CHANGE,
            who=self._who,
            what=what,
            subject=subject,
            before=before,
            after=after,
        )
        connection.execute(insert(log_entries).values(**new_row(entry)))
