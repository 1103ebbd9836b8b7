"""api.twitch.tv/helix: users, subscriptions, streams, clips and videos, with rate limits."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import web

from simulator.accounts import Accounts, Grant, Person
from simulator.channel import Channel
from simulator.clip import Clip
from simulator.clock import iso
from simulator.faults import Step, taken
from simulator.transport import PlannedResponse, Transport
from simulator.video import Video
from simulator.world import World

Json = dict[str, Any]

_MAX_IDS: Final = 100
_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
}


class _HelixError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HelixRoutes:
    """Five endpoints of Twitch's official API."""

    def __init__(self, world: World, accounts: Accounts, transport: Transport) -> None:
        self._world = world
        self._accounts = accounts
        self._transport = transport

    def add_to(self, app: web.Application) -> None:
        """Register the Helix routes with the application."""
        for path, handler in (
            ("users", self._users),
            ("subscriptions/user", self._subscription),
            ("streams", self._streams),
            ("clips", self._clips),
            ("videos", self._videos),
        ):
            app.router.add_get(f"/helix/{path}", self._endpoint(handler))

    def _endpoint(self, handler: Callable[[web.Request, Grant], Json]) -> Callable[[web.Request], Any]:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            headers: dict[str, str] = {}
            status = 200
            try:
                grant = self._authorized(request)
                spending = self._accounts.spend(grant)
                headers = {
                    "Ratelimit-Limit": str(self._accounts.points_per_minute),
                    "Ratelimit-Remaining": str(spending.remaining),
                    "Ratelimit-Reset": str(spending.full_at),
                }
                body = handler(request, grant) if spending.allowed else _limited()
            except _HelixError as error:
                status = error.status
                body = {"error": _TITLES[status], "status": status, "message": str(error)}
            planned = PlannedResponse(
                step=Step.HELIX,
                body=json.dumps(body).encode(),
                content_type="application/json; charset=utf-8",
                status=status,
                headers=headers,
                operation=request.path.removeprefix("/helix/"),
                faults=taken(Step.HELIX, self._world.faults),
            )
            return await self._transport.send(request, planned)

        return endpoint

    def _authorized(self, request: web.Request) -> Grant:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            raise _HelixError(401, "OAuth token is missing")
        grant = self._accounts.look_up(token) if kind == "Bearer" else None
        if grant is None:
            raise _HelixError(401, "Invalid OAuth token")
        if request.headers.get("Client-Id") != grant.client_id:
            raise _HelixError(401, "Client ID and OAuth token do not match")
        return grant

    def _users(self, request: web.Request, grant: Grant) -> Json:
        logins, ids = request.query.getall("login", []), request.query.getall("id", [])
        if len(logins) + len(ids) > _MAX_IDS:
            raise _HelixError(400, "The total of logins and ids must not be more than 100.")
        if not logins and not ids:
            if grant.person is None:
                raise _HelixError(400, "Must provide an ID, Login or OAuth Token.")
            return {"data": [self._user(grant.person)]}
        if any(not login.replace("_", "").isalnum() or not login.isascii() or len(login) > 25 for login in logins):
            raise _HelixError(400, "Invalid login names, emails or IDs in request")
        found = [
            self._accounts.people[login.lower()] for login in logins if login.lower() in self._accounts.people
        ]
        found += [person for person in self._accounts.people.values() if person.user_id in ids]
        return {"data": [self._user(person) for person in dict.fromkeys(found) if self._exists(person)]}

    def _exists(self, person: Person) -> bool:
        channel = self._world.channels.get(person.login)
        return channel is None or not channel.switches.missing

    def _user(self, person: Person) -> Json:
        return {
            "id": person.user_id,
            "login": person.login,
            "display_name": person.display_name,
            "type": "",
            "broadcaster_type": person.broadcaster_type,
            "description": "",
            "profile_image_url": "https://static-cdn.jtvnw.net/user-default-pictures-uv/simulated-300x300.png",
            "offline_image_url": "",
            "view_count": 0,
            "created_at": "2019-04-01T12:00:00Z",
        }

    def _subscription(self, request: web.Request, grant: Grant) -> Json:
        broadcaster_id, user_id = request.query.get("broadcaster_id"), request.query.get("user_id")
        if not broadcaster_id or not user_id:
            missing = "broadcaster_id" if not broadcaster_id else "user_id"
            raise _HelixError(400, f'Missing required parameter "{missing}"')
        if "user:read:subscriptions" not in grant.scopes:
            raise _HelixError(401, "Missing scope: user:read:subscriptions")
        if grant.person is None or grant.person.user_id != user_id:
            raise _HelixError(401, "The user ID in the request must match the user ID in the access token")
        tier = self._accounts.tier(user_id, broadcaster_id)
        broadcaster = next((one for one in self._accounts.people.values() if one.user_id == broadcaster_id), None)
        if tier is None or broadcaster is None:
            name = grant.person.login
            raise _HelixError(404, f"{name} has no subscription to {broadcaster_id}")
        subscription = {
            "broadcaster_id": broadcaster_id,
            "broadcaster_login": broadcaster.login,
            "broadcaster_name": broadcaster.display_name,
            "is_gift": False,
            "tier": tier,
        }
        return {"data": [subscription]}

    def _streams(self, request: web.Request, _grant: Grant) -> Json:
        logins = [login.lower() for login in request.query.getall("user_login", [])]
        ids = request.query.getall("user_id", [])
        if len(logins) > _MAX_IDS or len(ids) > _MAX_IDS:
            raise _HelixError(400, "At most 100 users can be asked for.")
        wanted = [
            channel
            for channel in self._world.channels.values()
            if channel.live
            and (not (logins or ids) or channel.login in logins or str(channel.plan.user_id) in ids)
        ]
        return {"data": [_stream(channel) for channel in wanted], "pagination": {}}

    def _clips(self, request: web.Request, _grant: Grant) -> Json:
        ids = request.query.getall("id", [])
        broadcaster = request.query.get("broadcaster_id")
        if bool(ids) == bool(broadcaster) or len(ids) > _MAX_IDS:
            raise _HelixError(400, "Exactly one of id, game_id and broadcaster_id must be given.")
        found = [clip for clip in self._world.clips.values() if not clip.switches.missing]
        chosen = [
            clip
            for clip in found
            if clip.plan.slug in ids or (broadcaster is not None and self._owner_id(clip) == broadcaster)
        ]
        return {"data": [self._clip(clip) for clip in chosen], "pagination": {}}

    def _owner_id(self, thing: Clip | Video) -> str:
        person = self._accounts.people.get(thing.plan.login)
        return "" if person is None else person.user_id

    def _clip(self, clip: Clip) -> Json:
        person = self._accounts.people.get(clip.plan.login)
        return {
            "id": clip.plan.slug,
            "url": f"https://clips.twitch.tv/{clip.plan.slug}",
            "embed_url": f"https://clips.twitch.tv/embed?clip={clip.plan.slug}",
            "broadcaster_id": self._owner_id(clip),
            "broadcaster_name": "" if person is None else person.display_name,
            "creator_id": "72000001",
            "creator_name": "Viewer_Vic",
            "video_id": "",
            "game_id": "26936",
            "language": "en",
            "title": clip.plan.title,
            "view_count": 1234,
            "created_at": iso(clip.created_at),
            "thumbnail_url": "https://static-cdn.jtvnw.net/twitch-clips-thumbnails-prod/simulated-480x272.jpg",
            "duration": round(clip.seconds, 1),
            "vod_offset": None,
            "is_featured": False,
        }

    def _videos(self, request: web.Request, _grant: Grant) -> Json:
        ids = request.query.getall("id", [])
        if not ids or len(ids) > _MAX_IDS:
            raise _HelixError(400, "1 to 100 ids must be given.")
        if not all(each.isdecimal() for each in ids):
            raise _HelixError(400, 'The parameter "id" was malformed: the value must be a number.')
        known = [self._world.video(each) for each in ids]
        found = [video for video in known if video is not None and not video.switches.missing]
        if not found:
            raise _HelixError(404, "None of the videos exist.")
        return {"data": [self._video(video) for video in found], "pagination": {}}

    def _video(self, video: Video) -> Json:
        person = self._accounts.people.get(video.plan.login)
        muted: Sequence[Json] = [
            {"duration": round(end - start), "offset": round(start)} for start, end in video.plan.muted
        ]
        return {
            "id": video.plan.video_id,
            # Twitch names the broadcast of a VOD, not of highlights and uploads.
            "stream_id": None if video.live is None else video.root.split("_")[-2],
            "user_id": self._owner_id(video),
            "user_login": video.plan.login,
            "user_name": "" if person is None else person.display_name,
            "title": video.plan.title,
            "description": "",
            "created_at": iso(video.created_at),
            "published_at": iso(video.created_at),
            "url": f"https://www.twitch.tv/videos/{video.plan.video_id}",
            "thumbnail_url": "",
            "viewable": "public",
            "view_count": 321,
            "language": "en",
            "type": "archive",
            "duration": _spoken(video.recorded_seconds),
            "muted_segments": muted or None,
        }


def _limited() -> Json:
    raise _HelixError(429, "Too Many Requests")


def _stream(channel: Channel) -> Json:
    plan = channel.plan
    return {
        "id": str(channel.broadcast_id),
        "user_id": str(plan.user_id),
        "user_login": plan.login,
        "user_name": plan.display_name,
        "game_id": "26936",
        "game_name": plan.game,
        "type": "live",
        "title": plan.title,
        "tags": ["English"],
        "viewer_count": 77,
        "started_at": iso(channel.moment(0)),
        "language": "en",
        "thumbnail_url": f"https://static-cdn.jtvnw.net/previews-ttv/live_user_{plan.login}-{{width}}x{{height}}.jpg",
        "tag_ids": [],
        "is_mature": False,
    }


def _spoken(seconds: float) -> str:
    """A duration in Twitch's notation, such as `3m21s`."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{left}s"
