import ast
import json
import shlex
from typing import Any

from server.api.openapi import openapi_document
from server.web.api_docs import code_parts, operations, schemas
from server.web.examples import start_examples

ORIGIN = "http://127.0.0.1:8080"


def one(method: str, operation: dict[str, Any], **document: Any) -> Any:
    (found,) = operations({"paths": {"/things/{id}": {method: operation}}, **document}, ORIGIN)
    return found


def test_every_operation_of_the_api_is_shown_once_with_three_examples() -> None:
    document = openapi_document()
    found = operations(document, ORIGIN)
    assert {(each.method.lower(), each.path) for each in found} == {
        (method, path) for path, item in document["paths"].items() for method in item
    }
    assert len({each.anchor for each in found}) == len(found)
    for each in found:
        assert [example.language for example in each.examples] == ["curl", "Python", "JavaScript"]


def test_examples_are_whole_commands_with_their_parameters_filled_in() -> None:
    for each in operations(openapi_document(), ORIGIN):
        curl, python, javascript = (example.code for example in each.examples)
        words = shlex.split(curl.replace("\\\n", " "))
        assert words[0] == "curl"
        assert any(word.startswith(ORIGIN) for word in words)
        ast.parse(python)
        assert "{" not in next(word for word in words if word.startswith(ORIGIN))
        assert ORIGIN in javascript


def test_a_body_in_several_forms_shows_each_field_once_and_asks_for_the_first() -> None:
    (ask,) = [each for each in operations(openapi_document(), ORIGIN) if each.forms]
    fields = {field.name: field for field in ask.fields if field.where == "body"}
    assert set(fields) == {"channel", "ago", "clip", "video", "at", "url"}
    assert not any(field.required for field in fields.values())
    assert ask.forms == ("channel", "channel, ago", "clip", "video, at", "url", "channel, at")
    curl = ask.examples[0].code
    sent = json.loads(shlex.split(curl.replace("\\\n", " "))[-1])
    assert set(sent) == {"channel"}


def test_references_are_followed() -> None:
    found = one(
        "get",
        {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "responses": {"200": {"$ref": "#/components/responses/Ok"}},
        },
        components={
            "parameters": {"Id": {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}},
            "responses": {"Ok": {"description": "Fine.", "content": {"application/json": {}}}},
        },
    )
    assert [(field.name, field.where, field.type, field.required) for field in found.fields] == [
        ("id", "path", "string", True)
    ]
    assert [(each.status, each.text, each.media_types) for each in found.responses] == [("200", "Fine.", ())]


def test_a_stream_of_events_is_shown_with_an_event_source() -> None:
    found = one("get", {"responses": {"200": {"content": {"text/event-stream": {}}}}})
    assert "--no-buffer" in found.examples[0].code
    assert "new EventSource" in found.examples[2].code


def test_types_are_told_in_a_few_words() -> None:
    properties: dict[str, Any] = {
        "when": {"type": "string", "format": "date-time"},
        "maybe": {"type": ["string", "null"]},
        "song": {"anyOf": [{"$ref": "#/components/schemas/Song"}, {"type": "null"}]},
        "names": {"type": "array", "items": {"type": "string"}},
        "mode": {"enum": ["open", "login"]},
        "alive": {"const": "alive"},
        "code": {"enum": [str(number) for number in range(30)]},
        "ids": {"type": "object", "properties": {"youtube": {}, "spotify": {}}},
    }
    (schema,) = schemas({"components": {"schemas": {"Thing": {"properties": properties, "required": ["when"]}}}})
    assert {field.name: field.type for field in schema.fields} == {
        "when": "string (date-time)",
        "maybe": "string or null",
        "song": "Song or null",
        "names": "list of string",
        "mode": '"open" | "login"',
        "alive": '"alive"',
        "code": "one of 30 texts",
        "ids": "object: youtube, spotify",
    }
    assert [field.name for field in schema.fields if field.required] == ["when"]


def test_a_document_of_another_shape_makes_an_empty_page_not_an_error() -> None:
    assert operations({}, ORIGIN) == []
    assert operations({"paths": {"/x": {"get": {}}}}, ORIGIN)[0].responses == ()
    assert schemas({"components": None}) == []


def test_code_in_descriptions_is_told_from_prose() -> None:
    assert code_parts("its `status` is `failed`.") == [
        (False, "its "),
        (True, "status"),
        (False, " is "),
        (True, "failed"),
        (False, "."),
    ]


def test_the_first_examples_are_valid_and_ask_this_server() -> None:
    curl, python, javascript = (example.code for example in start_examples(ORIGIN))
    assert json.loads(shlex.split(curl.replace("\\\n", " "))[-1]) == {"channel": "somechannel"}
    ast.parse(python)
    for code in (curl, python, javascript):
        assert f"{ORIGIN}/api/v1/identifications" in code
        assert "wait=20" in code
