"""Our recognizers against the simulated providers: songs, every kind of trouble, and failover.

R1 to R7 are the faults of recognizers that the project has numbered.
"""

import asyncio
import dataclasses
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.links import links_of
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.jobs.clean import clean
from fingerprint.media.fetch import Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Match, Recognition, Recognizer
from fingerprint.providers import acrcloud_extractor
from fingerprint.providers.acrcloud_extractor import ExtractorMissingError, load_extractor
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.errors import FailureKind, ProviderError
from fingerprint.recognizers import REGISTRY
from fingerprint.recognizers.acrcloud import AcrCloudRecognizer
from fingerprint.setting_formats import Secret
from fingerprint.settings import read_settings
from fingerprint.wiring import make_guards, open_members, open_recognizers
from tests.builders import answered
from tests.fakes import FakeClock
from tests.providers import acrcloud_service, audd_service
from tests.providers.acrcloud_service import ACCESS_KEY, ACCESS_SECRET, AcrCloudService, fingerprint_of, status
from tests.providers.answers import ACR_TRACK, AUDD_RESULT, SHAZAM_ANSWER
from tests.providers.audd_service import API_TOKEN, AuddService
from tests.providers.service import Reply, Script, give, served
from tests.unit.catalog.music import tune

HEARD = Recording(pcm=tune(3).cut(7, 6))


def ignore(_stage: Stage) -> None:
    pass


@pytest.fixture
async def acrcloud() -> AsyncGenerator[AcrCloudService]:
    async with AcrCloudService.running() as service:
        yield service


@pytest.fixture
async def audd() -> AsyncGenerator[AuddService]:
    async with AuddService.running() as service:
        yield service


@asynccontextmanager
async def opened(name: str, **environ: str) -> AsyncGenerator[Recognizer[Any]]:
    """One recognizer with real connections."""
    settings = read_settings(PipelineSettings, {"TWITCHAUDIO_RECOGNIZERS": name, **environ})
    async with open_members(settings) as members:
        yield members[0].recognizer


async def ask(recognizer: Recognizer[Any], recording: Recording = HEARD) -> list[Match]:
    query = await asyncio.to_thread(recognizer.prepare, recording)
    return list(await recognizer.recognize(query))


@pytest.mark.parametrize("form", ["fingerprint", "audio"])
async def test_acrcloud_names_a_song_from_its_fingerprint_and_from_audio(
    form: str, acrcloud: AcrCloudService
) -> None:
    pytest.importorskip("acrcloud", reason="pyacrcloud is not made for this machine")
    acrcloud.teach(fingerprint_of(tune(3)), ACR_TRACK)
    async with opened("acrcloud", **acrcloud.environment(), TWITCHAUDIO_ACRCLOUD_SEND=form) as recognizer:
        (match,) = await ask(recognizer)
        assert (match.song.title, match.song.ids.spotify_track) == ("Paper Lanterns", "AAAAAAAAAAAAAAAAAAAAA1")
        assert match.song.offset_seconds == pytest.approx(7.0, abs=0.3)
        assert await ask(recognizer, Recording(pcm=tune(50).cut(3, 6))) == []
    assert {kind for kind, _ in acrcloud.asked} == {form}
    sizes = [size for _, size in acrcloud.asked]
    assert max(sizes) < (4_000 if form == "fingerprint" else 100_000)


async def test_audd_names_a_song(audd: AuddService) -> None:
    audd.found = AUDD_RESULT
    async with opened("audd", **audd.environment()) as recognizer:
        (match,) = await ask(recognizer)
        audd.found = None
        assert await ask(recognizer) == []
    assert (match.song.title, match.song.offset_seconds) == ("Paper Lanterns", 77.0)
    assert match.song.ids.apple_music == "1440933849"


async def test_uploads_are_named_by_the_operators_table_and_unsure_matches_are_none(
    audd: AuddService, tmp_path: Path
) -> None:
    settings = {"TWITCHAUDIO_RECOGNIZERS": "audd", "TWITCHAUDIO_DATA_DIR": str(tmp_path), **audd.environment()}
    async with open_recognizers(read_settings(PipelineSettings, settings)) as chain:

        async def titles() -> list[str]:
            return [match.song.title for match in (await chain.identify(HEARD, lambda _: None)).matches]

        audd.found = {"audio_id": 146, "timecode": "00:22"}
        assert await titles() == ["AudD upload 146"]
        (tmp_path / "tracks.csv").write_text("audd_id,title\n146,Evening jingle\n")
        assert await titles() == ["Evening jingle"]
        audd.found = AUDD_RESULT | {"score": 70}
        assert await titles() == ["Paper Lanterns"]
        audd.found = AUDD_RESULT | {"score": 69}
        assert await titles() == []


