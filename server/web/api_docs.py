"""The API page's content, from the OpenAPI document: operations, their fields, and examples to copy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from server.web.api_docs_code import curl_code, javascript_code, python_code

JsonObject = Mapping[str, Any]

METHODS: Final = ("get", "post", "put", "patch", "delete")

MAX_VALUES_SHOWN: Final = 10
"""Only the length is shown of a longer list of values."""

_EXAMPLES: Final = {
    "id": "ID",
    "play": "ID",
    "correction": "ID",
    "name": "NAME",
    "ending": "csv",
    "kind": "csv",
    "slug": "SLUG",
    "login": "somechannel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDoc:
    """A parameter, or a property of an object."""

    name: str
    where: str = ""
    type: str = ""
    text: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseDoc:
    """A response of an operation by its HTTP status. `media_types` other than JSON."""

    status: str
    text: str
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A piece of code to copy, and its language."""

    language: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request that can be made, with its parameters, responses and examples."""

    anchor: str
    method: str
    path: str
    summary: str
    text: str
    forms: tuple[str, ...] = ()
    """The names in each of several forms of the body; empty when there is one form."""
    fields: tuple[FieldDoc, ...] = ()
    responses: tuple[ResponseDoc, ...] = ()
    examples: tuple[Example, ...] = ()
    body: str | None = None
    """A body to begin with; None for requests without one."""
    streams: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaDoc:
    """A named object of requests or responses."""

    name: str
    text: str
    fields: tuple[FieldDoc, ...] = ()


def operations(document: JsonObject, origin: str) -> list[Operation]:
    """Every operation of the document, in its order. `origin` is where the examples send their requests."""
    found: list[Operation] = []
    for path, item in _object(document.get("paths")).items():
        shared = _list(item.get("parameters"))
        for method in METHODS:
            if method not in item:
                continue
            operation = _object(item[method])
            parameters = [_resolve(document, each) for each in (*shared, *_list(operation.get("parameters")))]
            body = _json_body(document, operation)
            found.append(
                Operation(
                    anchor=f"request-{operation.get('operationId', method + path.replace('/', '-'))}",
                    method=method.upper(),
                    path=path,
                    summary=str(operation.get("summary", "")),
                    text=str(operation.get("description", "")),
                    forms=_forms(document, body),
                    fields=(*map(_parameter, parameters), *_body_fields(document, body)),
                    responses=tuple(
                        _response(status, _resolve(document, response))
                        for status, response in sorted(_object(operation.get("responses")).items())
                    ),
                    body=_body_text(document, operation, body),
                    streams="text/event-stream" in _media_types(document, operation),
                    examples=_examples(
                        method, f"{origin}{path}", _sample_body(document, body), operation, document
                    ),
                )
            )
    return found


def schemas(document: JsonObject) -> list[SchemaDoc]:
    """Every named object of the document."""
    named = _object(_object(document.get("components")).get("schemas"))
    return [
        SchemaDoc(name=name, text=str(schema.get("description", "")), fields=_properties(schema))
        for name, schema in named.items()
        if "properties" in schema
    ]


def code_parts(text: str) -> list[tuple[bool, str]]:
    """A description cut where `` ` `` starts or ends code: whether a part is code, and the part."""
    return [(bool(index % 2), part) for index, part in enumerate(text.split("`")) if part]


# --- Reading the document -----------------------------------------------------------------------------


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list) else []


def _resolve(document: JsonObject, value: object) -> JsonObject:
    """Follow one local reference (`#/components/...`)."""
    item = _object(value)
    reference = item.get("$ref")
    if not isinstance(reference, str):
        return item
    target: object = document
    for part in reference.removeprefix("#/").split("/"):
        target = _object(target).get(part)
    return _object(target)


def _type_text(schema: JsonObject) -> str:
    """A schema's type in a few words."""
    kind: object = schema.get("type", "")
    if "$ref" in schema:
        text = str(schema["$ref"]).rsplit("/", 1)[-1]
    elif "oneOf" in schema or "anyOf" in schema:
        several = (*_list(schema.get("oneOf")), *_list(schema.get("anyOf")))
        text = " or ".join(_type_text(_object(each)) for each in several)
    elif "enum" in schema:
        values = _list(schema["enum"])
        text = (
            f"one of {len(values)} texts"
            if len(values) > MAX_VALUES_SHOWN
            else " | ".join(map(json.dumps, values))
        )
    elif "const" in schema:
        text = json.dumps(schema["const"])
    elif isinstance(kind, list):
        text = " or ".join(map(str, cast("list[object]", kind)))
    elif kind == "array":
        text = f"list of {_type_text(_object(schema.get('items'))) or 'anything'}"
    elif "properties" in schema:
        text = f"object: {', '.join(_object(schema['properties']))}"
    else:
        text = str(kind)
    return f"{text} ({schema['format']})" if "format" in schema else text


