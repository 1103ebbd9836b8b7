"""A value of an object that is computed when it is first asked for, and kept."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")


class computed_once(Generic[Value]):  # noqa: N801 - it is used like `property`
    """As `functools.cached_property`, but without a lock, which before Python 3.12 all objects of a class share.

    With it, the windows of a recording, which are searched side by side, would wait for each other. Threads that
    share an object may compute a value twice.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self._name = ""
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[object]) -> Value: ...

    def __get__(self, instance: object | None, owner: type[object]) -> Self | Value:
        if instance is None:
            return self
        # What is in the object's own dictionary is found first from now on.
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
