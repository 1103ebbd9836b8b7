"""What access control writes into the logs about the current request."""

from typing import Final

from fingerprint.domain.problems import ProblemCode
from fingerprint.domain.targets import TwitchTarget
from fingerprint.ports import Clock
from server.access.identity.credentials import Caller, current_caller
from server.audit.entries import LogEntry, LogKind, Who
from server.audit.writer import LogWriter
from server.observability import request_id

LOGIN_SECONDS: Final = 3_600.0
"""A token comes with every request: the first from an address is logged, and again after so long."""

KEPT_LOGINS: Final = 10_000


class AccessNotes:
    """Adds log entries; never waits and never fails."""

    def __init__(self, logs: LogWriter, *, clock: Clock) -> None:
        self._logs = logs
        self._clock = clock
        self._tokens: dict[tuple[str | None, str | None], float] = {}

    def login(self, how: str, who: Who | None = None) -> None:
        """Somebody is known from now on: the caller, or `who` when the request began without them."""
        self._add(LogKind.LOGIN, how, who=who)

    def login_failed(self, how: str, code: ProblemCode) -> None:
        """What somebody wanted to be known by does not count."""
        self._add(LogKind.LOGIN_FAILED, how, code=code)

    def token(self, who: Who) -> None:
        """A token that counts; logged once in a while."""
        now, seen = self._clock.monotonic(), (who.id, who.address)
        if now < self._tokens.get(seen, 0.0):
            return
        if len(self._tokens) >= KEPT_LOGINS:
            self._tokens.clear()
        self._tokens[seen] = now + LOGIN_SECONDS
        self._add(LogKind.LOGIN, "token", who=who)

    def refused(self, what: str, code: ProblemCode, target: TwitchTarget | None = None) -> None:
        """Somebody may not ask, or not now."""
        self._add(LogKind.REFUSAL, what, subject=None if target is None else target.name, code=code)

    def launched(self, target: TwitchTarget, who: Who, request: str | None) -> None:
        """A job was started for somebody, by the request with this id."""
        self._add(LogKind.LAUNCH, target.kind, subject=target.name, who=who, request=request)

    def _add(
        self,
        kind: LogKind,
        what: str,
        *,
        subject: str | None = None,
        code: ProblemCode | None = None,
        who: Who | None = None,
        request: str | None = None,
    ) -> None:
        entry = LogEntry(
            moment=self._clock.now(),
            kind=kind,
            who=who or (current_caller.get(None) or Caller()).who,
            what=what,
            subject=subject,
            code=code,
            request_id=request or request_id.get(),
        )
        self._logs.add(entry)
