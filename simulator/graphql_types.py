"""The types and fields of a GraphQL schema, read from its text."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.graphql import Parser


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field of a type: its own type as text, such as `[Clip!]!`, and the types of its arguments."""

    kind: str
    arguments: dict[str, str]


@dataclass(frozen=True, slots=True)
class GraphqlSchema:
    """Types with their fields, inputs with their members, enumerations with their words, and other scalars."""

    types: dict[str, dict[str, FieldType]] = field(default_factory=dict[str, dict[str, FieldType]])
    inputs: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    enums: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    scalars: set[str] = field(default_factory=set[str])

    def without(self, removed: frozenset[str]) -> "GraphqlSchema":
        """The schema without some fields, named `Type.field`. Raises ValueError for one that it does not have."""
        for name in removed:
            kind, _, member = name.partition(".")
            if member not in self.types.get(kind, {}):
                raise ValueError(f"there is no field {name!r}")
        types = {
            kind: {name: found for name, found in fields.items() if f"{kind}.{name}" not in removed}
            for kind, fields in self.types.items()
        }
        return GraphqlSchema(types, self.inputs, self.enums, self.scalars)


def parse_schema(text: str) -> GraphqlSchema:
    """Parses types, inputs, enumerations and scalars without descriptions. Raises GraphqlError."""
    schema = GraphqlSchema()
    parser = Parser(text)
    while parser.peek():
        match parser.name():
            case "type":
                name = parser.name()
                schema.types[name] = dict(_fields(parser))
            case "input":
                name = parser.name()
                schema.inputs[name] = {member: found.kind for member, found in _fields(parser)}
            case "enum":
                name = parser.name()
                parser.expect("{")
                words: list[str] = []
                while not parser.take("}"):
                    words.append(parser.name())
                schema.enums[name] = frozenset(words)
            case "scalar":
                schema.scalars.add(parser.name())
            case other:
                raise ValueError(f"a schema has no {other!r} here")
    return schema


def _fields(parser: Parser) -> Iterator[tuple[str, FieldType]]:
    parser.expect("{")
    while not parser.take("}"):
        name = parser.name()
        arguments: dict[str, str] = {}
        if parser.take("("):
            while not parser.take(")"):
                argument = parser.name()
                parser.expect(":")
                arguments[argument] = parser.type_text()
        parser.expect(":")
        yield name, FieldType(parser.type_text(), arguments)
