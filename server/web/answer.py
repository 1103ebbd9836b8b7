"""An identification as the start page shows it, for browsers without JavaScript: pure values in, texts out.

Texts are in the language of the page.

With JavaScript the same texts come from extension/lib/answer.js and static/js/answer_texts.js; the cases in
tests/unit/answers.json hold for both.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from yarl import URL

from fingerprint import wire
from fingerprint.domain.identification import (
    Identification,
    Kind,
    Song,
    Stage,
    Status,
    Timings,
    heard_elsewhere,
    seconds_ago,
)
from fingerprint.domain.landmark_points import drawing_path
from fingerprint.domain.links import search_links_of
from fingerprint.domain.playback import playback_of
from fingerprint.domain.problems import Problem, has_operators_words
from fingerprint.domain.songs import song_id
from fingerprint.domain.text import clock_text
from server.web.details import translated_detail
from server.web.languages import ENGLISH, Language, marked
from server.web.words import NO_MATCH, NO_MATCH_RECORDED, words_of

State = Literal["idle", "working", "found", "none", "failed"]

NEEDLE_AT_REST: Final = 2.0
NEEDLE: Final = {
    Stage.QUEUED: NEEDLE_AT_REST,
    Stage.RESOLVING: 12.5,
    Stage.CAPTURING: 37.5,
    Stage.FINGERPRINTING: 62.5,
    Stage.RECOGNIZING: 87.5,
    Stage.DONE: 87.5,
}
"""The place of the dial's needle in percent of its width: over the middle of each stage's label."""


@dataclass(frozen=True, slots=True)
class StageWords:
    """A stage of the work: its short name below the dial, and what is said while it lasts."""

    stage: Stage
    name: str
    doing: str

    def translated(self, language: Language) -> "StageWords":
        """The same in another language."""
        return StageWords(self.stage, language.gettext(self.name), language.gettext(self.doing))


STAGES: Final = (
    StageWords(Stage.RESOLVING, marked("Find"), marked("Finding it on Twitch")),
    StageWords(Stage.CAPTURING, marked("Listen"), marked("Listening")),
    StageWords(Stage.FINGERPRINTING, marked("Fingerprint"), marked("Fingerprinting")),
    StageWords(Stage.RECOGNIZING, marked("Recognize"), marked("Looking for the song")),
)
WAITING: Final = marked("Waiting in line")

LIVE_FOR: Final = timedelta(minutes=5)
"""How long after it was heard an answer about a live channel is still shown as live. js/times.js has the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSong:
    """Another song in the same recording, where in it the song starts, and the path of the song's page."""

    position: str
    title: str
    artists: str
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """Everything the panel shows; empty texts are not shown. `needle` is in percent of the dial's width.

    `fresh` says how near to live the sound is ("live", "1:30 ago") until `LIVE_FOR` after `heard_at`; `on_air` is
    true while that is "live". `heard` says in UTC when it was heard, or, as `verb` says of a problem, asked.
    `landmarks` are what the dial is drawn of. `offset` and `length` are of a live channel's song, in seconds, for
    the needle to move on.
    """

    state: State = "idle"
    id: str = ""
    live: bool = False
    source: str = ""
    fresh: str = ""
    on_air: bool = False
    heard_at: datetime | None = None
    heard: str = ""
    verb: str = "heard"
    ask_again: str = ""
    set_list: str = ""
    song_page: str = ""
    doing: str = ""
    stage: Stage = Stage.QUEUED
    needle: float = NEEDLE_AT_REST
    scale_end: str = ""
    moment: str = ""
    offset: float | None = None
    length: float | None = None
    title: str = ""
    artists: str = ""
    facts: dict[str, str] = field(default_factory=dict[str, str])
    probably: str = ""
    corrected: str = ""
    sure: str = ""
    cover: str = ""
    landmarks: str = ""
    preview: str = ""
    links: dict[str, str] = field(default_factory=dict[str, str])
    searches: dict[str, str] = field(default_factory=dict[str, str])
    watch: str = ""
    also: tuple[OtherSong, ...] = ()
    note: str = ""
    took: str = ""
    heading: str = ""
    detail: str = ""
    next_step: str = ""
    retry_after_seconds: float | None = None


