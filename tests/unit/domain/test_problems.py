import copy
import pickle

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError


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
