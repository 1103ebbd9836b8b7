"""The control endpoint: switches faults and settings over HTTP, and lists the requests so far."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from simulator.accounts import OWN_APPLICATION
from simulator.channel import Channel
from simulator.clip import Clip
from simulator.clock import iso
from simulator.faults import Fault, Step
from simulator.program import NowPlaying
from simulator.transport import Transport
from simulator.video import Video
from simulator.world import World

Json = dict[str, Any]
T = TypeVar("T")


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """What a request sends, all of it known."""


class _Ad(_Body):
    seconds: float = 30.0
    started_ago: float = 0.0


class _Plan(msgspec.Struct):
    """What every channel, clip and VOD takes beside its switches."""

    faults: list[Fault] | None = None


class _ChannelPlan(_Plan):
    ad: _Ad | None = None


class _Faults(_Body):
    faults: list[Fault] | None = None


class _Removed(_Body):
    removed: list[str]


class _Demands(_Body):
    demands: list[str]


class _Latency(_Body):
    all_ms: float = 0.0
    by_step: dict[Step, float] = {}


class _Clock(_Body):
    reset: bool | None = None
    frozen: bool | None = None
    advance: float | None = None


class _Subscription(_Body):
    login: str
    broadcaster: str
    tier: str | None = "1000"


class _Token(_Body):
    login: str
    scopes: list[str] = []
    client_id: str = OWN_APPLICATION.client_id


class _Accounts(_Body):
    viewer: str | msgspec.UnsetType | None = msgspec.UNSET
    subscription: _Subscription | None = None
    disconnect: str | None = None
    rename: dict[str, str] | None = None
    recycle: dict[str, str] | None = None
    redirect: dict[str, str] | None = None
    points_per_minute: float | None = None
    token: _Token | None = None


class ControlRoutes:
    """Serves /_control, which is meant for the local machine only and asks for no password."""

    def __init__(self, world: World, transport: Transport) -> None:
        self._world = world
        self._transport = transport

    def add_to(self, app: web.Application) -> None:
        """Register the control routes with the application."""
        router = app.router
        router.add_get("/_control", _answering(self._state))
        router.add_post("/_control/channels/{name}", _answering(self._channel))
        router.add_post("/_control/clips/{name}", _answering(self._clip))
        router.add_post("/_control/videos/{name}", _answering(self._video))
        router.add_post("/_control/faults", _answering(self._faults))
        router.add_post("/_control/gql", _answering(self._gql))
        router.add_post("/_control/accounts", _answering(self._accounts))
        router.add_post("/_control/browser", _answering(self._browser))
        router.add_post("/_control/latency", _answering(self._latency))
        router.add_post("/_control/clock", _answering(self._clock))
        router.add_post("/_control/reset", _answering(self._reset))
        router.add_get("/_control/requests", _answering(self._requests))
        router.add_delete("/_control/requests", _answering(self._forget))

    async def _state(self, _request: web.Request) -> Json:
        world = self._world
        return {
            "time": iso(world.clock.now()),
            "frozen": world.clock.frozen,
            "latency": self._latency_json(),
            "faults": world.faults.active,
            "browser": self._browser_json(),
            "gql": self._gql_json(),
            "channels": {name: self._channel_json(channel) for name, channel in world.channels.items()},
            "clips": {name: _clip_json(clip) for name, clip in world.clips.items()},
            "videos": {name: _video_json(video) for name, video in world.videos.items()},
        }

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
            "switches": channel.switches,
            "faults": channel.faults.active,
        }

    async def _channel(self, request: web.Request) -> Json:
        channel = self._world.channels.get(request.match_info["name"].lower())
        if channel is None:
            raise _refused(404, "there is no such channel")
        plan = await _configure(request, channel, _ChannelPlan)
        if plan.ad is not None:
            channel.start_ad(plan.ad.seconds, started_ago=plan.ad.started_ago)
        return self._channel_json(channel)

    async def _clip(self, request: web.Request) -> Json:
        clip = self._world.clips.get(request.match_info["name"])
        if clip is None:
            raise _refused(404, "there is no such clip")
        await _configure(request, clip, _Plan)
        return _clip_json(clip)

    async def _video(self, request: web.Request) -> Json:
        video = self._world.video(request.match_info["name"])
        if video is None:
            raise _refused(404, "there is no such video")
        await _configure(request, video, _Plan)
        return _video_json(video)

    async def _faults(self, request: web.Request) -> object:
        self._world.faults.set(*((await _read(request, _Faults)).faults or ()))
        return self._world.faults.active

    async def _gql(self, request: web.Request) -> Json:
        self._world.remove_fields(*(await _read(request, _Removed)).removed)
        return self._gql_json()

    async def _browser(self, request: web.Request) -> Json:
        self._transport.demand(*(await _read(request, _Demands)).demands)
        return self._browser_json()

    def _browser_json(self) -> Json:
        return {"demands": sorted(self._transport.demands)}

    def _gql_json(self) -> Json:
        return {"removed": sorted(self._world.removed_fields)}

    def _latency_json(self) -> Json:
        latency = self._transport.latency
        return {"all_ms": latency.all_ms, "by_step": latency.by_step or {}}

    async def _accounts(self, request: web.Request) -> Json:
        body = await _read(request, _Accounts)
        try:
            return self._change_accounts(body)
        except KeyError as error:
            raise _refused(400, f"unknown: {error}") from error

    def _change_accounts(self, body: _Accounts) -> Json:
        accounts = self._world.accounts
        if body.viewer is not msgspec.UNSET:
            accounts.sign_in(body.viewer)
        if (wanted := body.subscription) is not None:
            if wanted.tier is None:
                accounts.unsubscribe(wanted.login, wanted.broadcaster)
            else:
                accounts.subscribe(wanted.login, wanted.broadcaster, wanted.tier)
        if body.disconnect is not None:
            accounts.disconnect(body.disconnect)
        if body.rename is not None:
            self._world.rename(body.rename["login"], body.rename["to"])
        if body.recycle is not None:
            self._world.recycle(body.recycle["login"], body.recycle["like"])
        if body.redirect is not None:
            accounts.allow_redirect(body.redirect["client_id"], body.redirect["uri"])
        if body.points_per_minute is not None:
            accounts.limit(body.points_per_minute)
        if (token := body.token) is None:
            return {}
        return {"token": accounts.token_for(token.login, *token.scopes, client_id=token.client_id)}

    async def _latency(self, request: web.Request) -> Json:
        body = await _read(request, _Latency)
        self._transport.latency.set(body.all_ms, body.by_step)
        return self._latency_json()

    async def _clock(self, request: web.Request) -> Json:
        body = await _read(request, _Clock)
        clock = self._world.clock
        if body.reset:
            clock.reset()
        if body.frozen is not None:
            (clock.freeze if body.frozen else clock.resume)()
        if body.advance is not None:
            clock.advance(body.advance)
        return {"time": iso(clock.now()), "frozen": clock.frozen}

    async def _reset(self, _request: web.Request) -> Json:
        self._world.reset()
        self._transport.latency.set()
        self._transport.demand()
        self._transport.log.clear()
        return {"reset": True}

    async def _requests(self, request: web.Request) -> Json:
        limit = request.query.get("limit", "100")
        if not limit.isdecimal() or not int(limit):
            raise _refused(400, "limit takes a whole number of at least 1")
        return {"counts": self._transport.log.counts, "requests": self._transport.log.records[-int(limit) :]}

    async def _forget(self, _request: web.Request) -> Json:
        self._transport.log.clear()
        return {"counts": {}}


def _answering(handler: Callable[[web.Request], Awaitable[object]]) -> Handler:
    """Sends what a handler gives as JSON, and the reason as 400 where it refuses what it was given."""

    async def answer(request: web.Request) -> web.Response:
        try:
            body = await handler(request)
        except (ValueError, RecursionError) as error:
            raise _refused(400, str(error)) from error
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    return answer


def _refused(status: int, text: str) -> web.HTTPException:
    kind = web.HTTPNotFound if status == 404 else web.HTTPBadRequest
    return kind(text=json.dumps({"error": text}), content_type="application/json")


async def _read(request: web.Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.read() or b"{}", type=kind)


P = TypeVar("P", bound=_Plan)


async def _configure(request: web.Request, thing: Channel | Clip | Video, kind: type[P]) -> P:
    """Set switches and faults; returns what the body has beside its switches."""
    plan, body = await _read(request, kind), await _read(request, Json)
    thing.configure(**{name: value for name, value in body.items() if name not in kind.__struct_fields__})
    if plan.faults is not None:
        thing.faults.set(*plan.faults)
    return plan


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
        "switches": clip.switches,
        "faults": clip.faults.active,
    }


def _video_json(video: Video) -> Json:
    return {
        "title": video.plan.title,
        "channel": video.plan.login,
        "seconds": round(video.program.seconds, 3),
        "songs": [item.song.title for item in video.plan.playlist.items],
        "switches": video.switches,
        "faults": video.faults.active,
    }
