"""gql.twitch.tv: playback tokens and descriptions, for persisted queries and for queries sent as text."""

import json
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

from aiohttp import web

from simulator import clip_files, graphql
from simulator.accounts import Person
from simulator.channel import Channel
from simulator.clock import iso
from simulator.faults import GQL_KINDS, ODD_DATA_KINDS, Fault, FaultKind, FaultPlan, Step, taken
from simulator.graphql_schema import TWITCH_SCHEMA, schema_errors, variable_errors
from simulator.hosts import Hosts
from simulator.odd_answers import odd
from simulator.playback_tokens import PlaybackTokens
from simulator.transport import PlannedResponse, Transport
from simulator.video import Video
from simulator.world import World

Json = dict[str, Any]

CLIENT_IDS: Final = frozenset(
    {
        "kimne78kx3ncx6brgo4mv6wki5h1ko",
        "ue6666qo983tsx6so1t0vnawi233wa",
        "kd1unb4b3q4t58fwlpcbzcbnm76a8fp",
        "r8s4dac0uhzifbpu9sjdiwzctle17ff",
    }
)
"""The client ids of Twitch's own public clients; ids of registered applications are refused."""

WEB_SESSION_TOKEN: Final = "simulatedwebsession00000000001"  # noqa: S105 - a token of the simulator
"""The one `Authorization: OAuth` value that is accepted here, as a token of twitch.tv's own pages would be."""

MAX_OPERATIONS: Final = 35

PERSISTED: Final[Mapping[str, str]] = {
    "ed230aa1e33e07eebb8928504583da78a5173989fadfb1ac94be06a04f3cdbe9": "PlaybackAccessToken",
    "993d9a5131f15a37bd16f32342c44ed1e0b1a9b968c6afdb662d2cddd595f6c5": "VideoAccessToken_Clip",
    "2db6a3b20eabf510bd3cf465ae2408834b59eb6b8af89ca73ab1486cacecfb63": "ShareClipRenderStatus",
    "1844261bb449fa51e6167040311da4a7a5f1c34fe71c71a3e0c4f551bc30c698": "ShareClipRenderStatus",
    "fea4573a7bf2644f5b3f2cbbdcbee0d17312e48d2e55f080589d053aad353f11": "ChannelShell",
    "b57f9b910f8cd1a4659d894fe7550ccc81ec9052c01e438b290fd66a040b9b93": "StreamMetadata",
    "ad022ca32220d5523d03a23cbcb5beaa1e0999889c1f8f78f9f2520dafb5cae6": "StreamMetadata",
    "e1edae8122517d013405f237ffcc124515dc6ded82480a88daef69c83b53ac01": "ComscoreStreamingQuery",
    "9515480dee68a77e667cb19de634739d33f243572b007e98e67184b1a5d8369f": "VideoPreviewOverlay",
    "45111672eea2e507f8ba44d101a61862f9c56b11dee09a15634cb75cb9b9084d": "VideoMetadata",
    "71835d5ef425e154bf282453a926d99b328cdc5e32f36d3a209d0f4778b41203": "VideoPlayer_ChapterSelectButtonVideo",
    "07e99e4d56c5a7c67117a154777b0baf85a5ffefa393b213f4bc712ccaf85dd6": "VideoPlayer_VODSeekbarPreviewVideo",
}
"""The valid hashes. Twitch's older ones, such as 0828119d..., have been retired."""

_NEEDED_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "PlaybackAccessToken": ("login", "vodID", "isLive", "isVod", "playerType", "platform"),
    "VideoAccessToken_Clip": ("slug", "platform"),
    "ShareClipRenderStatus": ("slug",),
    "StreamMetadata": ("channelLogin", "includeIsDJ"),
}
"""The variables without which a persisted query is refused (since 2025-11: twitch-gql-queries, glance#1009)."""

