"""What the simulator refuses by its schema is what graphql-core, which knows all rules, refuses by it."""

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    build_schema,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from fingerprint.twitch.channels import channel_query
from fingerprint.twitch.queries import (
    Query,
    clip_broadcaster_query,
    clip_query,
    stream_token_query,
    video_owner_query,
    video_token_query,
)
from simulator import graphql
from simulator.graphql_schema import TWITCH_SCHEMA, schema_errors, variable_errors

TEXT = (Path(__file__).parents[3] / "simulator" / "schema.graphql").read_text(encoding="utf-8")
WEB = '{platform: "web", playerBackend: "mediaplayer", playerType: "site"}'

RIGHT = [
    f'{{ streamPlaybackAccessToken(channelName: "x", params: {WEB}) {{ value signature __typename }} }}',
    f"{{ videoPlaybackAccessToken(id: 123, params: {WEB}) {{ value }} }}",
    'query Q($s: ID = "a") { a: clip(slug: $s) { id } b: clip(slug: "b") { title @skip(if: true) } }',
    "query($s: ID!, $y: Boolean!) { clip(slug: $s) @include(if: $y) { ...Parts ... on Clip { id } ... { slug } } }"
    " fragment Parts on Clip { thumbnailURL(width: 10) assets { videoQualities { sourceURL } } }",
    'query($p: PlaybackAccessTokenParams!) { clip(slug: "a") { playbackAccessToken(params: $p) { value } } }',
    '{ user(login: "x", lookupType: ALL) { profileImageURL(width: 70) stream { game { name } } } }',
    'query($n: Int = 3) { clip(slug: "a") { thumbnailURL(width: $n, height: null) } }',
    "query($kind: UserLookupType) { user(id: 7, lookupType: $kind) { id } }",
]
WRONG = [
    "{ nothing }",
    '{ clip(slug: "a") { nothing } }',
    '{ clip(slug: "a") { authorisation { id } } }',
    '{ clip(slug: "a") }',
    '{ clip(slug: "a") { title { id } } }',
    "{ clip { id } }",
    '{ clip(slug: "a", id: 1) { id } }',
    "{ clip(slug: null) { id } }",
    "{ clip(slug: [1, 2]) { id } }",
    "{ clip(slug: true) { id } }",
    "{ clip(slug: a) { id } }",
    '{ user(login: "x") { profileImageURL } }',
    '{ user(login: "x") { profileImageURL(width: "7") } }',
    '{ user(login: "x", lookupType: "ALL") { id } }',
    '{ user(login: "x", lookupType: SOME) { id } }',
    "{ user(login: 7) { id } }",
    '{ streamPlaybackAccessToken(channelName: "x") { value } }',
    '{ streamPlaybackAccessToken(channelName: "x", params: {}) { value } }',
    '{ streamPlaybackAccessToken(channelName: "x", params: {platform: "web", player: "x"}) { value } }',
    '{ streamPlaybackAccessToken(channelName: "x", params: {platform: 7}) { value } }',
    '{ streamPlaybackAccessToken(channelName: "x", params: "web") { value } }',
    "query($s: ID) { clip(slug: $s) { id } }",
    "query($s: String!) { clip(slug: $s) { id } }",
    "query($s: ID!) { clip(slug: $t) { id } }",
    'query($s: ID!) { clip(slug: "a") { id } }',
    "query($s: Slug!) { clip(slug: $s) { id } }",
    "query($s: Clip!) { clip(slug: $s) { id } }",
    "query($s: ID! = true) { clip(slug: $s) { id } }",
    'query($yes: Boolean) { clip(slug: "a") @include(if: $yes) { id } }',
    '{ clip(slug: "a") { id @include } }',
    '{ clip(slug: "a") { id @client(if: true) } }',
    '{ clip(slug: "a") { ...Missing } }',
    '{ clip(slug: "a") { ... on Video { id } } }',
    '{ clip(slug: "a") { ... on Sofa { id } } }',
    '{ clip(slug: "a") { id } } fragment Unused on Clip { id }',
    'mutation { clip(slug: "a") { id } }',
    'query($s: ID!) { clip(slug: "a") { playbackAccessToken(params: {platform: $s}) { value } } }',
]


@pytest.fixture(scope="module")
def reference() -> GraphQLSchema:
    return build_schema(TEXT)


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    """The only operation of a document."""
    (definition,) = document.definitions
    assert isinstance(definition, OperationDefinitionNode)
    return definition


def refused(text: str) -> list[str]:
    return schema_errors(graphql.parse(text), TWITCH_SCHEMA)


