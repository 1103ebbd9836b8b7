"""The little GraphQL of the simulator."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.graphql import GraphqlError, execute, parse


def roots() -> dict[str, Any]:
    def token(given: Mapping[str, Any]) -> dict[str, Any]:
        return {"params": json.dumps(given.get("params"))}

    def clip(given: Mapping[str, Any]) -> dict[str, Any] | None:
        if given.get("slug") != "abc":
            return None
        return {
            "id": "1",
            "title": "a clip",
            "token": token,
            "assets": [{"id": "x", "kind": "wide"}, {"id": "y", "kind": "tall"}],
            "broadcaster": None,
        }

    return {"clip": clip}


def run(text: str, **variables: object) -> dict[str, Any]:
    return execute(parse(text), roots(), variables)


def test_only_the_fields_asked_for_are_given_under_their_aliases() -> None:
    found = run("query Q($s: ID!) { first: clip(slug: $s) { name: title assets { kind } } }", s="abc")
    assert found == {"first": {"name": "a clip", "assets": [{"kind": "wide"}, {"kind": "tall"}]}}


def test_literals_objects_and_variables_inside_objects_reach_the_field() -> None:
    text = """query($p: String!) {
      clip(slug: "abc") { token(params: {platform: $p, backend: WEB, n: [1, 2.5, null]}) { params } }
    }"""
    found = run(text, p="web")
    params = json.loads(found["clip"]["token"]["params"])
    assert params == {"platform": "web", "backend": "WEB", "n": [1, 2.5, None]}


def test_unknown_fields_and_null_objects_are_null() -> None:
    assert run('{ clip(slug: "abc") { nothing broadcaster { login } } }') == {
        "clip": {"nothing": None, "broadcaster": None}
    }
    assert run('{ clip(slug: "xyz") { id } sofa }') == {"clip": None, "sofa": None}


@pytest.mark.parametrize(("live", "expected"), [(True, {"clip": {"id": "1"}}), (False, {})])
def test_include_and_skip(live: bool, expected: dict[str, Any]) -> None:
    text = 'query($live: Boolean!) { clip(slug: "abc") @include(if: $live) { id title @skip(if: true) } }'
    assert run(text, live=live) == expected


def test_fragments_in_place_and_by_name() -> None:
    text = '{ clip(slug: "abc") { ...Parts ... on Clip { title } } } fragment Parts on Clip { id }'
    assert run(text) == {"clip": {"id": "1", "title": "a clip"}}


def test_defaults_fill_in_and_required_variables_must_be_there() -> None:
    assert run('query($s: ID = "abc") { clip(slug: $s) { id } }') == {"clip": {"id": "1"}}
    with pytest.raises(GraphqlError, match='Variable "s" has invalid value null'):
        run("query($s: ID!) { clip(slug: $s) { id } }")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{ clip(slug: }",
        "{ clip(slug: \x00) }",
        "nonsense { a }",
        "{ ...Missing }",
        "{ a(b: $) }",
        "{" * 90,
    ],
)
def test_text_that_cannot_be_read_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(GraphqlError):
        run(text)


@given(st.text(alphabet='{}()[]:$!@."\\# aclipslug\n1', max_size=60))
def test_any_text_gives_data_or_that_error(text: str) -> None:
    with contextlib.suppress(GraphqlError):
        run(text)


def test_fragments_that_contain_themselves_end() -> None:
    with pytest.raises(GraphqlError):
        run("{ ...A } fragment A on Query { ...A }")
