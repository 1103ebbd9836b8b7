import copy
import pickle

import pytest

from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError, UpstreamError, public_problem
from fingerprint.recognizers.chain import WAYS_OUT


@pytest.mark.parametrize(
    "error",
    [
        TwitchAudioError(ProblemCode.BUSY, "Too much is going on.", retry_after_seconds=3.0),
        UpstreamError("usher", "Twitch said 500.", code=ProblemCode.NOT_LIVE, retry_after_seconds=None),
        UpstreamError("gql", "Twitch did not answer."),
    ],
)
def test_an_error_is_the_same_in_another_process(error: TwitchAudioError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert twin.problem == error.problem
        assert str(twin) == str(error)


@pytest.mark.parametrize(
    ("code", "detail", "is_hidden"),
    [
        (ProblemCode.RECOGNIZER_UNAVAILABLE, f"Nothing can recognize music yet. {WAYS_OUT}", True),
        (ProblemCode.RECOGNIZER_UNAVAILABLE, "Set TWITCHAUDIO_RECOGNIZERS.", True),
        (ProblemCode.RECOGNIZER_UNAVAILABLE, "acrcloud does not answer in time.", False),
        (ProblemCode.LOGIN_REQUIRED, "TWITCHAUDIO_ADMINS must be set.", False),
    ],
)
def test_callers_are_given_no_words_for_operators(code: ProblemCode, detail: str, *, is_hidden: bool) -> None:
    problem = Problem(code=code, detail=detail, retry_after_seconds=3.0)
    public = public_problem(problem)
    assert (public.detail != detail) is is_hidden
    assert (public.code, public.retry_after_seconds) == (code, 3.0)