@pytest.mark.parametrize(
    ("text", "right"), [*((text, True) for text in RIGHT), *((text, False) for text in WRONG)]
)
def test_queries_are_judged_as_graphql_core_judges_them(reference: GraphQLSchema, text: str, right: bool) -> None:
    assert (validate(reference, parse(text)) == []) is right, "graphql-core"
    assert (refused(text) == []) is right, "the simulator"


@pytest.mark.parametrize(
    "text",
    [
        '{ clip(slug: "a") { nothing } }',
        '{ clip(slug: "a", id: 1) { id } }',
        "query($s: ID) { clip(slug: $s) { id } }",
    ],
)
def test_refusals_are_worded_as_the_reference_words_them(reference: GraphQLSchema, text: str) -> None:
    (expected,) = validate(reference, parse(text))
    assert refused(text)[0] in expected.message.replace("'", '"')


@pytest.mark.parametrize(
    ("declared", "value", "right"),
    [
        ("ID!", "a", True),
        ("ID!", 7, True),
        ("ID!", None, False),
        ("ID", None, True),
        ("String!", 7, False),
        ("Boolean!", True, True),
        ("Boolean!", "true", False),
        ("Int", 7, True),
        ("Int", True, False),
        ("UserLookupType", "ALL", True),
        ("UserLookupType", "SOME", False),
        ("PlaybackAccessTokenParams", {"platform": "web"}, True),
        ("PlaybackAccessTokenParams", {"playerType": "site"}, False),
        ("PlaybackAccessTokenParams", {"platform": "web", "sofa": 1}, False),
    ],
)
def test_values_are_judged_as_graphql_core_judges_them(
    reference: GraphQLSchema, declared: str, value: Any, right: bool
) -> None:
    text = f'query($v: {declared}) {{ user(login: "x") {{ id }} }}'
    found = get_variable_values(reference, operation_of(parse(text)).variable_definitions or (), {"v": value})
    assert (not isinstance(found, list)) is right
    assert (variable_errors(graphql.parse(text), TWITCH_SCHEMA, {"v": value}) == []) is right


def test_an_operation_goes_by_its_name() -> None:
    document = graphql.parse('query Here { clip(slug: "a") { id } }')
    assert schema_errors(document, TWITCH_SCHEMA, "Here") == []
    assert schema_errors(document, TWITCH_SCHEMA, "There") == ['Unknown operation named "There".']
    assert schema_errors(graphql.parse('{ clip(slug: "a") { id } }'), TWITCH_SCHEMA, "There")


def test_a_removed_field_is_not_known_any_more() -> None:
    text = '{ clip(slug: "a") { assets { id } } }'
    schema = TWITCH_SCHEMA.without(frozenset({"Clip.assets"}))
    assert schema_errors(graphql.parse(text), schema) == ['Cannot query field "assets" on type "Clip".']
    with pytest.raises(ValueError, match=r"Clip\.sofa"):
        TWITCH_SCHEMA.without(frozenset({"Clip.sofa"}))


# --- Our own queries ------------------------------------------------------------------------------------

OURS = [
    stream_token_query("x"),
    video_token_query("12"),
    clip_query("a-b"),
    clip_broadcaster_query("a-b"),
    video_owner_query("12"),
    channel_query(login="x"),
    channel_query(channel_id="12"),
]


@pytest.mark.parametrize("query", OURS)
@pytest.mark.parametrize("form", ["text", "minimal"])
def test_what_we_send_is_right_for_twitchs_schema(reference: GraphQLSchema, query: Query, form: str) -> None:
    for body in query.bodies(form):
        sent = json.loads(body)
        document = parse(sent["query"])
        assert validate(reference, document) == []
        operation = operation_of(document)
        name = operation.name.value if operation.name else None
        assert sent.get("operationName") == name, "the name is that of the text, or there is none"
        assert (name is None) is (form == "minimal")
        declared = operation.variable_definitions or ()
        assert not isinstance(get_variable_values(reference, declared, sent["variables"]), list)
        needed = {each.variable.name.value for each in declared if isinstance(each.type, NonNullTypeNode)}
        assert needed <= sent["variables"].keys() <= {each.variable.name.value for each in declared}


@pytest.mark.parametrize("query", OURS)
def test_the_minimal_texts_have_nothing_that_the_answer_can_do_without(query: Query) -> None:
    optional = (
        "authorization",
        "durationSeconds",
        "frameRate",
        "videoCodec",
        "bitrate",
        "aspectRatio",
        "__typename",
    )
    for body in query.bodies("minimal"):
        assert not any(field in json.loads(body)["query"] for field in optional)
