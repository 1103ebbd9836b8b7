"""Parses Twitch's GraphQL answers into values, without I/O; all shapes are checked.

An answer is HTTP 200 with `data`, 200 with `errors` and whatever is left of `data`, an error object with another
status, or something else altogether. `parse_answer` takes it apart, and `needed` returns what was asked for or
raises `GqlFailure`, which says what kind of failure it is and quotes Twitch.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.web_addresses import read_address
from fingerprint.media.fetch import transient
from fingerprint.ports import Broadcaster

T = TypeVar("T")

MAX_QUOTED: Final = 200
MAX_CLIP_FILES: Final = 3
"""How many files of a clip are tried at most."""

_TRANSIENT_WORDS: Final = (
    *("service error", "service timeout", "server error", "service unavailable", "timeout", "timed out"),
    *("rate limit", "ratelimit", "too many requests", "throttl", "temporarily"),
)
_NUMBER: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,17})?", re.ASCII)
_HEVC: Final = frozenset({"HEVC", "H265", "AV1"})

Json = dict[str, Any]


class GqlFailureKind(StrEnum):
    """The kinds of failed answers; operators see them in logs."""

    TRANSIENT = "transient"
    BLOCKED = "blocked"
    CLIENT_REFUSED = "client-refused"
    TOKEN_REFUSED = "token-refused"  # noqa: S105 - a kind of failure
    HASH_UNKNOWN = "hash-unknown"
    INTEGRITY = "integrity"
    QUERY_REFUSED = "query-refused"
    UNREADABLE = "unreadable"


class GqlFailure(Exception):  # noqa: N818 - it describes an answer, and is handled as one
    """An answer without the data that is needed. `words` quotes Twitch, escaped and cut.

    `status` is the answer's HTTP status.
    """

    def __init__(self, kind: GqlFailureKind, words: str, *, status: int = 200) -> None:
        super().__init__(f"{kind}: {words}")
        self.kind = kind
        self.words = words
        self.status = status


def quoted(text: str) -> str:
    """Text from Twitch made safe for logs and people: printable, at most 200 characters."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:MAX_QUOTED])[:MAX_QUOTED]


@dataclass(frozen=True, slots=True)
class GqlAnswer:
    """An answer's `data`, and what its `errors` say, if it has any: data may be complete all the same."""

    data: Json = field(repr=False)
    failure: GqlFailure | None = None


def parse_answer(status: int, text: str) -> GqlAnswer:
    """Parses an answer's body. Raises GqlFailure when it has no `data`."""
    body = _read_json(status, text)
    if status != 200:
        words = quoted(str(body.get("message") or body.get("error") or f"HTTP {status}"))
        refused = status == 401 and "authorization" in words.lower()
        kind = GqlFailureKind.TOKEN_REFUSED if refused else _status_failure(status, text)
        raise GqlFailure(kind, words, status=status)
    extensions = _object(body.get("extensions"))
    # A warning may be all that tells why something is null.
    told = (*_list(body.get("errors")), *_list(extensions.get("warnings")))
    messages = [str(_object(error).get("message", "")) for error in told]
    challenge = _object(extensions.get("challenge")).get("type")
    failure = None
    if messages or challenge == "integrity":
        failure = GqlFailure(_message_failure(" ".join(messages), challenge), quoted("; ".join(messages)))
    data = body.get("data")
    if not isinstance(data, dict):
        raise failure or GqlFailure(GqlFailureKind.UNREADABLE, quoted(f"no data: {text}"))
    return GqlAnswer(cast("Json", data), failure)


def needed(answer: GqlAnswer, parse: Callable[[Json], T | None]) -> T | None:
    """What `parse` finds in an answer; None when Twitch knows nothing by that name.

    `errors` beside it only count when they leave nothing to use: then "unknown" and "not ready" are no facts.
    Raises GqlFailure, and TwitchAudioError from `parse`.
    """
    try:
        found = parse(answer.data)
    except GqlFailure as failure:
        raise answer.failure or failure from failure
    except TwitchAudioError as error:
        if answer.failure is not None and error.code is not ProblemCode.RESTRICTED_STREAM:
            raise answer.failure from error
        raise
    if found is None and answer.failure is not None:
        raise answer.failure
    return found