_ULID_SIGNS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class GqlRoutes:
    """Answers POST /gql and POST /integrity."""

    def __init__(self, world: World, tokens: PlaybackTokens, transport: Transport, hosts: Hosts) -> None:
        self._world = world
        self._tokens = tokens
        self._transport = transport
        self._hosts = hosts

    def add_to(self, app: web.Application) -> None:
        """Register the gql routes with the application."""
        app.router.add_post("/gql", self._gql)
        app.router.add_post("/gql/integrity", self._integrity)
        app.router.add_post("/integrity", self._integrity)

    async def _integrity(self, request: web.Request) -> web.StreamResponse:
        expiration = int((self._world.clock.time() + 57_600) * 1000)
        body = {"token": "v4.public.simulated", "expiration": expiration, "request_id": _ulid()}
        return await self._reply(request, body, operation="integrity")

    async def _gql(self, request: web.Request) -> web.StreamResponse:
        refusal = _refused(request)
        if refusal is not None:
            return await self._reply(request, refusal, status=refusal["status"])
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            return await self._reply(request, _http_error(400, "The body is not valid JSON."), status=400)
        operations = cast("list[Any]", body) if isinstance(body, list) else [body]
        if not operations or len(operations) > MAX_OPERATIONS:
            text = f"The request has {len(operations)} operations, 1 to {MAX_OPERATIONS} are allowed."
            return await self._reply(request, _http_error(400, text), status=400)
        answers: list[Json] = []
        faults: list[Fault] = []
        targets: list[str] = []
        names: list[str] = []
        for operation in operations:
            if not isinstance(operation, dict):
                return await self._reply(request, _http_error(400, "An operation is not an object."), status=400)
            asked = cast("Json", operation)
            target, plan = self._subject(asked)
            happening = taken(Step.GQL, self._world.faults, plan, traits=(_form(asked),))
            faults += happening
            answer = self._answer(asked)
            for fault in happening:
                if fault.kind in GQL_KINDS:
                    answer = _spoiled(answer, fault.kind)
                elif fault.kind in ODD_DATA_KINDS:
                    answer = odd(answer, fault.kind)
            answers.append(answer)
            targets.append(target)
            names.append(str(asked.get("operationName") or "text"))
        return await self._reply(
            request,
            answers if isinstance(body, list) else answers[0],
            target=next(filter(None, targets), ""),
            operation=",".join(names),
            faults=tuple(faults),
        )

    async def _reply(
        self,
        request: web.Request,
        body: object,
        *,
        status: int = 200,
        target: str = "",
        operation: str = "",
        faults: tuple[Fault, ...] = (),
    ) -> web.StreamResponse:
        planned = PlannedResponse(
            step=Step.GQL,
            body=json.dumps(body, separators=(",", ":")).encode(),
            content_type="application/json",
            status=status,
            target=target,
            operation=operation,
            faults=faults,
        )
        return await self._transport.send(request, planned)

    # --- one operation --------------------------------------------------------------------------------

    def _subject(self, operation: Json) -> tuple[str, FaultPlan | None]:
        """The target of an operation, by its variables or the literals in its text, and its faults."""
        values = [
            value for value in _mapping(operation.get("variables")).values() if isinstance(value, str) and value
        ]
        text = operation.get("query")
        if isinstance(text, str):
            values += _quoted(text)
        for value in values:
            thing = self._world.clips.get(value) or self._world.video(value)
            if thing is not None:
                return value, thing.faults
            channel = self._world.channels.get(value.lower())
            if channel is not None:
                return channel.login, channel.faults
        return "", None

    def _answer(self, operation: Json) -> Json:
        variables = _mapping(operation.get("variables"))
        text = operation.get("query")
        name = str(operation.get("operationName") or "")
        try:
            if isinstance(text, str) and text:
                document = graphql.parse(text)
                messages = self._schema_errors(document, name or None, variables)
                if messages:
                    return {"errors": [{"message": each} for each in messages], "extensions": _extensions(name)}
                data = graphql.execute(document, self._roots(), variables)
            else:
                persisted = _mapping(_mapping(operation.get("extensions")).get("persistedQuery"))
                found = PERSISTED.get(str(persisted.get("sha256Hash")))
                if found is None:
                    return {"errors": [{"message": "PersistedQueryNotFound"}], "extensions": _extensions(name)}
                data = _materialized(self._persisted(found, name or found, variables))
        except graphql.GraphqlError as error:
            return {"errors": [{"message": str(error)}], "extensions": _extensions(name)}
        return {"data": data, "extensions": _extensions(name)}

    def _schema_errors(
        self, document: graphql.Document, operation: str | None, variables: Mapping[str, Any]
    ) -> list[str]:
        schema = TWITCH_SCHEMA.without(self._world.removed_fields)
        return schema_errors(document, schema, operation) or variable_errors(document, schema, variables)

    def _roots(self) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
        return {
            "streamPlaybackAccessToken": lambda given: self._stream_token(
                given.get("channelName"), _mapping(given.get("params"))
            ),
            "videoPlaybackAccessToken": lambda given: self._video_token(given.get("id")),
            "clip": lambda given: self._clip(given.get("slug")),
            "video": lambda given: self._video(given.get("id")),
            "user": lambda given: self._user(given.get("login"), given.get("id")),
        }

    def _persisted(self, name: str, operation: str, variables: Mapping[str, Any]) -> Json:
        if operation != name:
            raise graphql.GraphqlError(f'Unknown operation named "{operation}".')
        for needed in _NEEDED_VARIABLES.get(name, ()):
            if variables.get(needed) is None:
                raise graphql.GraphqlError(f'Variable "{needed}" has invalid value null.')
        match name:
            case "PlaybackAccessToken":
                data: Json = {}
                if variables["isLive"]:
                    data["streamPlaybackAccessToken"] = self._stream_token(variables["login"], variables)
                if variables["isVod"]:
                    data["videoPlaybackAccessToken"] = self._video_token(variables["vodID"])
                return data
            case "VideoAccessToken_Clip" | "ShareClipRenderStatus":
                return {"clip": self._clip(variables.get("slug"))}
            case "ChannelShell":
                return {"userOrError": self._user(variables.get("login"), None)}
            case "StreamMetadata":
                return {"user": self._user(variables.get("channelLogin"), None)}
            case "ComscoreStreamingQuery" | "VideoPreviewOverlay":
                return {"user": self._user(variables.get("channel") or variables.get("login"), None)}
            case _:
                return {"video": self._video(variables.get("videoID") or variables.get("id"))}

    def _stream_token(self, login: object, player: Mapping[str, Any]) -> Json | None:
        channel = self._world.channels.get(str(login).lower())
        if channel is None or channel.switches.missing:
            return None
        return self._tokens.for_channel(channel, player)

    def _video_token(self, video_id: object) -> Json | None:
        video = self._world.video(str(video_id).removeprefix("v"))
        return None if video is None or video.switches.missing else self._tokens.for_video(video)

    def _clip(self, slug: object) -> Json | None:
        clip = self._world.clips.get(str(slug))
        if clip is None or clip.switches.missing:
            return None
        return clip_files.describe(clip, self._world, self._hosts, self._tokens)

    def _video(self, video_id: object) -> Json | None:
        video = self._world.video(str(video_id).removeprefix("v"))
        return None if video is None or video.switches.missing else self._describe_video(video)

    def _user(self, login: object, user_id: object) -> Json | None:
        channel = self._world.channels.get(str(login).lower()) if login else None
        if channel is None and user_id:
            channel = self._world.channel_by_id(str(user_id))
        if channel is None:
            # Every account is a user, also one that never broadcast.
            person = self._world.accounts.find(login=str(login or "").lower(), user_id=str(user_id or ""))
            return None if person is None else _describe_person(person)
        if channel.switches.missing:
            return None
        return {**_describe_channel(channel), "videos": partial(self._videos, channel)}

    def _videos(self, channel: Channel, given: Mapping[str, Any]) -> Json:
        """A channel's VODs, the newest first: the recording of its broadcast, then the others."""
        recording = self._world.recording(channel)
        older = (video for video in self._world.videos.values() if video.plan.login == channel.login)
        kinds = given.get("types") or ["ARCHIVE"]
        videos = [video for video in (recording, *older) if video is not None and not video.switches.missing]
        edges = [
            {"cursor": None, "node": self._describe_video(video), "__typename": "VideoEdge"}
            for video in videos[: int(given.get("first") or 10)]
            if "ARCHIVE" in map(str, kinds)
        ]
        return {"edges": edges, "__typename": "VideoConnection"}

    def _describe_video(self, video: Video) -> Json:
        owner = self._world.channels.get(video.plan.login)
        return {
            "id": video.plan.video_id,
            "title": video.plan.title,
            "description": None,
            "lengthSeconds": round(video.recorded_seconds),
            "broadcastType": "ARCHIVE",
            "status": "RECORDING" if video.switches.recording else "RECORDED",
            "createdAt": iso(video.created_at),
            "publishedAt": iso(video.created_at),
            "viewCount": 321,
            "owner": None if owner is None else _identity(owner),
            "game": None if owner is None else clip_files.describe_game(owner),
            "moments": {"edges": [], "__typename": "VideoMomentConnection"},
            "seekPreviewsURL": None,
            "__typename": "Video",
        }


