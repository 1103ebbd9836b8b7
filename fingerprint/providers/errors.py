"""Provider failures, classified by what helps, and the effect of each kind on the provider's circuit breaker."""

from enum import StrEnum
from typing import Final

from fingerprint.circuit_breaker import CircuitBreaker, Pause
from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.fetch import Fetched
from fingerprint.ports import Clock

MAX_FAILURES: Final = 3
"""How many transient failures in a row open the circuit; of any other kind, one is enough."""


class FailureKind(StrEnum):
    """The kinds of provider failures."""

    TRANSIENT = "transient"
    """The provider or the network failed; asking again may help."""
    RATE = "rate"
    """The error for too many questions in a short time; `retry_after` in seconds."""
    QUOTA = "quota"
    """The account's questions are used up."""
    CONFIGURATION = "configuration"
    """The provider refuses the key, the secret or the plan; only the operator can help."""
    REQUEST = "request"
    """The provider refuses the form of the question, which is a bug of ours."""


_PAUSES: Final = {
    FailureKind.TRANSIENT: Pause(5.0, 120.0),
    FailureKind.RATE: Pause(5.0, 60.0),
    FailureKind.QUOTA: Pause(900.0, 3600.0),
    # So that it is logged once a minute.
    FailureKind.CONFIGURATION: Pause(60.0, 60.0),
    FailureKind.REQUEST: Pause(5.0, 60.0),
}


def provider_breaker(clock: Clock) -> CircuitBreaker:
    """A new circuit breaker for a provider. While it is half-open, all questions are let through."""
    return CircuitBreaker(clock, max_failures=MAX_FAILURES, pause=_PAUSES[FailureKind.TRANSIENT])


def record_provider_failure(breaker: CircuitBreaker, kind: FailureKind, reason: str) -> None:
    """Record a failed question in the breaker, with a sentence that says why."""
    breaker.record_failure(reason, pause=_PAUSES[kind], open_now=kind is not FailureKind.TRANSIENT)


class ProviderError(UpstreamError):
    """A provider could not answer. `kind` says what may help.

    `retryable`: the same question may be asked again at once, or after the `retry_after` seconds that the provider
    asks for. `provider_code`: the provider's own error code.
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
    """The error for a failure that may be over in a moment."""
    return ProviderError(
        provider,
        FailureKind.TRANSIENT,
        detail,
        code=ProblemCode.UPSTREAM_UNAVAILABLE,
        retry_after_seconds=5.0,
        retryable=True,
        provider_code=provider_code,
    )


def nameless(provider: str, *, provider_code: int | None = None) -> ProviderError:
    """The error for an answer that found a song and does not name it; asking again would cost another question."""
    error = transient(
        provider, f"{provider} says that it found a song, and names none.", provider_code=provider_code
    )
    error.retryable = False
    return error


def too_often(provider: str, *, provider_code: int | None = None, retry_after: float = 0.0) -> ProviderError:
    """The error for too many questions in a short time; `retry_after` in seconds."""
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
    """The error for a key that the provider refuses; the detail says which setting to check."""
    return ProviderError(
        provider, FailureKind.CONFIGURATION, detail, retry_after_seconds=60.0, provider_code=provider_code
    )


def no_answer(provider: str, answer: Fetched, *, key: str) -> ProviderError:
    """The error for a response that is not the API's own but a proxy's, or malformed.

    `key` is the detail for a refused key (401, 403).
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