def _read_json(status: int, text: str) -> Json:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, list):
        body = _answer_in(cast("list[Any]", body))
    if isinstance(body, dict):
        return cast("Json", body)
    raise GqlFailure(_status_failure(status, text), quoted(f"HTTP {status}: {text}"), status=status)


def _answer_in(batch: list[Any]) -> Any:
    """The answer in an array: the first with data. To a request that was no batch, others can only be empty."""
    answers = [each for each in map(_object, batch) if each]
    with_data = [each for each in answers if any(_object(each.get("data")).values())]
    return next(iter(with_data or answers), None)


def _status_failure(status: int, text: str) -> GqlFailureKind:
    if transient(status):
        return GqlFailureKind.TRANSIENT
    if status != 200 and is_html(text):
        return GqlFailureKind.BLOCKED
    return GqlFailureKind.CLIENT_REFUSED if status in (400, 401, 403) else GqlFailureKind.UNREADABLE


def _message_failure(words: str, challenge: object) -> GqlFailureKind:
    lowered = words.lower()
    if "persistedquery" in lowered:
        return GqlFailureKind.HASH_UNKNOWN
    if challenge == "integrity" or "integrity" in lowered:
        return GqlFailureKind.INTEGRITY
    if any(known in lowered for known in _TRANSIENT_WORDS):
        return GqlFailureKind.TRANSIENT
    return GqlFailureKind.QUERY_REFUSED


# --- Tokens -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackToken:
    """The token for a playlist or a clip. `value` is signed, so it must stay as it is, byte for byte."""

    value: str = field(repr=False)
    signature: str = field(repr=False)
    channel_id: str | None = None
    """The number of the channel that a live token is for, where it names it."""


def parse_token_of(data: Json, *, name: str, subject: str) -> PlaybackToken | None:
    """The token in the field `name`, or None when Twitch knows nothing by that name; raises as `parse_token`."""
    return None if name in data and data[name] is None else parse_token(data.get(name), subject)


def parse_token(found: object, subject: str) -> PlaybackToken:
    """Parses a token object that is not null. `subject`: what it opens, "broadcast", "video" or "clip".

    Raises TwitchAudioError `restricted-stream` when the token itself says that it opens nothing, and GqlFailure
    for other shapes.
    """
    token = _object(found)
    value, signature = token.get("value"), token.get("signature")
    if not isinstance(value, str) or not isinstance(signature, str) or not value or not signature:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the playback token has another shape than ever before")
    authorization = _object(token.get("authorization"))
    if authorization.get("isForbidden") is True:
        raise restricted(subject, str(authorization.get("forbiddenReasonCode") or ""))
    try:
        content = _object(json.loads(value))
    except (ValueError, RecursionError):
        content = {}  # its content does not matter as long as it opens the playlist
    inner = _object(content.get("authorization"))
    geoblock = content.get("geoblock_reason")
    if inner.get("forbidden") is True:
        raise restricted(subject, str(inner.get("reason") or ""))
    if isinstance(geoblock, str) and geoblock:
        raise restricted(subject, geoblock)
    if _object(content.get("private")).get("allowed_to_view") is False:
        raise restricted(subject, "private")
    return PlaybackToken(value=value, signature=signature, channel_id=_number_text(content.get("channel_id")))


_RESTRICTIONS: Final = (
    (("anonymizer", "proxy"), "Twitch does not show it to servers like this one, which it takes for a proxy"),
    (("geo", "region", "country"), "it cannot be watched from the region of this server"),
    (("drm", "cdm", "widevine"), "it is protected against copying (DRM) and plays only in a browser"),
    (("entitlement", "manifest", "subscri"), "it is for subscribers only"),
)