IDLE: Final = AnswerView()


def duration_text(milliseconds: float, language: Language = ENGLISH) -> str:
    """Whole milliseconds below a second, else seconds with two decimals."""
    if milliseconds < 999.5:
        return f"{fixed(milliseconds, 0)} ms"
    return f"{language.number(fixed(milliseconds / 1000, 2))} s"


def fixed(value: float, digits: int) -> str:
    """A number with `digits` decimals, rounded half up: as JavaScript's `toFixed`, and unlike Python's formats."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def ask_again_text(identification: Identification) -> str:
    """The text to type into the start page to ask for the same target again."""
    match identification.kind:
        case Kind.CLIP:
            return f"https://clips.twitch.tv/{identification.target}"
        case Kind.VIDEO:
            moment = int(identification.at_seconds or 0)
            return f"https://www.twitch.tv/videos/{identification.target}?t={moment}s"
        case Kind.STREAM | Kind.FILE:
            return identification.target


def set_list_page(identification: Identification) -> str:
    """The page with the set list of the channel or the VOD that was asked about; empty for others."""
    match identification.kind:
        case Kind.STREAM:
            return str(URL("/channels") / identification.target)
        case Kind.VIDEO:
            return str(URL("/videos") / identification.target)
        case Kind.CLIP | Kind.FILE:
            return ""


def watch_link(identification: Identification) -> str:
    """Where the target is on Twitch; empty for a file."""
    match identification.kind:
        case Kind.CLIP | Kind.VIDEO:
            return ask_again_text(identification)
        case Kind.STREAM:
            return f"https://www.twitch.tv/{identification.target}"
        case Kind.FILE:
            return ""


_NOT_FACTS: Final = ("id", "drawing", "landmarks")

COVER_PIXELS: Final = 240
"""The width from which a cover is large enough for the page. js/answer_texts.js has the same."""


SMALL_COVER_PIXELS: Final = 96
"""Likewise for a row of a list."""


def small_cover_of(song: Song) -> str:
    """Likewise for a row of a list."""
    return cover_of(song, SMALL_COVER_PIXELS)


def cover_of(song: Song, least_width: int = COVER_PIXELS) -> str:
    """The path of the smallest cover that is large enough, else of the largest, else of a drawn one."""
    covers = sorted((each.width, each.url) for each in song.artwork if _is_own(each.url))
    if covers:
        return next((url for width, url in covers if width >= least_width), covers[-1][1])
    return drawing_path(song)


def song_page(song: Song, *, heard: bool = True) -> str:
    """The path of a song's page; empty where there is none: for songs that were neither heard on Twitch nor are in
    the catalog.
    """
    return str(URL("/songs") / song_id(song)) if heard or song.catalog is not None else ""


def _is_own(address: str) -> bool:
    """Whether the address is a path on this server."""
    return address.startswith("/") and not address.startswith("//")


def took_text(timings: Timings, language: Language = ENGLISH) -> str:
    """How long each step took, such as `Find 86 ms · Total 1.20 s`."""
    steps = (
        (language.gettext("Find"), timings.resolve_ms),
        (language.gettext("Listen"), timings.capture_ms),
        (language.gettext("Fingerprint"), timings.fingerprint_ms),
        (language.gettext("Recognize"), timings.recognize_ms),
        (language.gettext("Total"), timings.total_ms),
    )
    return " · ".join(f"{name} {duration_text(value, language)}" for name, value in steps if value is not None)


def played_text(song: Song, language: Language = ENGLISH) -> str:
    """How the song is played when it is not as it is, such as `It is sped up 25%.`; otherwise empty."""
    percent, semitones = playback_of(song)
    height = abs(semitones)
    words: list[str] = []
    if percent > 0:
        words.append(language.gettext("sped up %(percent)s%%", percent=percent))
    elif percent < 0:
        words.append(language.gettext("slowed down %(percent)s%%", percent=-percent))
    if semitones > 0:
        words.append(language.ngettext("%(num)s semitone higher", "%(num)s semitones higher", height))
    elif semitones < 0:
        words.append(language.ngettext("%(num)s semitone lower", "%(num)s semitones lower", height))
    return language.gettext("It is %(changes)s.", changes=", ".join(words)) if words else ""


def elsewhere_text(identification: Identification, language: Language = ENGLISH) -> str:
    """What was listened to when a video has no sound at the moment asked for; otherwise empty."""
    if not heard_elsewhere(identification):
        return ""
    start = identification.captured_from_seconds or 0.0
    end = start + (identification.captured_seconds or 0.0)
    return language.gettext(
        "There is no sound at %(asked)s, so we listened from %(start)s to %(end)s.",
        asked=clock_text(identification.at_seconds or 0.0),
        start=clock_text(start),
        end=clock_text(end),
    )


def place_text(identification: Identification, language: Language = ENGLISH) -> str:
    """Where the sound is from, when that is not, or may not be, the moment asked for; otherwise empty."""
    uncertain = (
        language.gettext(
            "Twitch's times don't add up here, so this may be from shortly before or after the moment asked for."
        )
        if identification.place_uncertain
        else ""
    )
    return " ".join(filter(None, (elsewhere_text(identification, language), uncertain)))


def moment_text(moment: datetime, now: datetime, language: Language = ENGLISH) -> str:
    """When something was, in UTC: `at 12:02 UTC` on the same day, else with the date, and another year."""
    clock = f"{moment:%H:%M} UTC"
    if moment.date() == now.date():
        return language.gettext("at %(time)s", time=clock)
    date = language.date(moment, year=moment.year != now.year)
    return language.gettext("on %(date)s at %(time)s", date=date, time=clock)


def viewers_detail(problem: Problem, language: Language = ENGLISH) -> str:
    """The problem's detail; empty where it says what an operator can do about missing recognizers, and where the
    language has no words for it.
    """
    return "" if has_operators_words(problem) else translated_detail(problem.detail, language)


def problem_view(
    problem: Problem,
    language: Language = ENGLISH,
    *,
    source: str = "",
    ask_again: str = "",
    id: str = "",  # noqa: A002 - the field's name
) -> AnswerView:
    """The panel that shows a problem: its heading, its detail and the next step."""
    words = words_of(problem, language, counted=True)
    return AnswerView(
        state="failed",
        id=id,
        source=source,
        ask_again=ask_again,
        heading=words.heading,
        detail=words.below(viewers_detail(problem, language)),
        next_step=words.next_step,
        retry_after_seconds=problem.retry_after_seconds,
    )


def answer_view(identification: Identification, now: datetime, language: Language = ENGLISH) -> AnswerView:
    """The panel that shows an identification, in any state, to a visitor at the time `now`."""
    ask_again = ask_again_text(identification)
    live = identification.kind is Kind.STREAM
    moment = (identification.captured_at or identification.finished_at) if live else None
    heard = "" if moment is None else moment_text(moment, now, language)
    if identification.problem is not None:
        asked = (
            language.gettext("Channel %(channel)s", channel=identification.target)
            if live
            else _source(identification, language)
        )
        failed = problem_view(
            identification.problem, language, source=asked, ask_again=ask_again, id=identification.id
        )
        return replace(failed, heard_at=moment, heard=heard, verb=language.gettext("asked"))
    is_new = live and (moment is None or now - moment <= LIVE_FOR)
    shown = AnswerView(
        id=identification.id,
        live=live,
        source=_source(identification, language),
        fresh=_fresh(identification, language) if is_new else "",
        on_air=is_new and seconds_ago(identification) is None,
        verb=language.gettext("heard"),
        heard_at=moment,
        heard=heard,
        ask_again=ask_again,
        watch=watch_link(identification),
        took=took_text(identification.timings, language),
    )
    if identification.status is Status.NO_MATCH:
        seconds = identification.captured_seconds
        words = (NO_MATCH if live else NO_MATCH_RECORDED).translated(language)
        return replace(
            shown,
            state="none",
            heading=words.heading,
            detail=_listened_text(seconds, language) if seconds else "",
            next_step=words.next_step,
            note=place_text(identification, language),
        )
    if identification.song is None:
        return replace(
            shown,
            state="working",
            took="",
            doing=language.gettext(
                next((words.doing for words in STAGES if words.stage is identification.stage), WAITING)
            ),
            stage=identification.stage,
            needle=NEEDLE[identification.stage],
        )
    return _found(shown, identification, identification.song, language)


def _listened_text(seconds: float, language: Language) -> str:
    return language.gettext(
        "We listened to %(seconds)s seconds but didn't recognize the song.", seconds=fixed(seconds, 0)
    )


def _fresh(identification: Identification, language: Language) -> str:
    """How near to live the sound was."""
    ago = seconds_ago(identification)
    if ago is None:
        return language.gettext("live")
    return language.gettext("%(time)s ago", time=clock_text(ago + 0.5))


def _source(identification: Identification, language: Language) -> str:
    match identification.kind:
        case Kind.CLIP:
            return language.gettext("Clip %(clip)s", clip=identification.target)
        case Kind.VIDEO:
            at = clock_text(identification.at_seconds or 0)
            return language.gettext("Video %(video)s at %(time)s", video=identification.target, time=at)
        case Kind.STREAM | Kind.FILE:
            return identification.target


def _artists(song: Song) -> str:
    return ", ".join(song.artists)


def _found(shown: AnswerView, identification: Identification, song: Song, language: Language) -> AnswerView:
    offset, length = song.offset_seconds, song.duration_seconds
    on_scale = offset is not None and length is not None and length > 0
    body = wire.song_to_json(song)
    preview = str(body.get("preview") or "")
    on_twitch = identification.kind is not Kind.FILE
    return replace(
        shown,
        state="found",
        # A clip's song is stored permanently: asking again would only show it again.
        ask_again=shown.ask_again if shown.live else "",
        song_page=song_page(song, heard=on_twitch),
        set_list=set_list_page(identification),
        stage=identification.stage,
        needle=min(100.0, max(0.0, float(fixed(100 * (offset or 0) / (length or 1), 2))))
        if on_scale
        else NEEDLE_AT_REST,
        scale_end=clock_text(length) if on_scale and length else "",
        offset=offset if on_scale and shown.live else None,
        length=length if on_scale and shown.live else None,
        moment=clock_text(offset) if offset is not None else "",
        title=song.title,
        artists=_artists(song),
        facts={
            name: language.long_date(value) if name.endswith("_date") else value
            for name, value in body.items()
            if isinstance(value, str) and value and name not in _NOT_FACTS
        },
        probably=language.gettext("Probably") if identification.is_probable else "",
        corrected=language.gettext("Corrected by the channel") if song.corrected else "",
        sure=language.gettext("%(percent)s%%", percent=fixed(identification.score * 100, 0))
        if identification.score is not None
        else "",
        cover=cover_of(song),
        landmarks=song.landmarks or "",
        preview=preview if _is_own(preview) else "",
        links={name: link for name, link in body["links"].items() if link},
        searches=search_links_of(song),
        also=tuple(
            OtherSong(
                position=clock_text(other.position_seconds),
                title=other.title,
                artists=_artists(other),
                page=song_page(other, heard=on_twitch),
            )
            for other in identification.songs
            if other != song
        )
        if identification.kind in (Kind.CLIP, Kind.FILE)
        else (),
        note=" ".join(filter(None, (place_text(identification, language), played_text(song, language)))),
    )
