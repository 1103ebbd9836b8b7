"""The test of a recognizer on the admin pages, as far as it needs no server."""

import numpy as np
import pytest
from aiohttp import web

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from server import keys
from server.recognizer_trial import notes, tones_of_peaks
from server.settings import ServerSettings
from server.web.admin.recognizer_trials import RecognizerTrials
from server.web.admin.sections import Form

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"recognizer": ["shazam"]}, "A question to shazam may cost money: confirm it first. Nothing was asked."),
        ({"recognizer": ["shazam"], "paid": [""]}, "confirm it first"),
        ({"recognizer": ["audd"], "paid": ["yes"]}, "names no recognizer"),
        ({}, "names no recognizer"),
    ],
)
async def test_nothing_is_spent_that_was_not_confirmed(form: dict[str, list[str]], why: str) -> None:
    app = web.Application()
    app[keys.SETTINGS] = ServerSettings(pipeline=PipelineSettings(recognizers=("catalog", "shazam")))
    with pytest.raises(TwitchAudioError, match=why):
        await RecognizerTrials(app).change(Form(form))


def test_the_sounds_are_as_loud_as_music() -> None:
    empty = np.zeros(0, np.int64)
    for sound in (notes(), tones_of_peaks(np.arange(0, 400, 3), np.full(134, 40))):
        assert sound.dtype == np.float32
        assert 0.05 < float(np.sqrt(np.mean(sound**2))) < 0.8
        assert float(np.abs(sound).max()) <= 0.81
    assert not tones_of_peaks(empty, empty).any()
