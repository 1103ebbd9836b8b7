"""The control endpoint: switches faults and settings over HTTP, and lists the requests so far."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeVar, cast

from aiohttp import web

from simulator.accounts import OWN_APPLICATION, Accounts
from simulator.channel import Channel
from simulator.clip import Clip
from simulator.clock import iso
from simulator.faults import Fault, FaultKind, FaultPlan, Step
from simulator.program import NowPlaying
from simulator.switches import SwitchError
from simulator.transport import Transport
from simulator.video import Video
from simulator.world import World

Json = dict[str, Any]
W = TypeVar("W", Step, FaultKind)

_FAULT_FIELDS: Final = frozenset(
    {"step", "kind", "status", "seconds", "times", "only", "retry_after", "retry_after_date"}
)


class ControlRoutes:
    """Serves /_control, which is meant for the local machine only and asks for no password."""

    def __init__(self, world: World, transport: Transport) -> None:
        self._world = world
        self._transport = transport

    def add_to(self, app: web.Application) -> None:
        """Register the control routes with the application."""
        router = app.router
        router.add_get("/_control", self._state)
        router.add_post("/_control/channels/{name}", self._channel)
        router.add_post("/_control/clips/{name}", self._clip)
        router.add_post("/_control/videos/{name}", self._video)
        router.add_post("/_control/faults", self._faults)
        router.add_post("/_control/gql", self._gql)
        router.add_post("/_control/accounts", self._accounts)
        router.add_post("/_control/browser", self._browser)
        router.add_post("/_control/latency", self._latency)
        router.add_post("/_control/clock", self._clock)
        router.add_post("/_control/reset", self._reset)
        router.add_get("/_control/requests", self._requests)
        router.add_delete("/_control/requests", self._forget)

    async def _state(self, _request: web.Request) -> web.Response:
        world = self._world
        return web.json_response(
            {
                "time": iso(world.clock.now()),
                "frozen": world.clock.frozen,
                "latency": {
                    "all_ms": self._transport.latency.all_ms,
                    "by_step": self._transport.latency.by_step or {},
                },
                "faults": _faults_json(world.faults),
                "browser": self._browser_json(),
                "gql": self._gql_json(),
                "channels": {name: self._channel_json(channel) for name, channel in world.channels.items()},
                "clips": {name: _clip_json(clip) for name, clip in world.clips.items()},
                "videos": {name: _video_json(video) for name, video in world.videos.items()},
            }
        )

    def _channel_json(self, channel: Channel) -> Json:
        return {
            "display_name": channel.plan.display_name,
            "title": channel.plan.title,
            "live": channel.live,
            "broadcast": {
                "id": str(channel.broadcast_id),
                "started_at": iso(channel.moment(0)),
                "recording": channel.recording_id if channel.live and channel.switches.recorded else None,
            },
            "now_playing": _playing_json(channel.playing_at()),
            "switches": asdict(channel.switches),
            "faults": _faults_json(channel.faults),
        }

    async def _channel(self, request: web.Request) -> web.Response:
        channel = self._world.channels.get(request.match_info["name"].lower())
        if channel is None:
            return _refused(404, "there is no such channel")
        body = await _body(request)
        ad = body.pop("ad", None)
        faults = _faults_from(body.pop("faults", None))
        _apply(channel.configure, body)
        if ad is not None:
            _start_ad(channel, ad)
        if faults is not None:
            channel.faults.set(*faults)
        return web.json_response(self._channel_json(channel))

    async def _clip(self, request: web.Request) -> web.Response:
        clip = self._world.clips.get(request.match_info["name"])
        if clip is None:
            return _refused(404, "there is no such clip")
        await _configure(request, clip)
        return web.json_response(_clip_json(clip))

    async def _video(self, request: web.Request) -> web.Response:
        video = self._world.video(request.match_info["name"])
        if video is None:
            return _refused(404, "there is no such video")
        await _configure(request, video)
        return web.json_response(_video_json(video))

    async def _faults(self, request: web.Request) -> web.Response:
        body = await _body(request)
        faults = _faults_from(body.pop("faults", []))
        _nothing_else(body, "faults")
        self._world.faults.set(*(faults or ()))
        return web.json_response(_faults_json(self._world.faults))

    async def _gql(self, request: web.Request) -> web.Response:
        body = await _body(request)
        removed = body.pop("removed", None)
        _nothing_else(body, "removed")
        if not isinstance(removed, list):
            raise _bad("removed takes a list of fields, such as Clip.assets")
        try:
            self._world.remove_fields(*map(str, cast("list[object]", removed)))
        except ValueError as error:
            raise _bad(str(error)) from error
        return web.json_response(self._gql_json())

    async def _browser(self, request: web.Request) -> web.Response:
        body = await _body(request)
        demands = body.pop("demands", None)
        _nothing_else(body, "demands")
        if not isinstance(demands, list):
            raise _bad("demands takes a list of names, such as page")
        try:
            self._transport.demand(*map(str, cast("list[object]", demands)))
        except ValueError as error:
            raise _bad(str(error)) from error
        return web.json_response(self._browser_json())

    def _browser_json(self) -> Json:
        return {"demands": sorted(self._transport.demands)}

    def _gql_json(self) -> Json:
        return {"removed": sorted(self._world.removed_fields)}

    async def _accounts(self, request: web.Request) -> web.Response:
        body = await _body(request)
        known = "viewer, subscription, redirect, points_per_minute, token, disconnect, rename, recycle"
        _nothing_else({name: 0 for name in body if name not in known.split(", ")}, known)
        accounts = self._world.accounts
        answer: Json = {}
        try:
            if "viewer" in body:
                accounts.sign_in(body["viewer"])
            if "subscription" in body:
                _subscribe(accounts, body["subscription"])
            if "disconnect" in body:
                accounts.disconnect(body["disconnect"])
            if "rename" in body:
                self._world.rename(str(body["rename"]["login"]), str(body["rename"]["to"]))
            if "recycle" in body:
                self._world.recycle(str(body["recycle"]["login"]), str(body["recycle"]["like"]))
            if "redirect" in body:
                accounts.allow_redirect(body["redirect"]["client_id"], str(body["redirect"]["uri"]))
            if "points_per_minute" in body:
                accounts.limit(_number(body["points_per_minute"], "points_per_minute"))
            if "token" in body:
                wanted = cast("Json", body["token"])
                client_id = wanted.get("client_id", OWN_APPLICATION.client_id)
                scopes = [str(scope) for scope in wanted.get("scopes", [])]
                answer["token"] = accounts.token_for(wanted["login"], *scopes, client_id=client_id)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _bad(f"unknown or missing: {error}") from error
        return web.json_response(answer)

    async def _latency(self, request: web.Request) -> web.Response:
        body = await _body(request)
        all_ms = _number(body.pop("all_ms", 0), "all_ms")
        by_step: dict[Step, float] = {}
        steps = body.pop("by_step", {})
        _nothing_else(body, "all_ms, by_step")
        if not isinstance(steps, dict):
            raise _bad("by_step takes an object of milliseconds by step")
        for name, value in cast("Json", steps).items():
            by_step[_word(Step, name, "step")] = _number(value, name)
        try:
            self._transport.latency.set(all_ms, by_step)
        except ValueError as error:
            raise _bad(str(error)) from error
        return web.json_response({"all_ms": all_ms, "by_step": by_step})

    async def _clock(self, request: web.Request) -> web.Response:
        body = await _body(request)
        reset, frozen, advance = body.pop("reset", None), body.pop("frozen", None), body.pop("advance", None)
        _nothing_else(body, "advance, frozen, reset")
        for name, value in (("reset", reset), ("frozen", frozen)):
            if value is not None and not isinstance(value, bool):
                raise _bad(f"{name} takes true or false")
        clock = self._world.clock
        if reset:
            clock.reset()
        if frozen is not None:
            (clock.freeze if frozen else clock.resume)()
        if advance is not None:
            clock.advance(_number(advance, "advance"))
        return web.json_response({"time": iso(clock.now()), "frozen": clock.frozen})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._world.reset()
        self._transport.latency.set()
        self._transport.demand()
        self._transport.log.clear()
        return web.json_response({"reset": True})

    async def _requests(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "100")
        if not limit.isdecimal() or not int(limit):
            return _refused(400, "limit takes a whole number of at least 1")
        records = self._transport.log.records[-int(limit) :]
        return web.json_response(
            {"counts": self._transport.log.counts, "requests": [record.to_json() for record in records]}
        )

    async def _forget(self, _request: web.Request) -> web.Response:
        self._transport.log.clear()
        return web.json_response({"counts": {}})


def _bad(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": text}), content_type="application/json")


def _refused(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


async def _body(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError) as error:
        raise _bad("the body is no JSON") from error
    if not isinstance(body, dict):
        raise _bad("the body takes a JSON object")
    return cast("Json", body)


def _nothing_else(body: Mapping[str, object], known: str) -> None:
    if body:
        raise _bad(f"unknown: {', '.join(sorted(body))}; known: {known}")


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _bad(f"{name} takes a number")
    return float(value)


def _word(kind: type[W], value: object, name: str) -> W:
    try:
        return kind(str(value))
    except ValueError as error:
        raise _bad(f"{name} takes one of {', '.join(kind)}, not {value!r}") from error


def _faults_from(value: object) -> list[Fault] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise _bad("faults takes a list")
    return [_fault_from(item) for item in cast("list[object]", value)]


def _fault_from(item: object) -> Fault:
    if not isinstance(item, dict):
        raise _bad("a fault is an object with step and kind")
    given = cast("Json", item)
    _nothing_else(dict.fromkeys(given.keys() - _FAULT_FIELDS, 0), ", ".join(sorted(_FAULT_FIELDS)))
    step = _word(Step, given.get("step"), "step")
    kind = _word(FaultKind, given.get("kind"), "kind")
    times, only, retry_after = given.get("times"), given.get("only"), given.get("retry_after")
    as_date = given.get("retry_after_date")
    if not isinstance(as_date, (bool, type(None))):
        raise _bad("retry_after_date takes true or false")
    try:
        return Fault(
            step=step,
            kind=kind,
            status=int(_number(given.get("status", 503), "status")),
            seconds=_number(given.get("seconds", 1.0), "seconds"),
            times=None if times is None else int(_number(times, "times")),
            only=None if only is None else str(only),
            retry_after=None if retry_after is None else int(_number(retry_after, "retry_after")),
            retry_after_date=bool(as_date),
        )
    except ValueError as error:
        raise _bad(str(error)) from error


def _apply(configure: Callable[..., None], changes: Json) -> None:
    try:
        configure(**changes)
    except SwitchError as error:
        raise _bad(str(error)) from error


async def _configure(request: web.Request, thing: Clip | Video) -> None:
    body = await _body(request)
    faults = _faults_from(body.pop("faults", None))
    _apply(thing.configure, body)
    if faults is not None:
        thing.faults.set(*faults)


def _start_ad(channel: Channel, ad: object) -> None:
    if not isinstance(ad, dict):
        raise _bad("ad takes an object with seconds and started_ago")
    given = dict(cast("Json", ad))
    seconds = _number(given.pop("seconds", 30.0), "seconds")
    started_ago = _number(given.pop("started_ago", 0.0), "started_ago")
    _nothing_else(given, "seconds, started_ago")
    try:
        channel.start_ad(seconds, started_ago=started_ago)
    except ValueError as error:
        raise _bad(str(error)) from error


def _subscribe(accounts: Accounts, wanted: Json) -> None:
    tier = wanted.get("tier", "1000")
    if tier is None:
        accounts.unsubscribe(wanted["login"], wanted["broadcaster"])
    else:
        accounts.subscribe(wanted["login"], wanted["broadcaster"], str(tier))


def _faults_json(plan: FaultPlan) -> list[Json]:
    return [asdict(fault) for fault in plan.active]


def _playing_json(playing: NowPlaying | None) -> Json | None:
    if playing is None:
        return None
    tags = playing.song.tags
    return {"title": tags.title, "artists": list(tags.artists), "offset": round(playing.offset_seconds, 3)}


def _clip_json(clip: Clip) -> Json:
    return {
        "title": clip.plan.title,
        "channel": clip.plan.login,
        "seconds": round(clip.seconds, 3),
        "songs": [item.song.title for item in clip.plan.playlist.items],
        "switches": asdict(clip.switches),
        "faults": _faults_json(clip.faults),
    }


def _video_json(video: Video) -> Json:
    return {
        "title": video.plan.title,
        "channel": video.plan.login,
        "seconds": round(video.program.seconds, 3),
        "songs": [item.song.title for item in video.plan.playlist.items],
        "switches": asdict(video.switches),
        "faults": _faults_json(video.faults),
    }
