"""The interface that all of the operator's lists share: rows, a form that adds one, and a button that removes one.

A new list is one class derived from `AdminSection` and one line in `server.web.admin.add_admin_pages`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fingerprint.domain.problems import invalid_input
from fingerprint.setting_formats import Secret

MAX_NUMBER: Final = 1_000_000
"""The largest number that a form takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One input of a form. `choices` makes it a list to choose from; `many` lets several be chosen."""

    name: str
    label: str
    help: str = ""
    number: bool = False
    required: bool = False
    choices: tuple[str, ...] = ()
    many: bool = False
    value: str = ""
    limit: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry: its cells in the order of the columns. `remove` takes its `key`; without one, it stays."""

    key: str
    cells: tuple[str | datetime | None, ...]
    ended: bool = False
    """Revoked or expired: shown for the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change did, as a sentence, and a new secret, which is shown only now.

    `undo`: the fields of a form that takes the change back, if it can be.
    """

    message: str
    secret: Secret | None = None
    undo: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a posted form. Reading raises TwitchAudioError `invalid-input` with the field's label."""

    values: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """The text of a field, stripped; empty when it was not sent."""
        return next(iter(self.values.get(name, ())), "").strip()

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value.strip() for value in self.values.get(name, ())]

    def count(self, field: FormField) -> int | None:
        """A whole number from 1 to `MAX_NUMBER`, or None when the field is empty."""
        text = self.text(field.name)
        if not text:
            return None
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_NUMBER or len(text) > 9:
            raise invalid_input(f"{field.label} takes a whole number from 1 to {MAX_NUMBER}.")
        return int(text)


class AdminSection(ABC):
    """A list that the operator can change, on a page of its own."""

    slug: str
    """The last part of the path of its page, `/admin/{slug}`."""
    title: str
    """The heading of its page, and its name in the navigation."""
    intro: str
    """One or two sentences on what the list is for."""
    columns: tuple[str, ...]
    """The headings of its columns, one for each cell of a row."""
    fields: tuple[FormField, ...]
    """The form that adds an entry."""
    verbs: tuple[str, str]
    """The labels of the two buttons: to add, to remove."""
    warning: str = ""
    """What to know before an entry is removed; the second button asks once, with it."""

    @abstractmethod
    async def rows(self) -> Sequence[Row]:
        """Every entry. Raises TwitchAudioError `busy`."""

    @abstractmethod
    async def add(self, form: Form) -> Change:
        """Add an entry. Raises TwitchAudioError `invalid-input`, `busy`."""

    @abstractmethod
    async def remove(self, key: str) -> Change:
        """Remove or end an entry. Raises TwitchAudioError `not-found`, `invalid-input`, `busy`."""

    async def undo_remove(self, key: str) -> Change:
        """Take back that an entry was ended just now.

        Raises TwitchAudioError `invalid-input` where that cannot be done, `not-found`, `busy`.
        """
        raise invalid_input(f"This cannot be undone: {key[:100]}.")