def restriction(reason: str) -> str | None:
    """Twitch's reason for a refusal as a clause in plain words; None when it is not known."""
    lowered = reason.lower()
    if lowered == "private":
        return "it is not public"
    return next((clause for signs, clause in _RESTRICTIONS if any(sign in lowered for sign in signs)), None)


def restricted(subject: str, reason: str) -> TwitchAudioError:
    """The error `restricted-stream`, with Twitch's reason in plain words where it is known."""
    why = restriction(reason) or f"Twitch refuses it ({quoted(reason) or 'without a reason'})"
    return TwitchAudioError(ProblemCode.RESTRICTED_STREAM, f"This {subject} cannot be listened to: {why}.")


def is_html(text: str) -> bool:
    """Whether a body is a web page, which Twitch's interfaces never send."""
    return text.lstrip()[:15].lower().startswith(("<!doctype", "<html"))


def blocked(step: str, status: int) -> UpstreamError:
    """The error for a web page in place of an answer. Asking again does not change it."""
    return UpstreamError(
        step,
        f"Something between this server and Twitch, such as a proxy or a firewall, answers in Twitch's place "
        f"(HTTP {status} with a web page). The operator of this server has to look.",
        retry_after_seconds=None,
    )


# --- Clips --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMedia:
    """The address of a clip's smallest file, and the clip's length in seconds where known.

    `alternatives`: the addresses of its other files, in the order to try, MAX_CLIP_FILES in all.
    `video_id` and `offset_seconds`: the VOD that it is from, and where it begins in that; both or neither.
    `channel`: the login of its broadcaster.
    """

    url: URL = field(repr=False)
    duration_seconds: float | None
    alternatives: tuple[URL, ...] = field(default=(), repr=False)
    video_id: str | None = None
    offset_seconds: float | None = None
    channel: str | None = None


def parse_clip(data: Json) -> ClipMedia | None:
    """The answer to `clip_query`; None when there is no such clip.

    Raises TwitchAudioError: `clip-not-found` with a time to retry when the clip has no file yet,
    `restricted-stream`; GqlFailure for other shapes.
    """
    if "clip" not in data:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the answer names no clip")
    if data["clip"] is None:
        return None
    clip = _object(data["clip"])
    sources = _by_size(clip)
    if not sources:
        raise TwitchAudioError(
            ProblemCode.CLIP_NOT_FOUND,
            "Twitch is still making this clip. Try again in a moment.",
            retry_after_seconds=15.0,
        )
    token = parse_token(clip.get("playbackAccessToken"), "clip")
    video_id, offset = _number_text(_object(clip.get("video")).get("id")), _place(clip.get("videoOffsetSeconds"))
    login = _object(clip.get("broadcaster")).get("login")
    url, *others = _signed_urls(sources, token)
    placed = video_id is not None and offset is not None
    return ClipMedia(
        url=url,
        alternatives=tuple(others),
        duration_seconds=_number(clip.get("durationSeconds")),
        video_id=video_id if placed else None,
        offset_seconds=offset if placed else None,
        channel=login.lower() if isinstance(login, str) else None,
    )


def parse_recording(data: Json) -> str | None:
    """The answer to `recording_query`: a VOD's id; None when there is none. Raises GqlFailure for other shapes."""
    if "user" not in data:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the answer names no channel")
    if data["user"] is None:
        return None
    user = _object(data["user"])
    if "videos" not in user:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the channel's answer lists no videos")
    edges = map(_object, _list(_object(user["videos"]).get("edges")))
    newest = next((edge for edge in edges if edge), None)
    return None if newest is None else _number_text(_object(newest.get("node")).get("id"))


def parse_clip_broadcaster(data: Json) -> Broadcaster | None:
    """The answer to `clip_broadcaster_query`; None when there is no such clip, or no broadcaster is named.

    Raises GqlFailure for other shapes.
    """
    return _owner_of(data, "clip", "broadcaster")


def parse_video_owner(data: Json) -> Broadcaster | None:
    """The answer to `video_owner_query`; None when there is no such video, or no owner is named.

    Raises GqlFailure for other shapes.
    """
    return _owner_of(data, "video", "owner")


