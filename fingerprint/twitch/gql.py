"""Sends queries to Twitch's GraphQL: the configured attempts in order, until an answer has what is needed."""

import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from yarl import URL

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.fetch import Fetcher
from fingerprint.media.refusals import permanent_refusal
from fingerprint.ports import OnOutcome, ignore_outcome
from fingerprint.retry import RetryBudget, retry
from fingerprint.setting_formats import GqlAttempt, Secret
from fingerprint.twitch.answers import GqlFailure, GqlFailureKind, Json, blocked, needed, parse_answer
from fingerprint.twitch.fetcher import SAME_SITE
from fingerprint.twitch.queries import Query

T = TypeVar("T")

MAX_BYTES: Final = 256 << 10
TOTAL_SECONDS: Final = 3.0
STEP: Final = "gql"
ANSWER_STEP: Final = "gql-answer"

_REFUSED_SECONDS: Final = 60.0
"""When to ask again after a refusal of our queries in all ways: some of these pass within minutes."""

_log = logging.getLogger(__name__)


class Gql:
    """Sends queries. An answer without what is needed leads to the next way.

    After a failure that may pass, one more is tried: what fails may be a field that only the first way asks for.
    Likewise after no answer in time, since the connection may have been lost while it was idle. Another failure of
    the network, and a host that wants a pause, end it.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        url: URL,
        attempts: Sequence[GqlAttempt],
        *,
        session_token: Secret | None = None,
        on_outcome: OnOutcome = ignore_outcome,
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._attempts = attempts
        self._session_token = session_token
        self._on_outcome = on_outcome
        self._device = secrets.token_hex(16)  # a browser has one for years, and no person is known by ours

    async def ask(self, query: Query, parse: Callable[[Json], T | None]) -> T | None:
        """What `parse` finds in the answer's `data`; None when Twitch knows nothing by that name.

        Raises UpstreamError with step `gql`, quoting Twitch's answer to the first way, and what `parse` raises.
        """
        failures: list[GqlFailure] = []
        timeout: UpstreamError | None = None
        budget = RetryBudget(1)
        ways = deque(self._ways(query))

        async def send() -> T | None:
            """Ask in the next way, or once more in the only one."""
            attempt, body = ways[0]
            if len(ways) > 1:
                ways.popleft()
            return await self._send(body, attempt, parse)

        for _ in range(len(ways)):
            try:
                return await retry(send, errors=GqlFailure, retry_after=_may_pass, budget=budget)
            except GqlFailure as failure:
                failures.append(failure)
                if failure.kind is GqlFailureKind.TRANSIENT:
                    break
            except UpstreamError as error:
                if error.code is not ProblemCode.TIMEOUT or timeout is not None:
                    raise
                timeout = error
        raise _error(failures) if failures else timeout or AssertionError("settings name at least one way")

    def _ways(self, query: Query) -> Iterator[tuple[GqlAttempt, bytes]]:
        for attempt in self._attempts:
            for body in query.bodies(attempt.form):
                yield attempt, body

    async def _send(self, body: bytes, attempt: GqlAttempt, parse: Callable[[Json], T | None]) -> T | None:
        """Send one request, or two: a session token that Twitch refuses is dropped, which is logged.

        Raises GqlFailure, and UpstreamError when the network fails.
        """
        token = self._session_token
        try:
            return await self._post(body, attempt, token, parse)
        except GqlFailure as failure:
            if token is None or failure.kind is not GqlFailureKind.TOKEN_REFUSED:
                raise
            if self._session_token is not None:
                _log.error("session_token_refused", extra={"step": STEP, "words": failure.words})
                self._session_token = None
            return await self._post(body, attempt, None, parse)

    async def _post(
        self, body: bytes, attempt: GqlAttempt, token: Secret | None, parse: Callable[[Json], T | None]
    ) -> T | None:
        headers = {
            **SAME_SITE,
            "Client-ID": attempt.client_id,
            "X-Device-Id": self._device,
            "Content-Type": "text/plain;charset=UTF-8",  # as the page sends it, to do without a CORS preflight
        }
        if token is not None:
            headers["Authorization"] = f"OAuth {token.reveal()}"
        fetched = await self._fetcher.post(
            self._url,
            body,
            step=STEP,
            max_bytes=MAX_BYTES,
            total_seconds=TOTAL_SECONDS,
            headers=headers,
        )
        try:
            answer = parse_answer(fetched.status, fetched.text)
            found = needed(answer, parse)
        except GqlFailure as failure:
            self._on_outcome(ANSWER_STEP, str(failure.kind))
            _log.warning(
                "gql_refused",
                extra={
                    "step": STEP,
                    "trouble": str(failure.kind),
                    "words": failure.words,
                    "form": attempt.form,
                    "client_id": attempt.client_id,
                },
            )
            raise
        if answer.failure is not None:
            _log.warning(
                "gql_partial_answer",
                extra={"step": STEP, "trouble": str(answer.failure.kind), "words": answer.failure.words},
            )
        self._on_outcome(ANSWER_STEP, "ok" if answer.failure is None else "partial")
        return found


def _may_pass(outcome: object) -> float | None:
    """A `retry_after` for `retry`: repeats an attempt after a transient failure."""
    return 0.0 if isinstance(outcome, GqlFailure) and outcome.kind is GqlFailureKind.TRANSIENT else None


def _error(failures: Sequence[GqlFailure]) -> UpstreamError:
    """The error to report when no way was answered: about the first way, or the last if that one may pass soon."""
    assert failures, "settings name at least one way"
    told = failures[-1] if failures[-1].kind is GqlFailureKind.TRANSIENT else failures[0]
    if told.kind is GqlFailureKind.BLOCKED:
        return blocked(STEP, told.status)
    if told.kind is GqlFailureKind.UNREADABLE and (final := permanent_refusal(STEP, "Twitch", told.status)):
        return final
    soon = told.kind in (GqlFailureKind.TRANSIENT, GqlFailureKind.UNREADABLE)
    detail = f"Twitch does not give out a playback token: {told.words}."
    return UpstreamError(STEP, detail, retry_after_seconds=5.0 if soon else _REFUSED_SECONDS)
