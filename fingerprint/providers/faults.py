"""What can go wrong with a provider, told apart by what helps."""

from enum import StrEnum

from fingerprint.domain.problems import ProblemCode, UpstreamError


class Fault(StrEnum):
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


class ProviderError(UpstreamError):
    """A provider could not answer. `fault` says what helps.

    `repeatable`: the same question may be asked again at once. `provider_code`: the provider's own number for it.
    """

    def __init__(
        self,
        provider: str,
        fault: Fault,
        detail: str,
        *,
        code: ProblemCode = ProblemCode.RECOGNIZER_UNAVAILABLE,
        retry_after_seconds: float | None = None,
        repeatable: bool = False,
        provider_code: int | None = None,
    ) -> None:
        super().__init__(provider, detail, code=code, retry_after_seconds=retry_after_seconds)
        self.fault = fault
        self.repeatable = repeatable
        self.provider_code = provider_code


def transient(provider: str, detail: str, *, provider_code: int | None = None) -> ProviderError:
    """A failure that may be over in a moment."""
    return ProviderError(
        provider,
        Fault.TRANSIENT,
        detail,
        code=ProblemCode.UPSTREAM_UNAVAILABLE,
        retry_after_seconds=5.0,
        repeatable=True,
        provider_code=provider_code,
    )


def too_often(provider: str, *, provider_code: int | None = None) -> ProviderError:
    """Too many questions at a time."""
    return ProviderError(
        provider,
        Fault.RATE,
        f"{provider} is asked too much at a time.",
        retry_after_seconds=5.0,
        repeatable=True,
        provider_code=provider_code,
    )


def refused_key(provider: str, detail: str, *, provider_code: int | None = None) -> ProviderError:
    """It does not take our key; the detail says which setting to look at."""
    return ProviderError(
        provider, Fault.CONFIGURATION, detail, retry_after_seconds=60.0, provider_code=provider_code
    )


def no_answer(provider: str, status: int, *, key: str) -> ProviderError:
    """For an answer that is not the API's own but a proxy's, or a fault.

    `key` is the sentence for a refused key (401, 403).
    """
    match status:
        case 401 | 403:
            return refused_key(provider, key)
        case 413:
            return ProviderError(provider, Fault.REQUEST, f"{provider} finds the sample too large.")
        case 429:
            return too_often(provider)
        case _ if status >= 300:
            return transient(provider, f"{provider} answers with the status {status}.")
        case _:
            return transient(provider, f"{provider} answers with something that cannot be read.")
