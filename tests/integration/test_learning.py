"""What a provider named is named without it: see `server.learning`."""

import dataclasses
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientSession

from fingerprint import database
from fingerprint.catalog.learning import CaptureOrigin, SongCapture
from fingerprint.database import Database
from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Song
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Match
from fingerprint.providers.usage import SqlUsage
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.recognizers.learned import EMPTY, LearnedRecognizer
from fingerprint.settings import SettingsError, read_settings
from fingerprint.wiring import checked_names, open_recognizers
from server.learning.service import LearnedFolder, Learner, LearningLimits, songs_to_learn
from server.learning.store import LearnedStore, NewCapture
from server.observability import Metrics
from server.web.admin.queries import savings_text
from tests.api_client import ask
from tests.builders import NOON, answered, song
from tests.databases import migrated_database
from tests.fakes import FakeClock
from tests.providers.answers import AUDD_RESULT
from tests.providers.audd_service import AuddService
from tests.unit.catalog.music import mixed, tune

NAMED = song("Paper Lanterns", "Mira Holt", isrc="ZZN992100042", duration_seconds=40.0)
ANOTHER = song("Interval", "The Low Tide", isrc="ZZN992100043", duration_seconds=40.0)


def sound(start: float, *, of: int = 71, under: int = 80) -> Pcm:
    """Six seconds of a song under other music."""
    other = tune(80 + under % 3, 12.0, channels=2).cut(under % 5, 6.0)
    return mixed(tune(of, 30.0, channels=2).cut(start, 6.0), other, 0.5)


class Listeners:
    """A learner with a database and a folder of its own, and channels that ask."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = FakeClock(NOON)
        self.folder = folder
        self.recognizer = LearnedRecognizer(CatalogRecognizer(folder))
        self.store = LearnedStore(database, max_bytes=1 << 20)
        self.usage = SqlUsage(database)
        self.learner = self.another(folder)
        self._asked = 0

    def another(self, folder: Path) -> Learner:
        """A learner on the same database."""
        return Learner(
            self.store,
            LearnedRecognizer(CatalogRecognizer(folder)),
            LearnedFolder(folder),
            clock=self.clock,
            metrics=Metrics(),
            usage=self.usage,
            paid=lambda: ["acrcloud"],
            prices={"acrcloud": Decimal("0.004")},
            clip_parts=5,
            limits=LearningLimits(),
        )

    async def paid(
        self, channel: str, start: float, named: Song = NAMED, *, pcm: Pcm | None = None
    ) -> Identification:
        """A provider names a song on a channel."""
        self._asked += 1
        now = NOON + timedelta(minutes=10 * self._asked)
        found = dataclasses.replace(named, offset_seconds=start)
        answer = answered(
            song=found,
            target=channel,
            channel_id=f"id-{channel}",
            id=IdentificationId(f"paid-{self._asked}"),
            recognizer="acrcloud",
        )
        heard = sound(start, under=80 + self._asked) if pcm is None else pcm
        self.learner.heard(answer, Recording(pcm=heard, started_at=now))
        await self.learner.catch_up()
        return answer

    async def ask(self, pcm: Pcm) -> list[Match]:
        """What the learned catalog says."""
        return list(await self.recognizer.recognize(self.recognizer.prepare(Recording(pcm=pcm))))


@pytest.fixture(autouse=True)
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is not about time limits: what is not stored in time is learned later, and these tests ask at once."""
    monkeypatch.setattr(database, "QUERY_SECONDS", 60.0)


@pytest.fixture
async def listeners(tmp_path: Path) -> AsyncGenerator[Listeners]:
    async with migrated_database(f"sqlite:///{tmp_path / 'learned.sqlite3'}") as opened:
        yield Listeners(opened, tmp_path / "learned")


async def test_a_song_that_two_channels_played_is_named_on_a_third(listeners: Listeners) -> None:
    assert await listeners.recognizer.unavailable_reason() == EMPTY
    await listeners.paid("a", 10.0)
    await listeners.paid("a", 10.5)
    assert await listeners.recognizer.unavailable_reason() == EMPTY, "one channel proves nothing"
    await listeners.paid("b", 10.4)
    assert await listeners.recognizer.unavailable_reason() is None
    (match,) = await listeners.ask(sound(10.2, under=99))
    assert match.song.landmarks, "of this sound"
    assert dataclasses.replace(match.song, offset_seconds=None, speed=None, pitch=None, landmarks=None) == NAMED
    assert match.song.offset_seconds == pytest.approx(10.2, abs=0.2)
    assert await listeners.ask(sound(22.0, under=99)) == [], "a part that was not heard twice"


async def test_a_song_grows_and_is_there_on_every_server(listeners: Listeners, tmp_path: Path) -> None:
    for number, start in enumerate((10.0, 11.0, 14.0, 15.0, 18.0)):
        await listeners.paid("abc"[number % 3], start)
    (match,) = await listeners.ask(sound(14.0, under=99))
    assert match.song.title == "Paper Lanterns"
    elsewhere = tmp_path / "elsewhere"
    await listeners.another(elsewhere).catch_up()
    assert LearnedFolder(elsewhere).versions() == LearnedFolder(listeners.folder).versions()
    (elsewhere / "manifest.json").write_text("{")
    await listeners.another(elsewhere).catch_up()
    assert LearnedFolder(elsewhere).versions() == LearnedFolder(listeners.folder).versions(), "made again"