async def test_shazam_is_asked_through_its_library_and_our_connections() -> None:
    pytest.importorskip("shazamio")
    script = Script()
    seen: list[tuple[str, dict[str, Any]]] = []

    async def answer(request: Any) -> Any:
        seen.append((request.path, await request.json()))
        return await give(request, script.next() or Reply(body=json.dumps(SHAZAM_ANSWER).encode()))

    from aiohttp import web

    async with (
        served(web.post("/discovery/v5/{rest:.*}", answer)) as url,
        opened("shazam", TWITCHAUDIO_SHAZAM_URL=str(url)) as recognizer,
    ):
        assert await recognizer.unavailable_reason() is None
        (match,) = await ask(recognizer)
        assert match.song.title == "Paper Lanterns"
        script.replies.append(Reply(body=b'{"matches": []}'))
        assert await ask(recognizer) == []
        for reply, kind in (
            (Reply(status=429), FailureKind.RATE),
            (Reply(status=500, body=b"x"), FailureKind.TRANSIENT),
            (Reply(body=b"<html>"), FailureKind.TRANSIENT),
        ):
            script.replies.append(reply)
            with pytest.raises(ProviderError) as raised:
                await ask(recognizer)
            assert raised.value.kind is kind
    path, body = seen[0]
    assert path.startswith("/discovery/v5/")
    assert body["signature"]["uri"].startswith("data:audio/vnd.shazam.sig;base64,")
    assert 5_500 < body["signature"]["samplems"] < 6_500


# --- The extractor ------------------------------------------------------------------------------------


def test_the_extractor_works_on_real_sound_where_it_is_installed() -> None:
    try:
        extract = load_extractor()
    except ExtractorMissingError as missing:
        pytest.skip(str(missing))
    del extract
    made = fingerprint_of(tune(3).cut(7, 6))
    assert 500 < len(made) < 4_000
    assert len(made) % 8 == 0
    assert fingerprint_of(tune(3).cut(7, 6)) == made
    with pytest.raises(TwitchAudioError) as raised:
        fingerprint_of(Pcm(np.zeros((1, 96_000), np.float32)))
    assert raised.value.code is ProblemCode.NO_AUDIO


