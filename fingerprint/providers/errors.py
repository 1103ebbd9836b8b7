"""What can go wrong with a provider, told apart by what helps, and what each kind does to its circuit breaker."""

from enum import StrEnum
from typing import Final

from fingerprint.circuit_breaker import CircuitBreaker, Pause
from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.fetch import Fetched
from fingerprint.ports import Clock

MAX_FAILURES: Final = 3
"""Transient failures in a row that open the circuit; of the other kinds, one does."""


class FailureKind(StrEnum):
    """Kinds of trouble with a provider."""

    TRANSIENT = "transient"
    """It or the network failed; asking again may help."""
    RATE = "rate"
    """Too many questions at a time."""
    QUOTA = "quota"
    """The account's questions are used up."""
    CONFIGURATION = "configuration"
    """It does not take the key, the secret or the plan; only the operator can help."""
    REQUEST = "request"
    """It does not take the form of the question: a fault of ours."""


_PAUSES: Final = {
    FailureKind.TRANSIENT: Pause(5.0, 120.0),
    FailureKind.RATE: Pause(5.0, 60.0),
    FailureKind.QUOTA: Pause(900.0, 3600.0),
    # So that the log says it once a minute.
    FailureKind.CONFIGURATION: Pause(60.0, 60.0),
    FailureKind.REQUEST: Pause(5.0, 60.0),
}


def provider_breaker(clock: Clock) -> CircuitBreaker:
    """The circuit breaker of a provider, closed. When it is half-open, all questions are let through."""
    return CircuitBreaker(clock, max_failures=MAX_FAILURES, pause=_PAUSES[FailureKind.TRANSIENT])


def record_provider_failure(breaker: CircuitBreaker, kind: FailureKind, reason: str) -> None:
    """Tell the breaker that a question failed, with a sentence that says why."""
    breaker.record_failure(reason, pause=_PAUSES[kind], open_now=kind is not FailureKind.TRANSIENT)


class ProviderError(UpstreamError):
    """A provider could not answer. `kind` says what helps.

    `retryable`: the same question may be asked again at once, or after the `retry_after` seconds that the provider
    asks for. `provider_code`: the provider's own number for it.
    """

    def __init__(
        self,
        provider: str,
        kind: FailureKind,
        detail: str,
        *,
        code: ProblemCode = ProblemCode.RECOGNIZER_UNAVAILABLE,
        retry_after_seconds: float | None = None,
        retryable: bool = False,
        retry_after: float = 0.0,
        provider_code: int | None = None,
    ) -> None:
        super().__init__(provider, detail, code=code, retry_after_seconds=retry_after_seconds)
        self.kind = kind
        self.retryable = retryable
        self.retry_after = retry_after
        self.provider_code = provider_code


def transient(provider: str, detail: str, *, provider_code: int | None = None) -> ProviderError:
    """A failure that may be over in a moment."""
    return ProviderError(
        provider,
        FailureKind.TRANSIENT,
        detail,
        code=ProblemCode.UPSTREAM_UNAVAILABLE,
        retry_after_seconds=5.0,
        retryable=True,
        provider_code=provider_code,
    )


def too_often(provider: str, *, provider_code: int | None = None, retry_after: float = 0.0) -> ProviderError:
    """Too many questions at a time."""
    return ProviderError(
        provider,
        FailureKind.RATE,
        f"{provider} is asked too much at a time.",
        retry_after_seconds=max(5.0, retry_after),
        retryable=True,
        retry_after=retry_after,
        provider_code=provider_code,
    )


def refused_key(provider: str, detail: str, *, provider_code: int | None = None) -> ProviderError:
    """It does not take our key; the detail says which setting to look at."""
    return ProviderError(
        provider, FailureKind.CONFIGURATION, detail, retry_after_seconds=60.0, provider_code=provider_code
    )


def no_answer(provider: str, answer: Fetched, *, key: str) -> ProviderError:
    """For an answer that is not the API's own but a proxy's, or a fault.

    `key` is the sentence for a refused key (401, 403).
    """
    match answer.status:
        case 401 | 403:
            return refused_key(provider, key)
        case 413:
            return ProviderError(provider, FailureKind.REQUEST, f"{provider} finds the sample too large.")
        case 429:
            return too_often(provider, retry_after=answer.retry_after)
        case status if status >= 300:
            return transient(provider, f"{provider} answers with the status {status}.")
        case _:
            return transient(provider, f"{provider} answers with something that cannot be read.")