async def test_a_report_forgets_what_was_learned(listeners: Listeners) -> None:
    await listeners.paid("a", 10.0)
    wrong = await listeners.paid("b", 10.4)
    await listeners.learner.reported(dataclasses.replace(wrong, recognizer="catalog", id=IdentificationId("else")))
    await listeners.learner.catch_up()
    assert len(await listeners.ask(sound(10.2, under=99))) == 1, "another answer"
    await listeners.learner.reported(wrong)
    await listeners.learner.catch_up()
    assert await listeners.recognizer.unavailable_reason() == EMPTY
    await listeners.paid("c", 10.4)
    (match,) = await listeners.ask(sound(10.2, under=99))
    await listeners.learner.reported(answered(song=match.song, recognizer="learned"))
    await listeners.learner.catch_up()
    assert await listeners.recognizer.unavailable_reason() == EMPTY
    assert await listeners.store.size() == (0, 0)


async def test_one_sound_that_is_two_songs_is_neither(listeners: Listeners) -> None:
    clean = tune(71, 30.0, channels=2)
    await listeners.paid("a", 10.0, pcm=clean.cut(10.0, 6.0))
    await listeners.paid("b", 10.4, pcm=clean.cut(10.4, 6.0))
    assert len(await listeners.ask(clean.cut(10.2, 6.0))) == 1
    await listeners.paid("c", 30.0, ANOTHER, pcm=clean.cut(10.2, 6.0))
    assert await listeners.recognizer.unavailable_reason() == EMPTY
    assert await listeners.store.size() == (0, 0)


async def test_what_it_saved_is_counted(listeners: Listeners) -> None:
    live = answered(recognizer="learned")
    listeners.learner.heard(live, Recording(pcm=sound(1.0)))
    clip = Recording(pcm=tune(71, 30.0, channels=2).cut(0.0, 30.0))
    listeners.learner.heard(live, clip)
    listeners.learner.heard(answered(recognizer="catalog"), clip)
    await listeners.learner.catch_up()
    savings = await listeners.learner.savings()
    assert savings is not None
    assert [each.used for each in savings.usage] == [4, 4], "a clip of 30 s is three questions"
    assert savings.price == Decimal("0.004")
    assert savings_text(savings) == (
        "Saved by what was learned: 4 questions today, 4 this month, worth 0.02. Songs that can be named: 0. "
        "Captures kept: 0 (0.0 MiB)."
    )


async def test_it_is_asked_after_the_catalog_and_before_a_provider(listeners: Listeners, tmp_path: Path) -> None:
    await listeners.paid("a", 10.0)
    await listeners.paid("b", 10.4)
    async with AuddService.running() as audd:
        audd.found = AUDD_RESULT
        environ = audd.environment() | {"TWITCHAUDIO_DATA_DIR": str(tmp_path), "TWITCHAUDIO_LEARN": "on"}
        environ["TWITCHAUDIO_RECOGNIZER_SECONDS"] = "20"
        settings = read_settings(PipelineSettings, environ)
        assert checked_names(settings) == ("catalog", "learned", "audd")
        async with open_recognizers(settings) as chain:
            known = await chain.identify(Recording(pcm=sound(10.2, under=99)), lambda _: None)
            assert (known.recognizer, known.matches[0].song.isrc) == ("learned", NAMED.isrc)
            assert audd.asked == []
            other = await chain.identify(Recording(pcm=sound(10.0, of=72, under=99)), lambda _: None)
            assert (other.recognizer, len(audd.asked)) == ("audd", 1)


def test_it_is_only_asked_where_it_is_switched_on() -> None:
    assert checked_names(read_settings(PipelineSettings, {"TWITCHAUDIO_LEARN": "off"})) == ("catalog",)
    with pytest.raises(SettingsError, match="TWITCHAUDIO_LEARN=on"):
        checked_names(read_settings(PipelineSettings, {"TWITCHAUDIO_RECOGNIZERS": "catalog,learned"}))
    with pytest.raises(SettingsError, match="TWITCHAUDIO_PRICES"):
        checked_names(read_settings(PipelineSettings, {"TWITCHAUDIO_PRICES": "catalog=1"}))


async def test_a_report_over_http_forgets_what_the_answer_taught(api: ClientSession, database: Database) -> None:
    answer = await (await ask(api, wait=20)).json()
    store = LearnedStore(database, max_bytes=1 << 20)
    capture = SongCapture(fingerprint=b"peaks", offset_seconds=1.0, origin=CaptureOrigin(channel="somechannel"))
    new = NewCapture(
        identification_id=answer["id"],
        number=0,
        kind=Kind.STREAM,
        target="somechannel",
        song=NAMED,
        capture=capture,
        seconds=6.0,
    )
    await store.add(new, now=datetime.now(UTC))
    for reason, left in (("other", 1), ("wrong-song", 0)):
        reported = await api.post(f"/api/v1/identifications/{answer['id']}/reports", json={"reason": reason})
        assert reported.status == 204
        assert (await store.size())[0] == left


@pytest.mark.parametrize(
    ("changes", "seconds", "expected"),
    [
        ({}, 6.0, [("Paper Lanterns", 0.0, 6.0)]),
        ({"score": 0.8}, 6.0, []),
        ({}, 2.0, []),
        ({"offset_seconds": None}, 6.0, []),
        ({"offset_seconds": 5_000.0}, 6.0, []),
        ({"position_seconds": 4.0}, 10.0, [("Paper Lanterns", 4.0, 6.0)]),
        ({"position_seconds": 4.0}, 60.0, [("Paper Lanterns", 4.0, 12.0)]),
    ],
)
def test_what_is_learned_of_an_answer(changes: dict[str, float], seconds: float, expected: list[object]) -> None:
    score = changes.pop("score", 0.9)
    found = dataclasses.replace(NAMED, **({"offset_seconds": 10.0} | changes))
    recording = Recording(pcm=Pcm(np.zeros((1, round(seconds * SAMPLE_RATE)), np.float32)))
    heard = songs_to_learn(answered(song=found, score=score), recording)
    assert [(each.song.title, each.start, each.seconds) for each in heard] == expected
