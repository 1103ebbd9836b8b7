"""Faults that can be simulated for a channel, a clip, a VOD or everything."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final, Self

import msgspec

from simulator.renditions import RENDITION_NAMES


class Step(StrEnum):
    """The kinds of request that the simulator answers."""

    GQL = "gql"
    USHER = "usher"
    PLAYLIST = "playlist"
    SEGMENT = "segment"
    CLIP = "clip"
    HELIX = "helix"
    ID = "id"


class FaultKind(StrEnum):
    """The kinds of faults: what is sent instead of the right answer, and at which steps it can be."""

    steps: frozenset[Step]

    def __new__(cls, value: str, *steps: Step) -> Self:
        """`steps`: all of them, unless some are given."""
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.steps = frozenset(steps or Step)
        return kind

    STATUS = "status"
    RESET = "reset"
    SLOW = "slow"
    DRIP = "drip"
    TRUNCATED = "truncated"
    CUT = "cut"
    GZIP = "gzip"
    EMPTY = "empty"
    BINARY = "binary"
    HUGE = "huge"
    HTML = "html"
    HTML_STATUS = "html_status"
    REDIRECT = "redirect"
    REDIRECT_AWAY = "redirect_away"
    REDIRECT_LOOP = "redirect_loop"
    ENDLESS = "endless"
    CHUNKED_CUT = "chunked_cut"
    LONGER_LENGTH = "longer_length"
    SHORTER_LENGTH = "shorter_length"
    BROTLI = "brotli"
    OTHER_RANGE = "other_range", Step.SEGMENT, Step.CLIP
    RANGE_IGNORED = "range_ignored", Step.SEGMENT, Step.CLIP
    CUT_JSON = "cut_json", Step.GQL
    NULL_DATA = "null_data", Step.GQL
    MISSING_DATA = "missing_data", Step.GQL
    SERVICE_ERROR = "service_error", Step.GQL
    SERVICE_TIMEOUT = "service_timeout", Step.GQL
    SERVER_ERROR = "server_error", Step.GQL
    FAILED_INTEGRITY = "failed_integrity", Step.GQL
    PERSISTED_QUERY_NOT_FOUND = "persisted_query_not_found", Step.GQL
    DATA_WITH_ERRORS = "data_with_errors", Step.GQL
    DATA_WITH_WARNINGS = "data_with_warnings", Step.GQL
    DATA_WITH_UNKNOWN_QUERY = "data_with_unknown_query", Step.GQL
    NULL_WITH_WARNINGS = "null_with_warnings", Step.GQL
    OTHER_TYPES = "other_types", Step.GQL
    NULLS_IN_LISTS = "nulls_in_lists", Step.GQL
    EMPTY_LIST = "empty_list", Step.USHER, Step.PLAYLIST
    NO_AUDIO = "no_audio", Step.USHER, Step.PLAYLIST
    FOREIGN_HOST = "foreign_host", Step.USHER, Step.PLAYLIST
    FILE_URI = "file_uri", Step.USHER, Step.PLAYLIST
    SELF_REFERENCE = "self_reference", Step.USHER, Step.PLAYLIST
    CRLF = "crlf", Step.USHER, Step.PLAYLIST
    LONE_CR = "lone_cr", Step.USHER, Step.PLAYLIST
    BOM = "bom", Step.USHER, Step.PLAYLIST
    UTF16 = "utf16", Step.USHER, Step.PLAYLIST
    ODD_ADDRESSES = "odd_addresses", Step.USHER, Step.PLAYLIST
    NEGATIVE_DURATIONS = "negative_durations", Step.PLAYLIST
    NAN_DURATIONS = "nan_durations", Step.PLAYLIST
    HUGE_DURATIONS = "huge_durations", Step.PLAYLIST
    ZERO_DURATIONS = "zero_durations", Step.PLAYLIST
    NO_DURATIONS = "no_durations", Step.PLAYLIST
    NUMBERED_AGAIN = "numbered_again", Step.PLAYLIST
    DISCONTINUITIES = "discontinuities", Step.PLAYLIST
    BACKWARDS = "backwards", Step.PLAYLIST


ODD_DATA_KINDS: Final = frozenset(
    {
        FaultKind.DATA_WITH_ERRORS,
        FaultKind.DATA_WITH_WARNINGS,
        FaultKind.DATA_WITH_UNKNOWN_QUERY,
        FaultKind.OTHER_TYPES,
        FaultKind.NULLS_IN_LISTS,
    }
)
"""The faults that leave gql's answer odd, and with all that was asked for."""

