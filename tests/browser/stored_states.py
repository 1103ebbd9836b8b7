"""What pages can be about, as if it had been asked for: answers of every kind, set lists, an operator's lists."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from fingerprint.database import Database
from fingerprint.domain.identification import (
    BroadcastMoment,
    Heard,
    Identification,
    IdentificationId,
    Kind,
    Song,
    Stage,
    Status,
    Timings,
)
from fingerprint.domain.problems import Problem, ProblemCode
from fingerprint.domain.tracklist import HeardPiece, Tracklist
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.channels.reports import Reason, ReportStore
from server.channels.song_tokens import SongTokenStore
from server.channels.unknown_store import UnknownStore
from server.channels.video_set_list_store import SetListLimits, VideoSetListStore
from server.channels.watch_store import WatchStore
from tests.builders import identification, song
from tests.seeds import evening_songs, seed_answers, seed_evening

LONG: Final = song(
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnungen " * 3 + "x" * 200,
    "W" * 90,
    "שיר עברי أغنية عربية",
    "The Artists Whose Names Are Many Words and Then Some More Words " * 2,
    album="Supercalifragilisticexpialidocious" * 4,
    label="A Label Limited by Guarantee and Its Partners in Many Countries of the World",
    isrc="GBAYE0601498",
    release_date="1999-12-31",
    duration_seconds=36_000.0,
    offset_seconds=35_999.0,
)
"""Names as long as services give them."""

_BARE: Final = Song(title="Untitled")
_CODES: Final = (
    (ProblemCode.NOT_LIVE, "The channel quiet_one is not live.", None),
    (ProblemCode.AD_BREAK, "Twitch shows advertisements on somechannel.", 25.0),
    (ProblemCode.RESTRICTED_STREAM, "The stream of somechannel is for its subscribers.", None),
    (ProblemCode.CHANNEL_NOT_FOUND, f"There is no channel {'w' * 25} on Twitch.", None),
    (ProblemCode.NO_AUDIO, "The stream of somechannel has no sound.", None),
    (ProblemCode.RECOGNIZER_UNAVAILABLE, "The catalog is empty.", None),
    (ProblemCode.UPSTREAM_UNAVAILABLE, "Twitch did not answer.", 30.0),
    (ProblemCode.TIMEOUT, "It took longer than 30 s.", None),
    (ProblemCode.MOMENT_GONE, "Nothing of that moment can be heard any more.", None),
)


def stored_answers(full: Song, now: datetime) -> Sequence[Identification]:
    """One answer of each kind, by an id that says which; those that work were asked just now."""
    timings = Timings(resolve_ms=80, capture_ms=640, fingerprint_ms=20, recognize_ms=5, total_ms=745)

    def answer(name: str, **more: Any) -> Identification:
        found: Song | None = more.pop("song", None)
        known: dict[str, Any] = {
            "id": IdentificationId(name),
            "created_at": now,
            "finished_at": now + timedelta(seconds=1),
            "captured_at": now,
            "captured_seconds": 6.0,
            "status": Status.NO_MATCH if found is None else Status.SUCCESSFUL,
            "stage": Stage.DONE,
            "timings": timings,
            "song": found,
            "songs": () if found is None else (found,),
            "score": None if found is None else 0.93,
            "recognizer": None if found is None else "catalog",
        }
        return identification(**known | more)

    def failed(code: ProblemCode, detail: str, retry: float | None) -> Identification:
        problem = Problem(code=code, detail=detail, retry_after_seconds=retry)
        return answer(f"failed-{code}", problem=problem, status=Status.FAILED)

    def working(stage: Stage) -> Identification:
        status = Status.QUEUED if stage is Stage.QUEUED else Status.RUNNING
        # Made so late that it does not count as abandoned.
        more: dict[str, Any] = {"created_at": now + timedelta(hours=1), "finished_at": None}
        return answer(f"working-{stage}", status=status, stage=stage, target=f"at_{stage}", **more)

    odd = replace(full, speed=1.08, pitch=1.3, isrc="USRC17607839", release_date="2019-05")
    long_ago, earlier = now - timedelta(days=10), now - timedelta(minutes=5)
    other = replace(full, title="Another One", position_seconds=21.0)
    video: dict[str, Any] = {"kind": Kind.VIDEO, "target": "2210987001", "channel": "somechannel"}
    return (
        answer("found", song=full),
        answer("probably", song=full, score=0.7),
        answer("faster", song=odd),
        answer("bare", song=_BARE, captured_at=None),
        answer("long", song=LONG, target="w" * 25),
        answer("long-ago", song=full, created_at=long_ago, captured_at=long_ago),
        answer("moment", song=full, asked_at=earlier, heard=Heard.LIVE, moment=BroadcastMoment()),
        answer("clip", song=full, songs=(full, other), kind=Kind.CLIP, target="FancySlug", channel="somechannel"),
        answer("muted", song=full, at_seconds=600.0, captured_from_seconds=900.0, heard=Heard.VIDEO, **video),
        answer("none"),
        answer("none-clip", kind=Kind.CLIP, target="QuietSlug-abc"),
        answer("none-muted", at_seconds=600.0, captured_from_seconds=900.0, **video),
        *(failed(*each) for each in _CODES),
        *(working(stage) for stage in list(Stage)[:-1]),
    )


async def seed_videos(database: Database, full: Song, now: datetime) -> None:
    """Set lists of VODs: 1 is being made, 2 waits, 3 is done, 4 failed, 5 was cancelled, 6 is of a running VOD."""
    store = VideoSetListStore(database)
    limits = SetListLimits(waiting=100, per_person=100, hours_a_day=None)

    def heard(*songs: Song) -> Tracklist:
        known = Tracklist(duration=3_600.0, muted=((900.0, 1_260.0),), missing=((1_300.0, 1_330.0),))
        for number, each in enumerate(songs):
            at = 200.0 * number
            piece = HeardPiece(
                start=at, end=at + 170, song=each, score=0.99, recognizer="catalog", live=number == 1
            )
            known = known.after(at + 170, [piece])
        return replace(known, position=1_800.0)

    made = [
        await store.start(str(video), made_by="user:1", channel_id=None, limits=limits, now=now)
        for video in range(1, 7)
    ]
    running = await store.take(owner="a", now=now, lease_seconds=600)
    assert running is not None
    await store.save(running, heard(full, *evening_songs()[:2]), now=now, lease_seconds=600)
    full_list = replace(heard(full, LONG, *evening_songs()), position=3_600.0)
    detail = "There is no video 4 on Twitch. It may have been deleted."
    gone = Problem(code=ProblemCode.VIDEO_NOT_FOUND, detail=detail)
    await store.finish(made[2], full_list, now=now)
    await store.finish(made[3], heard(full), now=now, problem=gone)
    await store.save(made[4], heard(full), now=now, lease_seconds=600)
    await store.cancel("5", now=now)
    await store.finish(made[5], replace(full_list, growing=True), now=now)


async def seed_site(database: Database, full: Song, now: datetime) -> None:
    """All that pages for everyone can be about."""
    await seed_answers(database, stored_answers(full, now))
    await seed_evening(database, "crowded", now, [full, LONG, *evening_songs()])
    await seed_videos(database, full, now)


async def seed_desk(database: Database, full: Song, now: datetime) -> None:
    """Something in each of the operator's lists, with names as long as they can be."""
    words = "For the channel's chat bot, which is asked several times a minute, and its two moderators " * 2
    for expires in (None, now + timedelta(days=30)):
        await CodeStore(database).create(now=now, note=words, most_uses=25, expires_at=expires)
        await ApiKeyStore(database).create(words, now=now, per_minute=5, per_day=100, expires_at=expires)
    lists = ListStore(database)
    await lists.allow("w" * 25, note=words, now=now)
    await lists.block(BlacklistKind.CHANNEL, "x" * 25, reason=words, now=now)
    await lists.block(BlacklistKind.ADDRESS, "2001:db8:1234:5678::/64", reason="", now=now)
    await BroadcasterStore(database).add("12345678", "w" * 25, note=words, now=now)
    for channel in ("somechannel", "w" * 25):
        terms: dict[str, Any] = {"every_seconds": 60, "budget": 100, "made_by": "operator", "most": 20}
        await WatchStore(database).start(channel, now=now, **terms)
        await SongTokenStore(database).create(channel, now=now, note=words)
    for answer in stored_answers(full, now):
        if answer.id in ("found", "long"):
            who = ("user:1", "user:1")
            await ReportStore(database).add(answer, reason=Reason.WRONG_SONG, note=words, who=who, now=now)
        if answer.id in ("none", "none-clip"):
            await UnknownStore(database).add(answer, [], captured_at=now, seconds=6.0, searched={}, now=now)
