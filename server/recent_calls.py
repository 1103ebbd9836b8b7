"""What goes wrong with services that readiness cannot try: Twitch, its sign-in, a function elsewhere.

Trying them each few seconds would cost their owner something, so the calls that are made anyway are looked at.
"""

from typing import Final

from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.job_ports import JobOutcome
from fingerprint.ports import Clock

IN_A_ROW: Final = 5
"""So many questions one after the other have to fail, before it is more than one channel's trouble."""

LATELY_SECONDS: Final = 900.0
"""How long failures count when nothing is asked any more."""

_OF_TWITCH: Final = frozenset({Kind.STREAM, Kind.CLIP, Kind.VIDEO})


class RecentCalls:
    """The newest calls to a service, as far as they failed one after the other."""

    def __init__(self, clock: Clock, *, least: int = 1) -> None:
        self._clock = clock
        self._least = least
        self._failed = 0
        self._failed_at = 0.0
        self._detail = ""

    def succeeded(self) -> None:
        """A call went well."""
        self._failed = 0

    def failed(self, detail: str) -> None:
        """A call failed, for a reason."""
        self._failed += 1
        self._failed_at = self._clock.monotonic()
        self._detail = detail

    @property
    def in_a_row(self) -> int:
        """How many of the newest calls failed; 0 when that is long ago."""
        return self._failed if self._clock.monotonic() - self._failed_at < LATELY_SECONDS else 0

    def check(self, what: str) -> None:
        """Raise TwitchAudioError with `what` and the newest reason, when enough of the newest calls failed."""
        if self.in_a_row >= self._least:
            raise TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, f"{what}: {self._detail}")


class TwitchAnswers:
    """Whether Twitch answers the questions of this process's jobs: a `service.add_outcome_listener`."""

    def __init__(self, clock: Clock) -> None:
        self._calls = RecentCalls(clock, least=IN_A_ROW)

    def __call__(self, outcome: JobOutcome) -> None:
        answer = outcome.identification
        if answer.kind not in _OF_TWITCH:
            return
        if answer.problem is not None and answer.problem.code is ProblemCode.UPSTREAM_UNAVAILABLE:
            self._calls.failed(answer.problem.detail)
        elif _reached_twitch(answer):
            self._calls.succeeded()

    async def attempt(self) -> None:
        """Raise TwitchAudioError when the newest questions failed at Twitch."""
        self._calls.check(f"The newest {self._calls.in_a_row} questions failed at Twitch, the last one so")


def _reached_twitch(answer: Identification) -> bool:
    """Whether a job's end shows that Twitch answered: a song, none, or that there is no such channel."""
    return answer.problem is None or answer.problem.code in _SAID_BY_TWITCH


_SAID_BY_TWITCH: Final = frozenset(
    {
        *(ProblemCode.CHANNEL_NOT_FOUND, ProblemCode.NOT_LIVE, ProblemCode.CLIP_NOT_FOUND),
        *(ProblemCode.VIDEO_NOT_FOUND, ProblemCode.RESTRICTED_STREAM, ProblemCode.AD_BREAK),
        *(ProblemCode.NO_AUDIO, ProblemCode.MOMENT_GONE, ProblemCode.RECOGNIZER_UNAVAILABLE),
    }
)