def _identity(channel: Channel) -> Json:
    return {
        "id": str(channel.plan.user_id),
        "login": channel.login,
        "displayName": channel.plan.display_name,
        "__typename": "User",
    }


def _describe_person(person: Person) -> Json:
    return {
        "id": person.user_id,
        "login": person.login,
        "displayName": person.display_name,
        "stream": None,
        "__typename": "User",
    }


def _describe_channel(channel: Channel) -> Json:
    game = clip_files.describe_game(channel)
    stream = None
    if channel.live:
        stream = {
            "id": str(channel.broadcast_id),
            "title": channel.plan.title,
            "type": "live",
            "createdAt": iso(channel.moment(0)),
            "viewersCount": 77,
            "previewImageURL": None,
            "game": game,
            "__typename": "Stream",
        }
    return {
        **_identity(channel),
        "primaryColorHex": "A970FF",
        "profileImageURL": None,
        "lastBroadcast": {"id": str(channel.broadcast_id), "title": channel.plan.title, "__typename": "Broadcast"},
        "broadcastSettings": {"id": str(channel.plan.user_id), "title": channel.plan.title, "game": game},
        "stream": stream,
    }


def _refused(request: web.Request) -> Json | None:
    client_id = request.headers.get("Client-ID")
    if client_id is None:
        return _http_error(400, 'The "Client-ID" header is missing from the request.')
    if client_id not in CLIENT_IDS:
        return _http_error(400, 'The "Client-ID" header is invalid.')
    authorization = request.headers.get("Authorization")
    if authorization is not None and authorization != f"OAuth {WEB_SESSION_TOKEN}":
        return _http_error(401, 'The "Authorization" token is invalid.')
    return None