GQL_KINDS: Final = (
    {kind for kind in FaultKind if list(kind.steps) == [Step.GQL]} - ODD_DATA_KINDS - {FaultKind.CUT_JSON}
)
"""The faults that leave gql's answer without what was asked for."""

TRAITS: Final = {
    Step.GQL: frozenset({"text", "minimal", "persisted"}),
    Step.USHER: frozenset({"v1", "v2", "token", "nauth"}),
    Step.PLAYLIST: frozenset(RENDITION_NAMES),
    Step.SEGMENT: frozenset(RENDITION_NAMES),
}
"""What `only` can say of a request: gql's form (`minimal`: text without an operation name), usher's version and
the names of its token, a rendition."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault at a step. `times`: how often, None for always. `seconds`: the duration of slow and drip.

    `only`: one of the step's TRAITS; other requests are spared. `retry_after`: seconds in a `Retry-After` header
    of `status`, sent as an HTTP date if `retry_after_date`.
    """

    step: Step
    kind: FaultKind
    status: int = 503
    seconds: float = 1.0
    times: int | None = None
    only: str | None = None
    retry_after: int | None = None
    retry_after_date: bool = False

    def __post_init__(self) -> None:
        if self.only is not None and self.only not in TRAITS.get(self.step, ()):
            known = ", ".join(sorted(TRAITS.get(self.step, ()))) or "nothing"
            raise ValueError(f"only takes, for {self.step}, {known}, not {self.only!r}")
        if not 400 <= self.status <= 599:
            raise ValueError(f"status must be 400..599, not {self.status}")
        if not 0 <= self.seconds <= 600:
            raise ValueError(f"seconds must be 0..600, not {self.seconds}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be at least 1, not {self.times}")
        if self.retry_after is not None and not (0 <= self.retry_after <= 10**9 and self.kind is FaultKind.STATUS):
            raise ValueError("retry_after takes 0..1000000000, and belongs to a status")
        if self.step not in self.kind.steps:
            raise ValueError(
                f"{self.kind} is a fault of {' and '.join(sorted(self.kind.steps))}, not of {self.step}"
            )


class FaultPlan:
    """The faults of one channel, clip or VOD; counts down those that happen a limited number of times."""

    def __init__(self) -> None:
        self._active: list[tuple[Fault, int | None]] = []

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that can still happen."""
        return tuple(fault for fault, _ in self._active)

    def set(self, *faults: Fault) -> None:
        """Replace all faults with these."""
        self._active = [(fault, fault.times) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Add a fault to the others."""
        self._active.append((fault, fault.times))

    def clear(self) -> None:
        """Remove all faults."""
        self._active.clear()

    def take(self, step: Step, traits: Collection[str] = ()) -> list[Fault]:
        """The faults for one request of this kind, which then count as having happened. `traits`: what it is.

        These are all faults that only slow it down, and the first of the others; the next request gets the next
        one.
        """
        happening: list[Fault] = []
        left: list[tuple[Fault, int | None]] = []
        broken = False
        for fault, times in self._active:
            slow = fault.kind is FaultKind.SLOW
            meant = fault.step is step and (fault.only is None or fault.only in traits)
            if meant and (slow or not broken):
                happening.append(fault)
                broken = broken or not slow
                if times == 1:
                    continue
                left.append((fault, None if times is None else times - 1))
            else:
                left.append((fault, times))
        self._active = left
        return happening


def taken(step: Step, *plans: FaultPlan | None, traits: Collection[str] = ()) -> tuple[Fault, ...]:
    """The faults for one request, from all plans that apply to it."""
    return tuple(fault for plan in plans if plan is not None for fault in plan.take(step, traits))
