"""Checks queries against the part of Twitch's GraphQL schema in `schema.graphql`, as Twitch does before answering.

The messages are those of the reference implementation; a test holds the verdicts against graphql-core's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from simulator.graphql import Document, Field, Fragment, Selection, Variable, Word
from simulator.graphql_types import FieldType, GraphqlSchema, parse_schema

_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "String": (str,),
    "ID": (str, int),
    "Int": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}
_DIRECTIVES: Final = ("include", "skip")
_MAX_ERRORS: Final = 20
_MAX_DEPTH: Final = 30

TWITCH_SCHEMA: Final = parse_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
"""The schema in `schema.graphql`, read once, on import."""


def schema_errors(document: Document, schema: GraphqlSchema, operation: str | None = None) -> list[str]:
    """What the schema does not know in a query; empty when the query is right. `operation`: the operationName."""
    return _Check(document, schema).errors(operation)


def variable_errors(document: Document, schema: GraphqlSchema, values: Mapping[str, Any]) -> list[str]:
    """The variables whose values do not fit their types, as Twitch words it."""
    return [
        f'Variable "{name}" has invalid value {_shown(values.get(name))}.'
        for name, kind in document.variables.items()
        if not (values.get(name) is None and name in document.defaults)
        and not _fits(schema, values.get(name), kind)
    ]


def named(kind: str) -> str:
    """The name in a type, without lists and exclamation marks."""
    return kind.strip("[]!")


class _Check:
    def __init__(self, document: Document, schema: GraphqlSchema) -> None:
        self._document = document
        self._schema = schema
        self._errors: list[str] = []
        self._used_variables: set[str] = set()
        self._used_fragments: set[str] = set()

    def errors(self, operation: str | None) -> list[str]:
        document = self._document
        if operation is not None and operation not in document.names:
            return [f'Unknown operation named "{operation}".']
        if document.operation != "query":
            return [f"Schema is not configured to execute {document.operation} operation."]
        of = f' in operation "{document.name}"' if document.name else ""
        by = f' by operation "{document.name}"' if document.name else ""
        for name, kind in document.variables.items():
            if not self._is_input(named(kind)):
                self._errors.append(f'Unknown type "{named(kind)}".')
            elif name in document.defaults and not _fits(self._schema, document.defaults[name], kind):
                self._errors.append(f'Expected value of type "{kind}", found {_shown(document.defaults[name])}.')
        self._selections(document.selections, "Query", 0)
        for name in self._used_variables - document.variables.keys():
            self._errors.append(f'Variable "${name}" is not defined{by}.')
        for name in document.variables.keys() - self._used_variables:
            self._errors.append(f'Variable "${name}" is never used{of}.')
        for name in document.fragments.keys() - self._used_fragments:
            self._errors.append(f'Fragment "{name}" is never used.')
        return self._errors[:_MAX_ERRORS]

    def _is_input(self, name: str) -> bool:
        schema = self._schema
        return name in _SCALARS or name in schema.inputs or name in schema.enums or name in schema.scalars

    def _selections(self, selections: tuple[Selection, ...], kind: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            self._errors.append("The query is nested too deeply.")
            return
        for each in selections:
            if len(self._errors) >= _MAX_ERRORS:
                return
            self._directives(each.directives)
            if isinstance(each, Field):
                self._field(each, kind, depth)
            else:
                self._fragment(each, kind, depth)

    def _fragment(self, each: Fragment, kind: str, depth: int) -> None:
        if each.name is not None:
            found = self._document.fragments.get(each.name)
            if found is None:
                self._errors.append(f'Unknown fragment "{each.name}".')
                return
            self._used_fragments.add(each.name)
            each = found
        on = each.on or kind
        if on not in self._schema.types:
            self._errors.append(f'Unknown type "{on}".')
        elif on != kind:
            self._errors.append(f'Fragment cannot be spread here as objects of type "{kind}" can never be "{on}".')
        else:
            self._selections(each.selections, kind, depth + 1)

    def _field(self, asked: Field, kind: str, depth: int) -> None:
        if asked.name == "__typename":
            found = FieldType("String!", {})
        else:
            known = self._schema.types[kind].get(asked.name)
            if known is None:
                self._errors.append(f'Cannot query field "{asked.name}" on type "{kind}".')
                return
            found = known
        self._arguments(asked, found, kind)
        inner = named(found.kind)
        if inner in self._schema.types:
            if asked.selections:
                self._selections(asked.selections, inner, depth + 1)
            else:
                self._errors.append(
                    f'Field "{asked.name}" of type "{found.kind}" must have a selection of subfields.'
                )
        elif asked.selections:
            self._errors.append(
                f'Field "{asked.name}" must not have a selection since type "{found.kind}" has no subfields.'
            )

    def _arguments(self, asked: Field, found: FieldType, kind: str) -> None:
        for name, value in asked.arguments.items():
            if name not in found.arguments:
                self._errors.append(f'Unknown argument "{name}" on field "{kind}.{asked.name}".')
                self._note_variables(value)
            else:
                self._value(value, found.arguments[name])
        for name, wanted in found.arguments.items():
            if wanted.endswith("!") and name not in asked.arguments:
                which = f"{kind}.{asked.name}({name}:)"
                self._errors.append(f'Argument "{which}" of type "{wanted}" is required, but it was not provided.')

    def _directives(self, directives: Mapping[str, dict[str, Any]]) -> None:
        for name, given in directives.items():
            if name not in _DIRECTIVES:
                self._errors.append(f'Unknown directive "@{name}".')
            elif "if" not in given:
                self._errors.append(
                    f'Argument "@{name}(if:)" of type "Boolean!" is required, but it was not provided.'
                )
            else:
                self._value(given["if"], "Boolean!")

    def _value(self, value: Any, kind: str) -> None:
        """Check a literal, or the type of a variable, where a type is expected."""
        if isinstance(value, Variable):
            self._used_variables.add(value.name)
            declared = self._document.variables.get(value.name)
            has_default = self._document.defaults.get(value.name) is not None
            if declared is not None and not _may_stand(declared, kind, has_default=has_default):
                self._errors.append(
                    f'Variable "${value.name}" of type "{declared}" used in position expecting type "{kind}".'
                )
            return
        members = self._schema.inputs.get(named(kind))
        if members is not None and isinstance(value, dict):
            given = cast("dict[str, Any]", value)
            for name, inner in given.items():
                if name not in members:
                    self._errors.append(f'Field "{name}" is not defined by type "{named(kind)}".')
                    self._note_variables(inner)
                else:
                    self._value(inner, members[name])
            for name, wanted in members.items():
                if wanted.endswith("!") and name not in given:
                    self._errors.append(
                        f'Field "{named(kind)}.{name}" of required type "{wanted}" was not provided.'
                    )
        elif isinstance(value, list) and kind.strip("!").startswith("["):
            for item in cast("list[Any]", value):
                self._value(item, kind.removesuffix("!")[1:-1])
        elif not _fits(self._schema, value, kind, literal=True):
            self._errors.append(f'Expected value of type "{kind}", found {_shown(value)}.')

    def _note_variables(self, value: Any) -> None:
        if isinstance(value, Variable):
            self._used_variables.add(value.name)


def _may_stand(declared: str, wanted: str, *, has_default: bool) -> bool:
    """Whether a variable of a type may stand where a type is wanted."""
    if wanted.endswith("!") and not declared.endswith("!") and has_default:
        declared += "!"
    return declared == wanted or declared.removesuffix("!") == wanted


def _fits(schema: GraphqlSchema, value: Any, kind: str, *, literal: bool = False) -> bool:
    """Whether a value is of a type. In a literal, the words of enumerations have no quotes."""
    if value is None:
        return not kind.endswith("!")
    kind = kind.removesuffix("!")
    if kind.startswith("["):
        items = cast("list[Any]", value) if isinstance(value, list) else [value]
        return all(_fits(schema, item, kind[1:-1], literal=literal) for item in items)
    if kind in schema.enums:
        return value in schema.enums[kind] and (isinstance(value, Word) or not literal)
    if kind in schema.inputs:
        members, given = schema.inputs[kind], cast("dict[str, Any]", value)
        return (
            isinstance(value, dict)
            and given.keys() <= members.keys()
            and all(_fits(schema, given.get(name), wanted, literal=literal) for name, wanted in members.items())
        )
    return _fits_scalar(schema, value, kind)


def _fits_scalar(schema: GraphqlSchema, value: Any, kind: str) -> bool:
    if isinstance(value, Word):
        return False
    if isinstance(value, bool) and kind in _SCALARS:
        return kind == "Boolean"
    return kind in schema.scalars or isinstance(value, _SCALARS.get(kind, ()))


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return (
        str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    )
