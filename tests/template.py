"""deploy/template.yaml as CloudFormation would make it of parameters: conditions and references are worked out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

TEMPLATE: Final = Path(__file__).parents[1] / "deploy" / "template.yaml"
NOTHING: Final = object()
"""What `AWS::NoValue` stands for: the property is left out."""


class _Loader(yaml.SafeLoader):
    """Reads `!Ref x` as `{"Ref": x}`, and the other short forms alike."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    content: Any
    if isinstance(node, yaml.ScalarNode):
        content = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        content = loader.construct_sequence(node, deep=True)
    else:
        content = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": content}


cast("Any", _Loader).add_multi_constructor("!", _long_form)


def template() -> dict[str, Any]:
    """The template as it is written, with the functions in their long form."""
    return yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)


class Deployed:
    """The template with values for its parameters; those without one have their default."""

    def __init__(self, *, stack: str = "twitchaudio", **given: str) -> None:
        self._template = template()
        declared = self._template["Parameters"]
        assert set(given) <= set(declared), set(given) - set(declared)
        self._known: dict[str, Any] = {"AWS::StackName": stack, "AWS::Partition": "aws", "AWS::NoValue": NOTHING}
        for name, about in declared.items():
            value = given.get(name, about.get("Default", f"({name})"))
            self._known[name] = str(value).split(",") if about["Type"] == "CommaDelimitedList" else str(value)

    def resource(self, name: str) -> Mapping[str, Any]:
        """The properties of a resource."""
        return self._value(self._template["Resources"][name]["Properties"])

    @property
    def resources(self) -> Mapping[str, Any]:
        return {name: self.resource(name) for name in self._template["Resources"]}

    @property
    def outputs(self) -> Mapping[str, Any]:
        return {name: self._value(about["Value"]) for name, about in self._template["Outputs"].items()}

    def _value(self, node: Any) -> Any:
        if isinstance(node, list):
            values = [self._value(each) for each in cast("list[Any]", node)]
            return [value for value in values if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        fields = cast("dict[str, Any]", node)
        if len(fields) == 1:
            [(name, content)] = fields.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, content)
        values = {name: self._value(each) for name, each in fields.items()}
        return {name: value for name, value in values.items() if value is not NOTHING}

    def _call(self, name: str, content: Any) -> Any:  # noqa: PLR0911 - one for each function
        match name:
            case "Ref":
                return self._known.get(content, f"<{content}>")
            case "Fn::GetAtt":
                return f"<{content}>"
            case "Fn::If":
                condition, yes, no = content
                return self._value(yes if self._holds(condition) else no)
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: str(self._call("Ref", found[1])), content)
            case "Fn::Join":
                return content[0].join(self._value(content[1]))
            case "Fn::Not":
                return not self._value(content[0])
            case "Fn::Equals":
                return str(self._value(content[0])) == str(self._value(content[1]))
            case _:
                raise AssertionError(name)

    def _holds(self, condition: str) -> bool:
        return bool(self._value(self._template["Conditions"][condition]))


def server_actions() -> set[str]:
    """What the server may do under the template's policy."""
    statements = Deployed().resource("ServerPolicy")["PolicyDocument"]["Statement"]
    found: set[str] = set()
    for statement in statements:
        actions: Any = statement["Action"]
        found |= {actions} if isinstance(actions, str) else set(actions)
        assert "*" not in str(statement["Resource"])
    return found
