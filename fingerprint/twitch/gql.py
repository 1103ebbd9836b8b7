"""Sends queries to Twitch's GraphQL: the configured attempts in order, until one is answered with data."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.media.fetch import Fetcher
from fingerprint.ports import OnOutcome, ignore_outcome
from fingerprint.retry import RetryBudget, retry
from fingerprint.settings import GqlAttempt, Secret
from fingerprint.twitch.answers import GqlFailure, GqlFailureKind, Json, parse_answer
from fingerprint.twitch.queries import Query

MAX_BYTES: Final = 256 << 10
TOTAL_SECONDS: Final = 3.0
STEP: Final = "gql"
ANSWER_STEP: Final = "gql-answer"

_log = logging.getLogger(__name__)


class Gql:
    """Sends queries. A refused client id, a retired hash, a challenge or an unreadable answer leads to the next
    way; what is transient is tried once more on the same way; a network that fails is not tried on other ways.
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

    async def ask(self, query: Query) -> Json:
        """The answer's `data`. Raises UpstreamError with step `gql`, quoting Twitch."""
        failure: GqlFailure | None = None
        budget = RetryBudget(1)
        for attempt in self._attempts:
            try:
                return await retry(
                    partial(self._send, query, attempt), errors=GqlFailure, retry_after=_may_pass, budget=budget
                )
            except GqlFailure as error:
                failure = error
            if failure.kind is GqlFailureKind.TRANSIENT:
                break
        assert failure is not None, "settings name at least one way"
        raise UpstreamError(STEP, f"Twitch does not give out a playback token: {failure.words}.") from failure

    async def _send(self, query: Query, attempt: GqlAttempt) -> Json:
        """Send one request, or two: a session token that Twitch refuses is dropped, which is logged.

        Raises GqlFailure, and UpstreamError when the network fails.
        """
        token = self._session_token
        try:
            return await self._post(query, attempt, token)
        except GqlFailure as failure:
            if token is None or failure.kind is not GqlFailureKind.TOKEN_REFUSED:
                raise
            if self._session_token is not None:
                _log.error("session_token_refused", extra={"step": STEP, "words": failure.words})
                self._session_token = None
            return await self._post(query, attempt, None)

    async def _post(self, query: Query, attempt: GqlAttempt, token: Secret | None) -> Json:
        headers = {"Client-ID": attempt.client_id, "Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"OAuth {token.reveal()}"
        fetched = await self._fetcher.post(
            self._url,
            query.body(attempt.form),
            step=STEP,
            max_bytes=MAX_BYTES,
            total_seconds=TOTAL_SECONDS,
            headers=headers,
        )
        try:
            data = parse_answer(fetched.status, fetched.text)
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
        self._on_outcome(ANSWER_STEP, "ok")
        return data


def _may_pass(outcome: Json | GqlFailure) -> float | None:
    """A `retry_after` for `retry`: repeats an attempt after a transient failure."""
    return 0.0 if isinstance(outcome, GqlFailure) and outcome.kind is GqlFailureKind.TRANSIENT else None