def _owner_of(data: Json, kind: str, field: str) -> Broadcaster | None:
    if kind not in data:
        raise GqlFailure(GqlFailureKind.UNREADABLE, f"the answer names no {kind}")
    if data[kind] is None:
        return None
    found = _object(data[kind])
    if field not in found:
        raise GqlFailure(GqlFailureKind.UNREADABLE, f"the {kind}'s answer does not say whose it is")
    if found[field] is None:
        return None
    owner = parse_account(found[field])
    if owner is None:
        raise GqlFailure(GqlFailureKind.UNREADABLE, f"the {kind}'s {field} has no id or login")
    return owner


def is_no_account(found: object) -> bool:
    """Whether an object tells that there is no such account, as `userOrError` does."""
    account = _object(found)
    return "reason" in account or str(account.get("__typename", "")).startswith("UserDoesNotExist")


def parse_account(found: object) -> Broadcaster | None:
    """The account that an object is of; None when it lacks the id or the login."""
    account = _object(found)
    user_id, login = _number_text(account.get("id")), account.get("login")
    if user_id is None or not isinstance(login, str) or not login:
        return None
    return Broadcaster(id=user_id, login=login.lower())


def signed_url(source: str, token: PlaybackToken) -> URL:
    """A file's address with its token, appended to any query it has; percent-encodings stay as they are."""
    try:
        url = read_address(source, encoded=True)
    except ValueError as error:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the clip's address cannot be read") from error
    own = URL.build(query={"sig": token.signature, "token": token.value}).raw_query_string
    query = f"{url.raw_query_string}&{own}" if url.raw_query_string else own
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=url.raw_path,
        query_string=query,
        encoded=True,
    )


def _signed_urls(sources: Sequence[str], token: PlaybackToken) -> list[URL]:
    """The addresses that can be read. Raises GqlFailure when there is none."""
    urls: list[URL] = []
    failure: GqlFailure | None = None
    for source in sources:
        try:
            urls.append(signed_url(source, token))
        except GqlFailure as unreadable:
            failure = failure or unreadable
    if failure is not None and not urls:
        raise failure
    return urls[:MAX_CLIP_FILES]


def _by_size(clip: Json) -> list[str]:
    """The addresses of the renditions: landscape first, then not HEVC, lowest quality, and the last of equals."""
    assets = [_object(asset) for asset in _list(clip.get("assets"))]
    # A portrait cut has the same sound, but belongs to a clip whose landscape files are not made (yet).
    portrait = [asset for asset in assets if (_number(asset.get("aspectRatio")) or 1.0) < 1.0]
    landscape = [asset for asset in assets if asset not in portrait]
    found: dict[str, None] = {}
    for holder in (*landscape, clip, *portrait):
        renditions = [
            (_is_heavy(rendition), _height(rendition.get("quality")), -position, source)
            for position, rendition in enumerate(map(_object, _list(holder.get("videoQualities"))))
            if isinstance(source := rendition.get("sourceURL"), str) and source
        ]
        found |= dict.fromkeys(source for *_, source in sorted(renditions))
    return list(found)


def _is_heavy(rendition: Json) -> bool:
    return str(rendition.get("videoCodec") or "").upper() in _HEVC or "1440" in str(rendition.get("quality"))


def _height(quality: object) -> int:
    text = str(quality or "")
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    return int(digits) if digits and len(digits) < 6 else 1 << 20


# --- Shapes -------------------------------------------------------------------------------------------


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value)[:200] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e6:
        return float(value)
    return None


def _place(value: object) -> float | None:
    """Seconds from the start of a VOD, which may be 0; null, for a place that Twitch does not know, is None."""
    text = value.strip() if isinstance(value, str) else ""
    is_start = (value == 0 and isinstance(value, (int, float)) and not isinstance(value, bool)) or text == "0"
    return 0.0 if is_start else _number(value)


def _number_text(value: object) -> str | None:
    """Twitch's number of an account or a video as text; tokens have it as a number."""
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    return text if text.isascii() and text.isdigit() and len(text) <= 20 else None
