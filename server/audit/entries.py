"""Audit log entries and their kinds. Entries are tuples for speed: each request creates one."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple


class AuditKind(StrEnum):
    """What kind of event an entry records."""

    API = "api"
    """A request to the API."""
    WEBSITE = "website"
    """A request to a page."""
    LAUNCH = "launch"
    """A request started a job on a target."""
    ANSWER = "answer"
    """A job ended; `what` is the kind of target and the outcome, such as `stream successful`."""
    LOGIN = "login"
    """A user signed in or redeemed an access code, or a client used a valid token."""
    LOGIN_FAILED = "login-failed"
    """A token, API key, access code or sign-in was not valid."""
    REFUSAL = "refusal"
    """A request was refused by the rules, a rate limit or a lack of slots."""
    CHANGE = "change"
    """An operator changed a rule, with the values before and after."""


class Who(NamedTuple):
    """Whom an entry is about. `id` is `id:NUMBER` for a Twitch user, `key:ID`, or `cli:NAME` for an operator."""

    id: str | None = None
    name: str | None = None
    """The login or the name of the API key at that time, for display."""
    address: str | None = None


NOBODY: Final = Who()


class AuditEntry(NamedTuple):
    """One event. Never contains a token, an API key, an access code or a query string.

    `what` is one of a few fixed phrases; `subject` is the target, path or rule. `before` and `after` are the
    values that a change replaced and set. `ms` is a duration in milliseconds.
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