async def test_without_the_extractor_audio_is_sent_and_the_reason_is_logged_once(
    acrcloud: AcrCloudService, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> acrcloud_extractor.Extract:
        raise ExtractorMissingError("pyacrcloud cannot be imported (it is not there)")

    acrcloud.fixed = ACR_TRACK
    async with calls_to(acrcloud) as calls:
        recognizer = acrcloud_recognizer(calls, acrcloud, load=missing)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert len(await ask(recognizer)) == 1
    assert {kind for kind, _ in acrcloud.asked} == {"audio"}
    assert [record.message for record in caplog.records] == ["acrcloud_sends_audio"]
    assert "cannot be imported" in str(getattr(caplog.records[0], "reason", ""))


async def test_a_machine_without_the_library_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(acrcloud_extractor, "import_module", import_module)
    with pytest.raises(ExtractorMissingError, match=r"pip install 'twitchaudio\[acrcloud\]'"):
        load_extractor()


async def test_only_the_fingerprint_may_be_asked_for(acrcloud: AcrCloudService) -> None:
    def missing() -> acrcloud_extractor.Extract:
        raise ExtractorMissingError("it is not there")

    async with calls_to(acrcloud) as calls:
        recognizer = acrcloud_recognizer(calls, acrcloud, load=missing, send="fingerprint")
        with pytest.raises(RuntimeError, match="it is not there"):
            recognizer.prepare(HEARD)
        assert "it is not there" in (await recognizer.unavailable_reason() or "")


@asynccontextmanager
async def calls_to(service: AcrCloudService) -> AsyncGenerator[ProviderCalls]:
    async with Fetcher(AllowList.of_origins([service.url])) as fetcher:
        yield ProviderCalls(fetcher, SystemClock(), agent="test")


def acrcloud_recognizer(
    calls: ProviderCalls,
    service: AcrCloudService,
    *,
    load: Callable[[], acrcloud_extractor.Extract] = load_extractor,
    send: str = "auto",
) -> AcrCloudRecognizer:
    return AcrCloudRecognizer(
        calls,
        service.url,
        access_key=Secret(ACCESS_KEY),
        access_secret=Secret(ACCESS_SECRET),
        send=send,
        load=load,
    )


# --- Trouble ------------------------------------------------------------------------------------------

REPEATED = {2002, 2003, 2005, 3000, 3011}
ACR_CODES = [2000, 2001, 2002, 2003, 2005, 3000, 3001, 3002, 3003, 3006, 3011, 3014, 3016]


@pytest.mark.parametrize("code", ACR_CODES)
async def test_r5_acrcloud_is_asked_again_once_and_only_where_that_may_help(
    code: int, acrcloud: AcrCloudService
) -> None:
    acrcloud.fixed = ACR_TRACK
    acrcloud.script.replies.append(acrcloud_service.reply(code))
    environ = acrcloud.environment() | {"TWITCHAUDIO_ACRCLOUD_SEND": "audio"}
    async with opened("acrcloud", **environ) as recognizer:
        if code in REPEATED:
            (match,) = await ask(recognizer)
            assert match.song.title == "Paper Lanterns"
        else:
            with pytest.raises(ProviderError) as raised:
                await ask(recognizer)
            assert raised.value.provider_code == code
    assert acrcloud.script.questions == (2 if code in REPEATED else 1)


async def test_r4_a_wrong_key_and_a_wrong_secret_are_told_apart(acrcloud: AcrCloudService) -> None:
    for variable, words in (
        ("ACRCLOUD_ACCESS_KEY", "does not take our access key"),
        ("ACRCLOUD_ACCESS_SECRET", "does not take our signature"),
    ):
        async with opened("acrcloud", **acrcloud.environment() | {variable: "wrong"}) as recognizer:
            with pytest.raises(ProviderError, match=words) as raised:
                await ask(recognizer)
        assert raised.value.kind is FailureKind.CONFIGURATION


async def test_r4_a_wrong_clock_is_refused_and_the_operator_is_told_to_look_at_it(
    acrcloud: AcrCloudService,
) -> None:
    async with Fetcher(AllowList.of_origins([acrcloud.url])) as fetcher:
        calls = ProviderCalls(fetcher, FakeClock(), agent="test")
        with pytest.raises(ProviderError, match="this machine's clock") as raised:
            await ask(acrcloud_recognizer(calls, acrcloud))
    assert raised.value.provider_code == 3014


async def test_r4_a_key_that_is_refused_is_tried_and_logged_once_a_minute(
    acrcloud: AcrCloudService, audd: AuddService, caplog: pytest.LogCaptureFixture
) -> None:
    acrcloud.script.always = acrcloud_service.reply(3001)
    audd.found = AUDD_RESULT
    async with recognizing(acrcloud, audd, "acrcloud,audd") as identify:
        for _ in range(3):
            assert (await identify()).recognizer == "audd"
    assert acrcloud.script.questions == 1
    [line] = [record for record in caplog.records if record.message == "recognizer_failed"]
    assert "access key" in str(vars(line))
    assert ACCESS_KEY not in str(vars(line))
    assert ACCESS_SECRET not in str(vars(line))


async def test_r1_what_acrcloud_cannot_hear_is_no_audio_and_is_not_asked_again(acrcloud: AcrCloudService) -> None:
    acrcloud.script.always = acrcloud_service.reply(2004)
    async with opened("acrcloud", **acrcloud.environment()) as recognizer:
        with pytest.raises(TwitchAudioError) as raised:
            await ask(recognizer)
    assert raised.value.code is ProblemCode.NO_AUDIO
    assert acrcloud.script.questions == 1


@pytest.mark.parametrize("code", [900, 901, 902, 903, 904, 905, 906, 700, 611, 100, 1000, 19, 31337, 20])
async def test_audd_is_asked_again_once_and_only_where_that_may_help(code: int, audd: AuddService) -> None:
    audd.found = AUDD_RESULT
    audd.script.replies.append(audd_service.reply(code))
    repeated = code in (611, 100, 1000)
    async with opened("audd", **audd.environment()) as recognizer:
        if repeated:
            assert len(await ask(recognizer)) == 1
        else:
            with pytest.raises(ProviderError) as raised:
                await ask(recognizer)
            assert raised.value.provider_code == code
    assert audd.script.questions == (2 if repeated else 1)


BAD_BODIES = {
    "cut JSON": Reply(body=json.dumps(status(0)).encode()[:20]),
    "HTML": Reply(body=b"<html>Bad gateway</html>", content_type="text/html"),
    "nothing": Reply(),
    "no song": Reply(body=json.dumps(status(0)).encode()),
    "ten megabytes": Reply(body=b"[" + b"0," * 5_000_000 + b"0]"),
    "a server error": Reply(status=502, body=b"bad gateway"),
    "a dropped connection": Reply(cut=True),
}


@pytest.mark.parametrize("trouble", BAD_BODIES)
@pytest.mark.parametrize("name", ["acrcloud", "audd"])
async def test_r6_nonsense_is_a_fault_of_the_provider_after_two_tries_at_most(
    name: str, trouble: str, acrcloud: AcrCloudService, audd: AuddService
) -> None:
    service = {"acrcloud": acrcloud, "audd": audd}[name]
    service.script.always = BAD_BODIES[trouble]
    async with opened(name, **service.environment()) as recognizer:
        if name == "audd" and trouble == "no song":
            return  # its success without a result is no match
        with pytest.raises(ProviderError) as raised:
            await ask(recognizer)
    assert raised.value.kind is FailureKind.TRANSIENT
    assert raised.value.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert service.script.questions <= 2
    assert "Twitch" not in raised.value.detail


@pytest.mark.parametrize(
    "slow",
    [Reply(stalls=True), Reply(body=json.dumps(status(1001)).encode(), drip_seconds=4.0, stalls=True)],
)
@pytest.mark.parametrize("name", ["acrcloud", "audd"])
async def test_r5_a_provider_that_stalls_or_drips_is_given_up_and_the_next_one_answers(
    name: str, slow: Reply, acrcloud: AcrCloudService, audd: AuddService
) -> None:
    services = {"acrcloud": acrcloud, "audd": audd}
    other = "audd" if name == "acrcloud" else "acrcloud"
    services[name].script.always = slow
    acrcloud.fixed, audd.found = ACR_TRACK, AUDD_RESULT
    async with recognizing(acrcloud, audd, f"{name},{other}", TWITCHAUDIO_RECOGNIZER_SECONDS="20") as identify:
        answer = await identify()
    assert answer.recognizer == other
    assert services[name].script.questions == 1


Identify = Callable[[], Any]


@asynccontextmanager
async def recognizing(
    acrcloud: AcrCloudService, audd: AuddService, names: str, **environ: str
) -> AsyncGenerator[Identify]:
    """Both providers in a chain, as the pipeline has them."""
    variables = acrcloud.environment() | audd.environment() | {"TWITCHAUDIO_RECOGNIZERS": names} | environ
    async with open_recognizers(read_settings(PipelineSettings, variables)) as recognizers:

        async def identify() -> Recognition:
            return await recognizers.identify(HEARD, ignore)

        yield identify


async def test_r2_a_used_up_quota_is_left_alone_and_the_next_provider_answers(
    acrcloud: AcrCloudService, audd: AuddService
) -> None:
    acrcloud.script.always = acrcloud_service.reply(3003)
    audd.found = AUDD_RESULT
    async with recognizing(acrcloud, audd, "acrcloud,audd") as identify:
        for _ in range(3):
            assert (await identify()).recognizer == "audd"
    assert acrcloud.script.questions == 1
    assert audd.script.questions == 3


async def test_r3_asked_too_much_at_a_time_it_is_asked_once_more_and_then_the_next(
    acrcloud: AcrCloudService, audd: AuddService
) -> None:
    acrcloud.script.always = acrcloud_service.reply(3015, "QpS limit exceeded")
    audd.found = AUDD_RESULT
    async with recognizing(acrcloud, audd, "acrcloud,audd") as identify:
        assert (await identify()).recognizer == "audd"
        assert acrcloud.script.questions == 2
        # It rests for a moment.
        assert (await identify()).recognizer == "audd"
        assert acrcloud.script.questions == 2


async def test_r7_hostile_texts_are_cut_and_cleaned_and_become_no_links(acrcloud: AcrCloudService) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e\x00" + "x" * 20_000
    acrcloud.fixed = {
        "title": hostile,
        "artists": [{"name": hostile}, {"name": ""}],
        "album": {"name": "\u2028\x07"},
        "score": 100,
        "external_ids": {"isrc": hostile},
        "external_metadata": {
            "spotify": {"track": {"id": "../../evil"}, "artists": [{"id": ""}]},
            "youtube": {"vid": "javascript:alert(1)"},
            "deezer": {"track": {"id": "//evil.example"}},
        },
    }
    async with opened("acrcloud", **acrcloud.environment()) as recognizer:
        (match,) = await ask(recognizer)
    stored = clean(answered(song=match.song)).song
    assert stored is not None
    assert len(stored.title) <= 500
    assert stored.title.startswith("<img src=x onerror=alert(1)>")
    assert "\u202e" not in stored.title
    assert stored.album is None
    assert stored.ids.spotify_artists == ()
    assert set(links_of(stored).values()) == {None}


async def test_r2_when_all_are_over_their_quota_the_error_says_when_to_ask_again(
    acrcloud: AcrCloudService, audd: AuddService
) -> None:
    acrcloud.script.always = acrcloud_service.reply(3003)
    audd.script.always = audd_service.reply(902)
    async with recognizing(acrcloud, audd, "acrcloud,audd") as identify:
        for _ in range(2):
            with pytest.raises(TwitchAudioError) as raised:
                await identify()
            assert raised.value.code is ProblemCode.RECOGNIZER_UNAVAILABLE
            assert "The questions of our ACRCloud project are used up." in raised.value.detail
            assert (raised.value.retry_after_seconds or 0) > 500
    assert (acrcloud.script.questions, audd.script.questions) == (1, 1)


async def test_r1_no_result_is_an_answer_and_the_next_provider_is_still_asked(
    acrcloud: AcrCloudService, audd: AuddService
) -> None:
    async with recognizing(acrcloud, audd, "acrcloud,audd") as identify:
        answer = await identify()
    assert (answer.recognizer, list(answer.matches)) == ("acrcloud", [])
    assert (acrcloud.script.questions, audd.script.questions) == (1, 1)


async def test_asked_together_the_first_match_wins_and_agreement_raises_the_score(
    acrcloud: AcrCloudService, audd: AuddService
) -> None:
    acrcloud.fixed = ACR_TRACK
    audd.script.always = Reply(
        after=lambda: acrcloud.asked,
        after_seconds=0.2,
        body=json.dumps({"status": "success", "result": AUDD_RESULT}).encode(),
    )
    async with recognizing(acrcloud, audd, "audd,acrcloud", TWITCHAUDIO_ASK="together") as identify:
        answer = await identify()
        assert answer.recognizer == "acrcloud"
        (match,) = answer.matches
        assert match.score == pytest.approx(1 - (1 - 0.96) * (1 - 0.9))
        # What the first one did not know comes from the other.
        assert match.song.ids.apple_music == "1440933849"
        audd.script.always = Reply(after_seconds=20)
        (match,) = (await identify()).matches
        assert match.score == 0.96


async def test_silence_reaches_no_provider(acrcloud: AcrCloudService, audd: AuddService) -> None:
    silence = Recording(pcm=Pcm(np.zeros((1, 96_000), np.float32)))
    variables = acrcloud.environment() | audd.environment() | {"TWITCHAUDIO_RECOGNIZERS": "acrcloud,audd"}
    async with open_recognizers(read_settings(PipelineSettings, variables)) as recognizers:
        with pytest.raises(TwitchAudioError) as raised:
            await recognizers.identify(silence, ignore)
    assert raised.value.code is ProblemCode.NO_AUDIO
    assert (acrcloud.script.questions, audd.script.questions) == (0, 0)


async def test_no_secret_is_logged_or_told(
    acrcloud: AcrCloudService, audd: AuddService, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    texts: list[str] = []
    for code in (3001, 3014, 3000):
        acrcloud.script.replies.extend([acrcloud_service.reply(code, f"{ACCESS_KEY} {ACCESS_SECRET}")] * 2)
    audd.script.always = audd_service.reply(900)
    variables = acrcloud.environment() | audd.environment() | {"TWITCHAUDIO_DATA_DIR": str(tmp_path)}
    settings = read_settings(PipelineSettings, variables | {"TWITCHAUDIO_RECOGNIZERS": "acrcloud,audd"})
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            async with open_recognizers(settings) as recognizers:
                with pytest.raises(TwitchAudioError) as raised:
                    await recognizers.identify(HEARD, ignore)
                texts.append(raised.value.detail)
    texts += [str(vars(record)) for record in caplog.records]
    assert len(texts) > 6
    for canary in (ACCESS_KEY, ACCESS_SECRET, API_TOKEN):
        assert not [text for text in texts if canary in text]


def test_each_provider_that_costs_something_has_a_guard() -> None:
    settings = dataclasses.replace(PipelineSettings(), recognizers=("catalog", "shazam"))
    guards = make_guards(settings, SystemClock())
    assert guards.of("shazam") is guards.of("shazam")
    assert not REGISTRY["shazam"].free
