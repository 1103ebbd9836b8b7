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
