"""The kinds of a picture worker's answers, for it and its parent: what draws is loaded by the worker alone."""

from typing import Final

MADE: Final = 17
FAILED: Final = 18
