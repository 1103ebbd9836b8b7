"""Requests as values: bodies, preferences and parameters are parsed here once, or refused as `invalid-input`."""

import asyncio
import json
import math
import re
import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Final, NoReturn, TypeVar, cast

from aiohttp import web
from msgspec import Struct, ValidationError, convert, inspect
from msgspec.structs import fields

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.targets import TwitchTarget, channel_target
from server import keys
from server.api.json_forms import QUESTIONS, Question
from server.api.json_times import moment_from
from server.middleware.forms import content_encoding
from server.server_limits import ServerLimits

JSON: Final = "application/json"
DEPTH_LIMIT: Final = 20
STRING_LIMIT: Final = 2_000
TARGET_FORMS: Final = (
    'Send one of {"channel": "NAME"}, {"channel": "NAME", "ago": SECONDS}, {"channel": "NAME", "at": TIME}, '
    '{"clip": "SLUG"}, {"video": "ID", "at": SECONDS} or {"url": "ADDRESS"}.'
)

Body = TypeVar("Body", bound=Struct)

_MAX_CACHED_BYTES: Final = 256
_PLACE: Final = re.compile(r" - at `\$\.(\w+)`")
_MAX_AGE: Final = re.compile(r'(?i:max-age)=(?:([0-9]{1,19})|"([0-9]{1,19})")', re.ASCII)
_WAIT: Final = re.compile(r'(?i:wait)\s*=\s*"?(\d{1,9})"?')


async def read_json(request: web.Request, limits: ServerLimits, *, takes: str = TARGET_FORMS) -> object:
    """The body as JSON, strictly: UTF-8, no repeated name, no NaN, no lone surrogate, bounded depth and size.

    Raises TwitchAudioError `invalid-input`; aiohttp's 413 when it is too large and 408 when it takes too long.
    """
    return parse_json(await _read(request, limits, takes), takes=takes)


async def read_body(request: web.Request, limits: ServerLimits, form: type[Body]) -> Body:
    """The body as one of the API's JSON forms. Raises as `read_json` does."""
    return checked(await read_json(request, limits, takes=_members(form)), form)


async def read_question(request: web.Request, limits: ServerLimits) -> TwitchTarget:
    """The target that the body asks for. Raises as `read_json` does, and TwitchAudioError `moment-gone`."""
    body = await _read(request, limits, TARGET_FORMS)
    question = _cached_question(body) if len(body) <= _MAX_CACHED_BYTES else parse_question(parse_json(body))
    return question.target(request.app[keys.CLOCK].now())


async def _read(request: web.Request, limits: ServerLimits, takes: str) -> bytes:
    if request.headers.get("Content-Type") != JSON and request.content_type != JSON:
        raise invalid_input(f"Send JSON, with Content-Type: {JSON}. {takes}")
    size = request.content_length
    if size is not None and size > limits.body_bytes:
        raise web.HTTPRequestEntityTooLarge(max_size=limits.body_bytes, actual_size=size)
    if request.content.is_eof():
        # The body came with the headers, as most do: there is nothing to wait for.
        body = request.content.read_nowait()
        if len(body) > limits.body_bytes:
            raise web.HTTPRequestEntityTooLarge(max_size=limits.body_bytes, actual_size=len(body))
    else:
        try:
            async with asyncio.timeout(limits.body_seconds):
                body = await request.read()
        except TimeoutError as error:
            raise web.HTTPRequestTimeout from error
    encoding = content_encoding(request)
    return body if encoding is None else _unpacked(body, encoding, limits.body_bytes)


def _unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """A compressed body as it was before. Raises TwitchAudioError `invalid-input`, aiohttp's 413."""
    if encoding not in ("gzip", "deflate"):
        raise invalid_input("The body may be compressed with gzip or deflate, not in another way.")
    # Either of the two, by its own header.
    unpacking = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
    try:
        unpacked = unpacking.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise invalid_input(
            f"The body is not compressed with {encoding}, as its Content-Encoding says."
        ) from error
    if len(unpacked) > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_size=max_bytes, actual_size=len(unpacked))
    if not unpacking.eof:
        raise invalid_input("The compressed body is cut off.")
    return unpacked


def parse_json(body: bytes, *, takes: str = TARGET_FORMS) -> object:
    """A body as JSON, as strictly as `read_json`. Raises TwitchAudioError `invalid-input`."""
    if not body.strip():
        raise invalid_input(f"The body is empty. {takes}")
    try:
        value: object = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise invalid_input("The body is not UTF-8.") from error
    except RecursionError as error:
        raise invalid_input("The body is nested too deeply.") from error
    except ValueError as error:
        # The parser's message names a line and a column, never the text.
        said = error.msg if isinstance(error, json.JSONDecodeError) else "a number is out of range"
        raise invalid_input(f"The body is not JSON: {said}.") from error
    _check(value, DEPTH_LIMIT)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise invalid_input("The body has a name twice in one object.")
    return values


def _no_constant(_name: str) -> NoReturn:
    raise invalid_input("The body has NaN or Infinity, which JSON does not know.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise invalid_input("The body has a number that is too large.")
    return value


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)


def _check(value: object, depth: int) -> None:
    """Refuse what is too deep, too long or cannot be written as UTF-8."""
    if depth < 0:
        raise invalid_input("The body is nested too deeply.")
    if isinstance(value, str):
        if len(value) > STRING_LIMIT:
            raise invalid_input(f"The body has a text of more than {STRING_LIMIT} characters.")
        if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise invalid_input("The body has half of a surrogate pair, which is not a character.")
    elif isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            _check(name, depth)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            _check(item, depth - 1)


