"""Switches: frozen dataclasses of plain values that tests and the control change at any time."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar


class SwitchError(ValueError):
    """A switch does not exist, or does not take a value. The text names it."""


class Switches(Protocol):
    """A frozen dataclass of plain values that can validate itself."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def check(self) -> None:
        """Raises ValueError for values that make no sense."""
        ...


S = TypeVar("S", bound=Switches)


def switched(switches: S, changes: Mapping[str, object]) -> S:
    """The switches with some changed. Raises SwitchError that names what is unknown or of the wrong type."""
    values: dict[str, object] = {item.name: getattr(switches, item.name) for item in dataclasses.fields(switches)}
    unknown = sorted(changes.keys() - values.keys())
    if unknown:
        raise SwitchError(f"there is no switch {', '.join(unknown)}; there are {', '.join(values)}")
    for name, value in changes.items():
        wanted = type(values[name])
        fits = isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise SwitchError(f"{name} takes a {wanted.__name__}, not {value!r}")
    changed = dataclasses.replace(switches, **changes)
    try:
        changed.check()
    except ValueError as error:
        raise SwitchError(str(error)) from error
    return changed


def check_shape(audio: str, token_names: str) -> None:
    """Raises ValueError for values that the two switches do not take."""
    if audio not in ("listed", "missing", "only", "apart"):
        raise ValueError("audio must be listed, missing, only or apart")
    if token_names not in ("token", "nauth", "both"):
        raise ValueError("token_names must be token, nauth or both")