def _parameter(parameter: JsonObject) -> FieldDoc:
    return FieldDoc(
        name=str(parameter.get("name", "")),
        where=str(parameter.get("in", "")),
        type=_type_text(_object(parameter.get("schema"))),
        text=str(parameter.get("description", "")),
        required=bool(parameter.get("required")),
    )


def _properties(schema: JsonObject, where: str = "") -> tuple[FieldDoc, ...]:
    required = _list(schema.get("required"))
    return tuple(
        FieldDoc(
            name=name,
            where=where,
            type=_type_text(_object(each)),
            text=str(_object(each).get("description", "")),
            required=name in required,
        )
        for name, each in _object(schema.get("properties")).items()
    )


def _json_body(document: JsonObject, operation: JsonObject) -> JsonObject:
    body = _resolve(document, operation.get("requestBody"))
    return _object(_object(body.get("content")).get("application/json"))


def _alternatives(document: JsonObject, body: JsonObject) -> list[JsonObject]:
    """The forms that a JSON body can have."""
    schema = _resolve(document, body.get("schema"))
    several = (*_list(schema.get("oneOf")), *_list(schema.get("anyOf")))
    return [_resolve(document, each) for each in several] or [schema]


def _body_fields(document: JsonObject, body: JsonObject) -> tuple[FieldDoc, ...]:
    """The fields of a JSON body; of all its alternatives, each once and then none of them required."""
    alternatives = _alternatives(document, body)
    fields: dict[str, FieldDoc] = {}
    for each in alternatives:
        for found in _properties(each, "body"):
            fields.setdefault(found.name, replace(found, required=found.required and len(alternatives) == 1))
    return tuple(fields.values())


def _forms(document: JsonObject, body: JsonObject) -> tuple[str, ...]:
    alternatives = _alternatives(document, body)
    names = tuple(", ".join(_object(each.get("properties"))) for each in alternatives)
    return names if len(names) > 1 else ()


def _sample_body(document: JsonObject, body: JsonObject) -> object:
    """A body to show: the document's example, or the required fields of the first form."""
    if "example" in body:
        return body["example"]
    first = _alternatives(document, body)[0]
    properties = _object(first.get("properties"))
    sample = {name: _sample(_object(properties[name])) for name in map(str, _list(first.get("required")))}
    return sample or None


def _body_text(document: JsonObject, operation: JsonObject, body: JsonObject) -> str | None:
    if "requestBody" not in operation:
        return None
    return json.dumps(_sample_body(document, body) or {})


def _media_types(document: JsonObject, operation: JsonObject) -> tuple[str, ...]:
    """The media types of the first response that has a body."""
    responses = [_resolve(document, each) for each in _object(operation.get("responses")).values()]
    return next((tuple(_object(each.get("content"))) for each in responses if "content" in each), ())


def _sample(schema: JsonObject) -> object:
    examples = [*_list(schema.get("examples")), *_list(schema.get("enum"))]
    return (
        examples[0]
        if examples
        else {"number": 0, "integer": 0, "boolean": True}.get(str(schema.get("type")), "...")
    )


def _response(status: str, response: JsonObject) -> ResponseDoc:
    return ResponseDoc(
        status=status,
        text=str(response.get("description", "")),
        media_types=tuple(each for each in _object(response.get("content")) if not each.endswith("json")),
    )


# --- Examples -----------------------------------------------------------------------------------------


def _examples(
    method: str, address: str, body: object, operation: JsonObject, document: JsonObject
) -> tuple[Example, ...]:
    for name, value in _EXAMPLES.items():
        address = address.replace(f"{{{name}}}", value)
    media_types = _media_types(document, operation)
    return (
        Example(
            language="curl", code=curl_code(method, address, body, streams="text/event-stream" in media_types)
        ),
        Example(
            language="Python", code=python_code(method, address, body, is_json="application/json" in media_types)
        ),
        Example(language="JavaScript", code=javascript_code(method, address, body, media_types)),
    )