def parse_question(body: object) -> Question:
    """The question in a parsed body. Raises TwitchAudioError `invalid-input`."""
    if not isinstance(body, dict):
        raise invalid_input(f"The body has to be a JSON object. {TARGET_FORMS}")
    members = cast("dict[str, object]", body)
    names = set(members)
    for form in QUESTIONS:
        known = fields(form)
        if {each.encode_name for each in known if each.required} <= names <= {each.encode_name for each in known}:
            return checked(members, form)
    raise invalid_input(TARGET_FORMS)


@lru_cache(maxsize=2_048)
def _cached_question(body: bytes) -> Question:
    """Cached, since many clients send the same body for a popular channel."""
    return parse_question(parse_json(body))


def checked(body: object, form: type[Body]) -> Body:
    """Parsed JSON as one of the API's forms. Raises TwitchAudioError `invalid-input` that names the member."""
    try:
        return convert(body, form)
    except ValidationError as error:
        # The only part of the library's message that is used is where: "... - at `$.note`".
        place = _PLACE.search(str(error))
        wrong = None if place is None else accepted(form).get(place[1])
        raise invalid_input(wrong or _members(form)) from error


def _members(form: type[Struct]) -> str:
    names = (f'"{each.encode_name}"' + ("" if each.required else " (optional)") for each in fields(form))
    return f"Send a JSON object with {', '.join(names)}."


@cache
def accepted(form: type[Struct]) -> Mapping[str, str]:
    """A sentence for each member of a form, by name: what it accepts. Shown when a request is refused."""
    described = inspect.type_info(form)
    assert isinstance(described, inspect.StructType)
    return {each.encode_name: f'"{each.encode_name}" has to be {_words(each.type)}.' for each in described.fields}


def _words(accepts: inspect.Type) -> str:
    accepts = accepts.type if isinstance(accepts, inspect.Metadata) else accepts
    if isinstance(accepts, inspect.UnionType):
        # The other one is null.
        accepts = accepts.types[0]
    match accepts:
        case inspect.StrType(max_length=None):
            return "a text"
        case inspect.StrType(max_length=most):
            return f"a text of at most {most} characters"
        case inspect.ListType():
            return "a list of texts"
        case inspect.EnumType(cls=choices):
            return f"one of {', '.join(str(choice) for choice in choices)}"
        case inspect.IntType(ge=least, le=most):
            return f"a whole number from {least} to {most}"
        case inspect.FloatType(ge=least, le=most):
            return f"a number from {least:.0f} to {most:.0f}"
        case other:
            raise AssertionError(f"no words for {other}")


def preferred_wait(request: web.Request, limits: ServerLimits) -> int | None:
    """Seconds that the client is ready to wait (RFC 7240), at most the limit; None when it did not say so.

    As the RFC asks, what cannot be understood is ignored, and the first of several counts.
    """
    for value in request.headers.getall("Prefer", ()):
        for preference in value.split(","):
            found = _WAIT.fullmatch(preference.split(";")[0].strip())
            if found is not None:
                return min(int(found[1]), limits.wait_seconds)
    return None


def max_age(request: web.Request) -> float | None:
    """How many seconds old an answer may be, by `Cache-Control` (RFC 9111, 5.2.1); 0: none stored; None: any age.

    Directives that are malformed or unknown are ignored; the strictest of several counts.
    """
    found: float | None = None
    for value in request.headers.getall("Cache-Control", ()):
        for directive in value.split(","):
            text = directive.strip()
            age = _MAX_AGE.fullmatch(text)
            if age is None and text.lower() != "no-cache":
                continue
            seconds = 0.0 if age is None else float(age[1] or age[2])
            found = seconds if found is None else min(found, seconds)
    return found


def query_limit(request: web.Request, default: int, most: int) -> int:
    """The `limit` parameter, from 1 to `most`. Raises TwitchAudioError `invalid-input`."""
    text = request.query.get("limit", str(default))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        raise invalid_input(f"limit takes a whole number from 1 to {most}.")
    return int(text)


def query_time(request: web.Request, name: str) -> datetime | None:
    """A parameter that is a moment, RFC 3339 with its offset. Raises TwitchAudioError `invalid-input`."""
    text = request.query.get(name)
    if text is None:
        return None
    # In a query, a plus sign that was not escaped arrives as a space.
    moment = moment_from(text.replace(" ", "+"))
    if moment is None:
        raise invalid_input(f"{name} takes a time such as 2026-03-01T12:00:00Z.")
    return moment


async def channel_login(request: web.Request) -> str:
    """The login of the channel in the path: its present one, when the path has an earlier one.

    Raises TwitchAudioError `invalid-input`, `busy`.
    """
    login = channel_target(request.match_info["login"]).login
    return await request.app[keys.NAMES].current_login(login)


def no_unknown_query(request: web.Request, *known: str) -> None:
    """Refuse unknown query parameters: most often they are misspelled. Raises `invalid-input`."""
    if not request.rel_url.raw_query_string:
        return
    unknown = sorted(set(request.query) - set(known))
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise invalid_input(f"This address does not know the parameter {unknown[0][:50]!r}: {takes}.")
