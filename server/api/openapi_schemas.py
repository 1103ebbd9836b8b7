"""The schemas of the OpenAPI document, made from the classes that write and check the JSON itself."""

from typing import Any, Final, cast

from msgspec.json import schema_components

from fingerprint.domain.identification import Identification
from fingerprint.domain.links import SERVICES
from fingerprint.wire import IDENTIFICATION_NAMES, SONG_NAMES, STORE_ONLY, ProblemDetails
from server.api.find_forms import FindsJson
from server.api.health_forms import AliveJson, ReadinessJson
from server.api.json_forms import (
    QUESTIONS,
    AccessCodeJson,
    MeJson,
    NewSongTokenJson,
    ReportJson,
    SongTokensJson,
    SongTokenWish,
    StatusJson,
    WatchesJson,
    WatchJson,
    WatchTerms,
)
from server.api.play_forms import CorrectionsJson, PlayNames, VisibilityJson
from server.api.set_list_forms import SetListJson, SongHistoryJson, TracklistJson
from server.api.webhook_forms import WebhookJson, WebhooksJson, WebhookTestJson, WebhookWish

FORMS: Final[tuple[Any, ...]] = (
    WebhookWish, WebhookJson, WebhooksJson, WebhookTestJson,
    *QUESTIONS, ReportJson, WatchTerms, SongTokenWish, AccessCodeJson, SetListJson, SongHistoryJson,
    NewSongTokenJson, PlayNames, CorrectionsJson, VisibilityJson,
    TracklistJson, SongTokensJson, WatchJson, WatchesJson, StatusJson, MeJson, FindsJson, AliveJson, ReadinessJson,
)  # fmt: skip
"""The bodies of requests and answers; the document also describes the forms that they contain."""

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}

EVENT: Final[Schema] = {
    "type": "object",
    "properties": {
        "event": {**TEXT, "description": "`status`, `result`, `play`, `updated` or `removed`."},
        "id": {**TEXT, "description": "For `Last-Event-ID`, when the stream broke."},
        "data": {
            **TEXT,
            "description": "JSON: an Identification; of a channel a Play, or what is removed.",
        },
    },
    "required": ["data"],
}


def ref(name: str) -> Schema:
    """A reference to one of `schemas`, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> dict[str, Schema]:
    """All named schemas of the document. Where the JSON differs from the classes, `fingerprint.wire` says how."""
    _, made = schema_components(
        [Identification, ProblemDetails, *FORMS], ref_template="#/components/schemas/{name}"
    )
    found = cast("dict[str, Schema]", made)
    found["Problem"] = found.pop("ProblemDetails")
    found["Question"] = {
        "description": "What to identify, in one of four forms.",
        "oneOf": [ref(question.__name__) for question in QUESTIONS],
    }
    _rename(found["Identification"], IDENTIFICATION_NAMES)
    _rename(found["Song"], SONG_NAMES)
    # Operators alone get it.
    del found["CatalogRef"]["properties"]["path"]["default"]
    for name in STORE_ONLY:
        del found["Identification"]["properties"][name]
    shared = {"type": "boolean", "description": "This request joined another's job."}
    _add(found["Identification"], "shared", shared)
    maybe_link = {"anyOf": [TEXT, {"type": "null"}]}
    found["Links"] = {
        "description": "Https links; YouTube's begins where the song was heard.",
        "type": "object",
        "properties": {service.name: maybe_link for service in SERVICES},
        "required": [service.name for service in SERVICES],
    }
    _add(found["Song"], "links", ref("Links"))
    _add(found["Song"], "id", {**TEXT, "description": "For `/api/v1/songs/{id}` and the page `/songs/{id}`."})
    drawing = "The path of a picture on this server, drawn of its landmarks, for songs without artwork."
    _add(found["Song"], "drawing", {**TEXT, "format": "uri-reference", "description": drawing})
    enumerations = {name: found.pop(name) for name in list(found) if "enum" in found[name]}
    return {_public(name): _tidied(schema, enumerations) for name, schema in found.items()}


def _rename(schema: Schema, names: dict[str, str]) -> None:
    schema["properties"] = {names.get(name, name): value for name, value in schema["properties"].items()}
    schema["required"] = [names.get(name, name) for name in schema["required"]]


def _add(schema: Schema, name: str, member: Schema) -> None:
    schema["properties"][name] = member
    schema["required"].append(name)


def _public(name: str) -> str:
    return name.removesuffix("Json")


def _tidied(schema: Schema, enumerations: dict[str, Schema]) -> Schema:
    """A schema with its enumerations inlined; objects require every member that is sent, and allow no other."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        rest = {key: item for key, item in schema.items() if key not in ("$ref", "type", "default")}
        if name in enumerations:
            return {"type": "string", "enum": enumerations[name]["enum"], **rest}
        return {**ref(_public(name)), **rest}
    tidy: Schema = {}
    for key, item in schema.items():
        if key == "properties":
            members = cast("dict[str, Schema]", item)
            tidy[key] = {name: _tidied(member, enumerations) for name, member in members.items()}
        elif key in ("anyOf", "oneOf"):
            tidy[key] = [_tidied(each, enumerations) for each in cast("list[Schema]", item)]
        elif key in ("items", "additionalProperties") and isinstance(item, dict):
            tidy[key] = _tidied(cast("Schema", item), enumerations)
        elif key != "title":
            tidy[key] = item
    if "properties" in tidy and "additionalProperties" not in tidy:
        tidy["additionalProperties"] = False
        tidy["required"] = [
            name
            for name, member in cast("dict[str, Schema]", schema["properties"]).items()
            if name in schema.get("required", ()) or "default" in member
        ]
        for member in cast("dict[str, Schema]", tidy["properties"]).values():
            member.pop("default", None)
    return tidy
