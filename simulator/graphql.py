"""The part of GraphQL that playback queries need: parses the text and selects the requested fields.

Text that is not GraphQL raises `GraphqlError`. What the schema does not know is refused by `graphql_schema.py`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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


class Word(str):
    """A bare word as a value: a member of an enumeration, where a text would have quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment's fields: an inline fragment, or a named one that is defined elsewhere. `on`: its type."""

    name: str | None
    directives: dict[str, dict[str, Any]]
    selections: tuple["Selection", ...]
    on: str | None = None


Selection = Field | Fragment


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed query: its first operation, and the fragments that it may use.

    `variables` has the declared types, as text such as `ID!`, and `names` the name of each operation.
    """

    operation: str
    name: str | None
    variables: dict[str, str]
    defaults: dict[str, Any]
    selections: tuple[Selection, ...]
    fragments: dict[str, Fragment] = field(default_factory=dict[str, Fragment])
    names: tuple[str | None, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """The variables that need a value."""
        return tuple(
            name for name, kind in self.variables.items() if kind.endswith("!") and name not in self.defaults
        )


def parse(text: str) -> Document:
    """Parses a query's text. Raises GraphqlError."""
    return Parser(text).document()


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


class Parser:
    """Reads a document from the text, token by token. Raises GraphqlError."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def document(self) -> Document:
        """The whole document."""
        operations: list[Document] = []
        fragments: dict[str, Fragment] = {}
        while self.peek():
            if self.take("fragment"):
                name = self.name()
                self.expect("on")
                on = self.name()
                directives = self._directives()
                fragments[name] = Fragment(name, directives, self._selections(), on)
            else:
                operations.append(self._operation())
        if not operations:
            raise GraphqlError("Syntax Error: there is no operation.")
        names = tuple(operation.name for operation in operations)
        return replace(operations[0], fragments=fragments, names=names)

    def _operation(self) -> Document:
        kind, name = "query", None
        defaults: dict[str, Any] = {}
        variables: dict[str, str] = {}
        if self.peek() != "{":
            kind = self.next()
            if kind not in ("query", "mutation", "subscription"):
                raise GraphqlError(f"Syntax Error: Unexpected {kind!r}.")
            if self.peek() not in ("(", "{", "@"):
                name = self.next()
            if self.take("("):
                self._variables(defaults, variables)
            self._directives()
        return Document(kind, name, variables, defaults, self._selections())

    def _variables(self, defaults: dict[str, Any], variables: dict[str, str]) -> None:
        while not self.take(")"):
            self.expect("$")
            name = self.name()
            self.expect(":")
            variables[name] = self.type_text()
            if self.take("="):
                defaults[name] = self._value()

    def type_text(self) -> str:
        """The next type, as text such as `[ID!]!`."""
        if self.take("["):
            inner = f"[{self.type_text()}]"
            self.expect("]")
        else:
            inner = self.name()
        return f"{inner}!" if self.take("!") else inner

    def _selections(self, depth: int = 0) -> tuple[Selection, ...]:
        if depth > _MAX_DEPTH:
            raise GraphqlError("Syntax Error: the query is nested too deeply.")
        self.expect("{")
        found: list[Selection] = []
        while not self.take("}"):
            found.append(self._selection(depth))
        return tuple(found)

    def _selection(self, depth: int) -> Selection:
        if self.take("..."):
            named = on = None
            if self.take("on"):
                on = self.name()
            elif self.peek() not in ("{", "@"):
                named = self.name()
            directives = self._directives()
            return Fragment(named, directives, () if named else self._selections(depth + 1), on)
        alias = name = self.name()
        if self.take(":"):
            name = self.name()
        arguments = self._arguments()
        directives = self._directives()
        inner = self._selections(depth + 1) if self.peek() == "{" else ()
        return Field(name, alias, arguments, directives, inner)

    def _arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.take("("):
            while not self.take(")"):
                name = self.name()
                self.expect(":")
                found[name] = self._value()
        return found

    def _directives(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        while self.take("@"):
            name = self.name()
            found[name] = self._arguments()
        return found

    def _value(self, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            raise GraphqlError("Syntax Error: a value is nested too deeply.")
        token = self.next()
        if token == "$":  # noqa: S105 - a sign of GraphQL
            return Variable(self.name())
        if token == "[":  # noqa: S105 - a sign of GraphQL
            items: list[Any] = []
            while not self.take("]"):
                items.append(self._value(depth + 1))
            return items
        if token == "{":  # noqa: S105 - a sign of GraphQL
            members: dict[str, Any] = {}
            while not self.take("}"):
                name = self.name()
                self.expect(":")
                members[name] = self._value(depth + 1)
            return members
        return _literal(token)

    def peek(self) -> str:
        """The next token, empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def next(self) -> str:
        """Take the next token."""
        if self._at >= len(self._tokens):
            raise GraphqlError("Syntax Error: Unexpected end of the query.")
        self._at += 1
        return self._tokens[self._at - 1]

    def name(self) -> str:
        """Take a name."""
        token = self.next()
        if not (token[0].isalpha() or token[0] == "_"):
            raise GraphqlError(f"Syntax Error: Expected a name, found {token!r}.")
        return token

    def take(self, token: str) -> bool:
        """Take this token, if it is the next one."""
        if self.peek() == token:
            self._at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        """Take this token, which has to be next."""
        found = self.next()
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
        return Word(token)
    raise GraphqlError(f"Syntax Error: Unexpected {token!r}.")


class _Picker:
    def __init__(self, fragments: Mapping[str, Fragment], variables: Mapping[str, Any]) -> None:
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
                inner = each if each.name is None else self._fragments.get(each.name)
                if inner is None:
                    raise GraphqlError(f'Unknown fragment "{each.name}".')
                found.update(self.pick(inner.selections, source, depth + 1))
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
