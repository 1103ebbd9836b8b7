"""`twitchaudio identify`: what an argument means, and answers in words."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fingerprint.clock import SystemClock
from fingerprint.domain.identification import ExternalIds, Identification, Kind, Timings
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, FileTarget
from fingerprint.pipeline import Pipeline
from fingerprint.pipeline_settings import PipelineSettings
from server.cli import identify, main
from tests.builders import answered, identification, song
from tests.fakes import FakePipeline


@pytest.fixture
def parts() -> FakePipeline:
    return FakePipeline(SystemClock())


@pytest.fixture
def opened_with(parts: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> list[PipelineSettings]:
    """Commands get the fake pipeline; the settings that it was opened with."""
    seen: list[PipelineSettings] = []

    @asynccontextmanager
    async def open_pipeline(settings: PipelineSettings, **_more: object) -> AsyncGenerator[Pipeline]:
        seen.append(settings)
        yield parts.pipeline

    monkeypatch.setattr(identify, "open_pipeline", open_pipeline)
    return seen


def test_a_file_that_exists_is_a_file_and_anything_else_is_twitchs(tmp_path: Path) -> None:
    file = tmp_path / "song.mp3"
    file.write_bytes(b"")
    assert identify.target_from(str(file)) == FileTarget(file)
    assert identify.target_from("SomeChannel") == ChannelTarget("somechannel")
    assert identify.target_from("https://clips.twitch.tv/AwkwardSlug-x_1") == ClipTarget("AwkwardSlug-x_1")
    assert identify.target_from("<https://clips.twitch.tv/AwkwardSlug-x_1/edit>.") == ClipTarget("AwkwardSlug-x_1")


@pytest.mark.parametrize(
    "text", ["missing.mp3", "folder/missing.flac", "a\x00b", "x" * 5000, "https://youtube.com/x"]
)
def test_what_is_neither_is_said(text: str) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        identify.target_from(text)
    assert caught.value.code is ProblemCode.INVALID_INPUT


@pytest.mark.usefixtures("opened_with")
def test_json_is_one_line_a_target_in_the_order_given(
    parts: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["identify", "first", "second", "AwkwardSlug-x_1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["kind"], line["target"]) for line in lines] == [
        ("stream", "first"),
        ("stream", "second"),
        ("clip", "AwkwardSlug-x_1"),
    ]
    assert {line["status"] for line in lines} == {"successful"}
    assert parts.capture.captures == 3


@pytest.mark.usefixtures("opened_with")
def test_no_match_is_an_answer_and_a_failure_is_exit_status_1(
    parts: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    parts.recognizers.matches = []
    assert main(["identify", "somechannel"]) == 0
    assert "no song was recognized" in capsys.readouterr().out
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "somechannel is not live.")
    assert main(["identify", "somechannel"]) == 1
    assert "somechannel is not live." in capsys.readouterr().out


@pytest.mark.usefixtures("opened_with")
def test_with_nothing_to_recognize_with_nothing_is_captured(
    parts: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    parts.recognizers.missing = "Nothing can recognize music yet: add music."
    assert main(["identify", "somechannel", "--json"]) == 1
    line = json.loads(capsys.readouterr().out)
    assert line["problem"]["code"] == "recognizer-unavailable"
    assert line["problem"]["detail"] == parts.recognizers.missing
    assert parts.resolver.asked == []


def test_options_replace_settings(opened_with: list[PipelineSettings], tmp_path: Path) -> None:
    assert main(["identify", "somechannel", "--catalog", str(tmp_path), "--recognizers", "catalog,shazam"]) == 0
    assert opened_with[0].catalog_dir == tmp_path
    assert opened_with[0].recognizers == ("catalog", "shazam")


def test_wrong_usage_is_exit_status_2_before_anything_is_opened(
    opened_with: list[PipelineSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["identify", "somechannel", "missing.mp3"]) == 2
    assert "missing.mp3" in capsys.readouterr().err
    assert opened_with == []


async def test_a_few_targets_are_at_work_at_a_time(parts: FakePipeline) -> None:
    targets = [ChannelTarget(f"channel{number}") for number in range(10)]
    parts.capture.gate.clear()
    async with identify.answers(parts.pipeline, SystemClock(), targets) as tasks:
        for _ in range(20):
            await asyncio.sleep(0)
        assert parts.capture.running == identify.AT_ONCE
        parts.capture.gate.set()
        assert [(await task).target for task in tasks] == [target.login for target in targets]


async def test_stopping_early_leaves_nothing_running(parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    async with identify.answers(parts.pipeline, SystemClock(), [ChannelTarget("a")]):
        await parts.capture.started.wait()
    assert parts.capture.running == 0


def test_an_answer_in_words() -> None:
    ids = ExternalIds(deezer_track="3135556")
    found = song("Night Drive", album="Roads", duration_seconds=201.4, offset_seconds=63.2, ids=ids)
    timings = Timings(resolve_ms=80, capture_ms=120.4, fingerprint_ms=20, recognize_ms=5, total_ms=226)
    text = identify.describe(answered(song=found, score=0.934, timings=timings))
    assert text == (
        "somechannel (stream)\n"
        "  The Builders - Night Drive\n"
        "  album Roads, 93% sure, 1:03 of 3:21 into the song\n"
        "  https://www.deezer.com/track/3135556\n"
        "  search: https://open.spotify.com/search/The%20Builders%20Night%20Drive\n"
        "          https://www.youtube.com/results?search_query=The%20Builders%20Night%20Drive\n"
        "          https://music.apple.com/us/search?term=The%20Builders%20Night%20Drive\n"
        "  resolve 80 ms, capture 120 ms, fingerprint 20 ms, recognize 5 ms: 0.23 s total"
    )


def test_a_song_is_searched_for_where_it_has_no_link() -> None:
    ids = ExternalIds(youtube="dQw4_9-gXcQ", spotify_track="not one!")
    assert identify.describe(answered(score=None, song=song("A", ids=ids))).splitlines()[2:] == [
        "  https://www.youtube.com/watch?v=dQw4_9-gXcQ",
        "  search: https://open.spotify.com/search/The%20Builders%20A",
        "          https://www.deezer.com/search/The%20Builders%20A",
        "          https://music.apple.com/us/search?term=The%20Builders%20A",
    ]


@pytest.mark.parametrize(("score", "line"), [(0.7, "  Probably: The Builders - A"), (0.86, "  The Builders - A")])
def test_a_song_that_is_not_sure_is_probable(score: float, line: str) -> None:
    assert identify.describe(answered(score=score, song=song("A"))).splitlines()[1] == line


def test_a_corrected_song_says_who_named_it_instead_of_how_sure_we_are() -> None:
    found = answered(score=None, song=song("A", album="Roads", corrected=True))
    assert identify.describe(found).splitlines()[1:3] == [
        "  The Builders - A",
        "  album Roads, corrected by the channel",
    ]


@pytest.mark.parametrize("is_uncertain", [True, False])
def test_an_uncertain_place_has_a_line_of_its_own(*, is_uncertain: bool) -> None:
    answer = answered(kind=Kind.VIDEO, target="1", at_seconds=5.0, song=song("A"), place_uncertain=is_uncertain)
    line = "  Twitch's times do not add up: this may be from shortly before or after the moment asked for"
    assert identify.describe(answer).splitlines().count(line) == is_uncertain


def test_several_songs_in_a_file_are_listed_where_they_begin() -> None:
    one, other = song("One"), song("Two", position_seconds=3_725.0)
    text = identify.describe(answered(kind=Kind.FILE, target="mix.mp3", song=one, songs=(one, other)))
    assert text.splitlines()[-2:] == ["     0:00  The Builders - One", "  1:02:05  The Builders - Two"]


@pytest.mark.parametrize("subject", [identification(), answered(score=None, song=song("A"))])
def test_what_is_not_known_is_left_out(subject: Identification) -> None:
    assert "None" not in identify.describe(subject)
