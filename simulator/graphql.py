"""The part of GraphQL that playback queries need: parses the text and selects the requested fields.

Unknown fields become null, as a tolerant server's would; text that is not GraphQL raises
`GraphqlError`. Types in variable declarations are parsed but not checked.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

_TOKEN: Final = re.compile(
    r'\s+|,|#[^\n]*|(?P<token>\.\.\.|"""(?:[^"]|"(?!""))*"""|"(?:\\.|[^"\\\n])*"'
    r"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[_A-Za-z]\w*|[!$():=@\[\]{}|&])"
)
_MAX_DEPTH: Final = 24
_MAX_TOKENS: Final = 5_000

Resolver = Callable[[Mapping[str, Any]], Any]


class GraphqlError(Exception):
    """The query cannot be parsed or executed; the text says why."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A reference to a variable in a query."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """A requested field, with its arguments and its own selections."""

    name: str
    alias: str
    arguments: dict[str, Any]
    directives: dict[str, dict[str, Any]]
    selections: tuple["Selection", ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment's fields: an inline fragment, or a named one that is defined elsewhere."""

    name: str | None
    directives: dict[str, dict[str, Any]]
    selections: tuple["Selection", ...]


Selection = Field | Fragment


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed query: its first operation, and the fragments that it may use."""

    operation: str
    name: str | None
    defaults: dict[str, Any]
    required: tuple[str, ...]
    selections: tuple[Selection, ...]
    fragments: dict[str, tuple[Selection, ...]] = field(default_factory=dict[str, tuple[Selection, ...]])


def parse(text: str) -> Document:
    """Parses a query's text. Raises GraphqlError."""
    return _Parser(_tokens(text)).document()


def execute(document: Document, roots: Mapping[str, Resolver], variables: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's `data`. `roots` resolves the fields of the operation from their arguments.

    The fields are selected from what a resolver returns: mappings by field, lists by element, and a function in
    a mapping is called with the field's arguments. Raises GraphqlError for a required variable without a value.
    """
    values = {**document.defaults, **variables}
    for name in document.required:
        if values.get(name) is None:
            raise GraphqlError(f'Variable "{name}" has invalid value null.')
    return _Picker(document.fragments, values).pick(document.selections, roots)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise GraphqlError(f"Syntax Error: Unexpected character {text[at]!r}.")
        if match["token"]:
            found.append(match["token"])
        if len(found) > _MAX_TOKENS:
            raise GraphqlError("Syntax Error: the query is too long.")
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def document(self) -> Document:
        chosen: Document | None = None
        fragments: dict[str, tuple[Selection, ...]] = {}
        while self._peek():
            if self._peek() == "fragment":
                self._next()
                name = self._next()
                self._expect("on")
                self._next()
                self._directives()
                fragments[name] = self._selections()
            else:
                found = self._operation()
                chosen = chosen or found
        if chosen is None:
            raise GraphqlError("Syntax Error: there is no operation.")
        return Document(
            chosen.operation, chosen.name, chosen.defaults, chosen.required, chosen.selections, fragments
        )

    def _operation(self) -> Document:
        kind, name = "query", None
        defaults: dict[str, Any] = {}
        required: list[str] = []
        if self._peek() != "{":
            kind = self._next()
            if kind not in ("query", "mutation", "subscription"):
                raise GraphqlError(f"Syntax Error: Unexpected {kind!r}.")
            if self._peek() not in ("(", "{", "@"):
                name = self._next()
            if self._take("("):
                self._variables(defaults, required)
            self._directives()
        return Document(kind, name, defaults, tuple(required), self._selections())

    def _variables(self, defaults: dict[str, Any], required: list[str]) -> None:
        while not self._take(")"):
            self._expect("$")
            name = self._next()
            self._expect(":")
            must = self._type()
            if self._take("="):
                defaults[name] = self._value()
            elif must:
                required.append(name)

    def _type(self) -> bool:
        if self._take("["):
            self._type()
            self._expect("]")
        else:
            self._next()
        return self._take("!")

    def _selections(self, depth: int = 0) -> tuple[Selection, ...]:
        if depth > _MAX_DEPTH:
            raise GraphqlError("Syntax Error: the query is nested too deeply.")
        self._expect("{")
        found: list[Selection] = []
        while not self._take("}"):
            found.append(self._selection(depth))
        return tuple(found)

    def _selection(self, depth: int) -> Selection:
        if self._take("..."):
            named: str | None = None
            if self._take("on"):
                self._next()
            elif self._peek() not in ("{", "@"):
                named = self._next()
            directives = self._directives()
            return Fragment(named, directives, () if named else self._selections(depth + 1))
        alias = name = self._name()
        if self._take(":"):
            name = self._name()
        arguments = self._arguments()
        directives = self._directives()
        inner = self._selections(depth + 1) if self._peek() == "{" else ()
        return Field(name, alias, arguments, directives, inner)

    def _arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._take("("):
            while not self._take(")"):
                name = self._name()
                self._expect(":")
                found[name] = self._value()
        return found

    def _directives(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        while self._take("@"):
            name = self._name()
            found[name] = self._arguments()
        return found

    def _value(self, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            raise GraphqlError("Syntax Error: a value is nested too deeply.")
        token = self._next()
        if token == "$":  # noqa: S105 - a sign of GraphQL
            return Variable(self._name())
        if token == "[":  # noqa: S105 - a sign of GraphQL
            items: list[Any] = []
            while not self._take("]"):
                items.append(self._value(depth + 1))
            return items
        if token == "{":  # noqa: S105 - a sign of GraphQL
            members: dict[str, Any] = {}
            while not self._take("}"):
                name = self._name()
                self._expect(":")
                members[name] = self._value(depth + 1)
            return members
        return _literal(token)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise GraphqlError("Syntax Error: Unexpected end of the query.")
        self._at += 1
        return self._tokens[self._at - 1]

    def _name(self) -> str:
        token = self._next()
        if not (token[0].isalpha() or token[0] == "_"):
            raise GraphqlError(f"Syntax Error: Expected a name, found {token!r}.")
        return token

    def _take(self, token: str) -> bool:
        if self._peek() == token:
            self._at += 1
            return True
        return False

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise GraphqlError(f"Syntax Error: Expected {token!r}, found {found!r}.")


def _literal(token: str) -> Any:
    words = {"true": True, "false": False, "null": None}
    if token in words:
        return words[token]
    if token.startswith('"""'):
        return token[3:-3].strip()
    if token.startswith('"'):
        try:
            return json.loads(token)
        except ValueError as error:
            raise GraphqlError("Syntax Error: a text is not well formed.") from error
    if token[0] == "-" or token[0].isdigit():
        return float(token) if any(sign in token for sign in ".eE") else int(token)
    if token[0].isalpha() or token[0] == "_":
        return token
    raise GraphqlError(f"Syntax Error: Unexpected {token!r}.")


class _Picker:
    def __init__(self, fragments: Mapping[str, tuple[Selection, ...]], variables: Mapping[str, Any]) -> None:
        self._fragments = fragments
        self._variables = variables

    def pick(self, selections: tuple[Selection, ...], source: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
        if depth > 2 * _MAX_DEPTH:
            raise GraphqlError("the query is nested too deeply.")
        found: dict[str, Any] = {}
        for each in selections:
            if not self._included(each.directives):
                continue
            if isinstance(each, Fragment):
                inner = each.selections if each.name is None else self._fragments.get(each.name)
                if inner is None:
                    raise GraphqlError(f'Unknown fragment "{each.name}".')
                found.update(self.pick(inner, source, depth + 1))
                continue
            value = source.get(each.name)
            if callable(value):
                value = value({name: self._resolve(argument) for name, argument in each.arguments.items()})
            found[each.alias] = self._shape(value, each, depth)
        return found

    def _shape(self, value: Any, asked: Field, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self.pick(asked.selections, cast("Mapping[str, Any]", value), depth + 1)
        if isinstance(value, list):
            return [self._shape(item, asked, depth) for item in cast("list[Any]", value)]
        return value

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Variable):
            return self._variables.get(value.name)
        if isinstance(value, list):
            return [self._resolve(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {name: self._resolve(item) for name, item in cast("dict[str, Any]", value).items()}
        return value

    def _included(self, directives: Mapping[str, dict[str, Any]]) -> bool:
        if "include" in directives and not self._resolve(directives["include"].get("if")):
            return False
        return not ("skip" in directives and self._resolve(directives["skip"].get("if")))