def _http_error(status: int, message: str) -> Json:
    return {"error": "Unauthorized" if status == 401 else "Bad Request", "status": status, "message": message}


def _form(operation: Json) -> str:
    """How a query is sent: as `text`, as `minimal` text without an operation name, or as a `persisted` hash."""
    if not operation.get("query"):
        return "persisted"
    return "text" if operation.get("operationName") else "minimal"


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _quoted(text: str) -> list[str]:
    """The string literals of a query."""
    return text.split('"')[1::2]


def _materialized(value: object) -> Any:
    """The value with every function in it called, for a persisted query that selects every field."""
    if callable(value):
        return _materialized(value({}))
    if isinstance(value, dict):
        return {name: _materialized(item) for name, item in cast("Json", value).items()}
    if isinstance(value, list):
        return [_materialized(item) for item in cast("list[Any]", value)]
    return value


def _extensions(operation: str) -> Json:
    return {"durationMilliseconds": 21, "operationName": operation, "requestID": _ulid()}


def _ulid() -> str:
    return "01" + "".join(secrets.choice(_ULID_SIGNS) for _ in range(24))


_MESSAGES: Final = {
    FaultKind.SERVICE_ERROR: "service error",
    FaultKind.SERVICE_TIMEOUT: "service timeout",
    FaultKind.SERVER_ERROR: "server error",
    FaultKind.FAILED_INTEGRITY: "failed integrity check",
}


def _spoiled(answer: Json, kind: FaultKind) -> Json:
    """The answer as it is when a service behind gql fails, still with HTTP 200."""
    extensions = answer["extensions"]
    fields: dict[str, Any] = dict.fromkeys(answer.get("data") or {})
    match kind:
        case FaultKind.PERSISTED_QUERY_NOT_FOUND:
            return {"errors": [{"message": "PersistedQueryNotFound"}], "extensions": extensions}
        case FaultKind.NULL_DATA:
            return {"data": None, "extensions": extensions}
        case FaultKind.MISSING_DATA:
            return {"extensions": extensions}
        case FaultKind.NULL_WITH_WARNINGS:
            warning = {"message": "service timeout", "path": list(fields)[:1]}
            return {"data": fields, "extensions": {**extensions, "warnings": [warning]}}
        case _:
            errors = [{"message": _MESSAGES[kind], "path": list(fields)[:1]}]
            if kind is FaultKind.FAILED_INTEGRITY:
                extensions = {**extensions, "challenge": {"type": "integrity"}}
            return {"errors": errors, "data": fields, "extensions": extensions}
