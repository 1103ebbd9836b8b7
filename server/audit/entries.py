"""A log entry, and the kinds that there are. Entries are tuples: one is made for each request."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple


class AuditKind(StrEnum):
    """What an entry tells of."""

    API = "api"
    """A request to the API."""
    WEBSITE = "website"
    """A request to a page."""
    LAUNCH = "launch"
    """A job that was started."""
    ANSWER = "answer"
    """What came of a job: what was asked for and how it ended, such as `stream successful`."""
    LOGIN = "login"
    """Somebody who is known from now on."""
    LOGIN_FAILED = "login-failed"
    """Somebody whose token, key, code or sign-in does not count."""
    REFUSAL = "refusal"
    """Somebody who may not ask, or not now."""
    CHANGE = "change"
    """A change that an operator made: who, what, before and after."""


class Who(NamedTuple):
    """Whom an entry is about. `id` is `id:NUMBER` for a Twitch user, `key:ID`, or `cli:NAME` for an operator."""

    id: str | None = None
    name: str | None = None
    """The login, or what the key is called: for reading, it may change."""
    address: str | None = None


NOBODY: Final = Who()


class AuditEntry(NamedTuple):
    """One thing that happened. Never holds a token, a key, a code or a query string.

    `what` says it in a few fixed words; `subject` is the target, the path or the rule. `before` and `after` are
    the values that a change replaced and set.
    """

    moment: datetime
    kind: AuditKind
    what: str
    who: Who = NOBODY
    subject: str | None = None
    code: str | None = None
    status: int | None = None
    ms: float | None = None
    before: str | None = None
    after: str | None = None
    request_id: str | None = None
