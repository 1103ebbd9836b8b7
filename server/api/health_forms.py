"""The JSON of the server's health; see `json_forms`."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from fingerprint.providers.guard import ProviderState, ProviderStatus
from fingerprint.step_report import CanaryReport, Outcome
from server.api.json_forms import Count, form_of
from server.api.json_times import Time, time_text
from server.readiness import PartState


class AliveJson(Struct, kw_only=True):
    """The answer of a process that is alive."""

    status: Literal["alive"] = "alive"


class DependencyJson(Struct, kw_only=True):
    """Whether something that the server depends on can be used; it is not ready without what is required."""

    ready: bool
    required: bool
    detail: str | None
    last_error: Annotated[str | None, Meta(description="What was wrong last; it may be over.")] = None
    last_error_at: Time | None = None

    @classmethod
    def of(cls, state: PartState) -> "DependencyJson":
        return form_of(cls, state)


class DependenciesJson(Struct, kw_only=True):
    """The services that the server depends on, and whether each can be used."""

    database: DependencyJson
    jobs: DependencyJson
    recognizers: DependencyJson
    decoder: Annotated[DependencyJson, Meta(description="Whether a worker process decodes sound.")] | UnsetType = (
        UNSET
    )
    catalog: (
        Annotated[DependencyJson, Meta(description="Whether a worker process searches the catalog.")] | UnsetType
    ) = UNSET
    object_storage: (
        Annotated[
            DependencyJson,
            Meta(
                description="Whether catalogs in object storage are followed; until then their last copies answer."
            ),
        ]
        | UnsetType
    ) = UNSET
    temporary_files: (
        Annotated[DependencyJson, Meta(description="Whether there is room for uploads on this machine's disk.")]
        | UnsetType
    ) = UNSET
    redis: (
        Annotated[DependencyJson, Meta(description="Whether Redis answers; the server does its work without it.")]
        | UnsetType
    ) = UNSET
    twitch: (
        Annotated[DependencyJson, Meta(description="Whether Twitch answers the questions of this server's jobs.")]
        | UnsetType
    ) = UNSET
    sign_in: (
        Annotated[DependencyJson, Meta(description="Whether Twitch accepts this server's application.")]
        | UnsetType
    ) = UNSET
    function: (
        Annotated[DependencyJson, Meta(description="Whether the Lambda function can be invoked.")] | UnsetType
    ) = UNSET
    clock: (
        Annotated[DependencyJson, Meta(description="Whether the clocks here and at the database server agree.")]
        | UnsetType
    ) = UNSET
    background: (
        Annotated[DependencyJson, Meta(description="Whether the server's work in the background goes well.")]
        | UnsetType
    ) = UNSET


class SpendingJson(Struct, kw_only=True):
    """Questions asked in the current period; `most` and `left` are null where there is no budget."""

    used: int
    most: Count | None
    left: Count | None
    ends_at: Time


class BudgetsJson(Struct, kw_only=True):
    """What was asked of a provider, in each period that it has a budget for."""

    day: SpendingJson | UnsetType = UNSET
    month: SpendingJson | UnsetType = UNSET


class ProviderJson(Struct, kw_only=True):
    """The state of a provider, and what is left of its budgets."""

    state: ProviderState
    detail: str | None
    asked_again_in_seconds: float | None
    budgets: Annotated[
        BudgetsJson | None,
        Meta(description="Questions asked by all servers together; null while they cannot be counted."),
    ]

    @classmethod
    def of(cls, status: ProviderStatus) -> "ProviderJson":
        spending = status.spending
        return cls(
            state=status.state,
            detail=status.detail,
            asked_again_in_seconds=status.seconds,
            budgets=None
            if spending is None
            else BudgetsJson(**{str(each.period): form_of(SpendingJson, each) for each in spending}),
        )


class TwitchCheckJson(Struct, kw_only=True):
    """The newest hourly check of Twitch, for information; the server is ready in any case."""

    checked_at: Time
    failed: Annotated[list[str], Meta(description="The steps that failed.")]
    differs: Annotated[list[str], Meta(description="The steps that work, but not as they were recorded.")]

    @classmethod
    def of(cls, report: CanaryReport | None) -> "TwitchCheckJson | None":
        """None before the first check, and when none was configured."""
        if report is None:
            return None
        differs = [step.step for step in report.steps if step.outcome is Outcome.DIFFERS]
        return cls(checked_at=time_text(report.at), failed=[step.step for step in report.failed], differs=differs)


class ReadinessJson(Struct, kw_only=True):
    """Whether requests can be served; for the operator, each dependency named."""

    status: Literal["ready", "not ready"]
    dependencies: Annotated[DependenciesJson, Meta(description="For the operator alone.")] | UnsetType = UNSET
    providers: (
        Annotated[
            dict[str, ProviderJson],
            Meta(description="The recognizers that cost something, by name; for the operator alone."),
        ]
        | UnsetType
    ) = UNSET
    twitch: Annotated[TwitchCheckJson | None, Meta(description="For the operator alone.")] | UnsetType = UNSET
