"""Calls to providers: limited in time and bytes, to configured origins only; errors name the provider."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from yarl import URL

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.fetch import Fetched, Fetcher
from fingerprint.ports import Clock
from fingerprint.providers.errors import FailureKind, ProviderError, transient
from fingerprint.retry import RetryPolicy, retry

T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 256 << 10
CALL_SECONDS: Final = 5.0
_RETRY: Final = RetryPolicy(min_wait_seconds=0.1, max_wait_seconds=1.0)


class ProviderCalls:
    """Sends requests through a `Fetcher` whose allow-list holds the providers' origins.

    Raises ProviderError and nothing else. A request whose connection is lost before a response is repeated once.
    """

    def __init__(self, fetcher: Fetcher, clock: Clock, *, agent: str) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._agent = agent

    @property
    def clock(self) -> Clock:
        """The clock whose time goes into signed requests."""
        return self._clock

    async def post(
        self,
        provider: str,
        url: URL,
        body: bytes,
        *,
        headers: Mapping[str, str],
        seconds: float = CALL_SECONDS,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Fetched:
        """Send a POST request; a response with any status is returned, not raised."""
        try:
            return await self._fetcher.post(
                url,
                body,
                step=provider,
                max_bytes=max_bytes,
                total_seconds=seconds,
                headers={"User-Agent": self._agent, **headers},
            )
        except UpstreamError as error:
            raise _failed(provider, error) from error

    async def get(
        self,
        provider: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = CALL_SECONDS,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Fetched:
        """Send a GET request; a response with any status is returned, not raised."""
        try:
            return await self._fetcher.get(
                url,
                step=provider,
                max_bytes=max_bytes,
                total_seconds=seconds,
                headers={"User-Agent": self._agent, **(headers or {})},
            )
        except UpstreamError as error:
            raise _failed(provider, error) from error

    async def with_retry(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Returns what `ask` returns; repeats it once after a moment when its ProviderError is `retryable`."""
        return await retry(
            ask, errors=ProviderError, retry_after=_retry_after, policy=_RETRY, sleep=self._clock.sleep
        )


def _retry_after(outcome: object) -> float | None:
    return outcome.retry_after if isinstance(outcome, ProviderError) and outcome.retryable else None


def _failed(provider: str, error: UpstreamError) -> ProviderError:
    if error.code is ProblemCode.TIMEOUT:
        return ProviderError(
            provider,
            FailureKind.TRANSIENT,
            f"{provider} does not answer in time.",
            code=ProblemCode.TIMEOUT,
            retry_after_seconds=5.0,
        )
    if error.__cause__ is None:
        # The network did not fail: this process refused the answer.
        return ProviderError(
            provider,
            FailureKind.TRANSIENT,
            f"{provider} answers with more than an answer can be.",
            code=ProblemCode.UPSTREAM_UNAVAILABLE,
            retry_after_seconds=30.0,
        )
    failed = transient(provider, f"{provider} cannot be reached.")
    failed.retryable = False  # it was already tried twice
    return failed
