"""What a file's tags or a sidecar say about a song."""

import re
from dataclasses import dataclass
from pathlib import Path

from fingerprint.domain.identification import ExternalIds, SongMetadata
from fingerprint.domain.text import clean_text, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags(SongMetadata):
    """What one origin, a file's tags or a sidecar, says about a song; None or empty where it says nothing."""

    title: str | None = None

    @property
    def filled(self) -> int:
        """How many fields say something."""
        said = [self.title, *self.metadata.values()]
        return sum(1 for value in said if value and value != ExternalIds())


def over(tags: Tags, said: Tags) -> Tags:
    """The tags, overridden by a sidecar's."""
    known = {name: getattr(said, name) or value for name, value in tags.metadata.items()}
    known["ids"] = said.ids.filled(tags.ids)
    return Tags(title=said.title or tags.title, **known)


def title_from_name(path: Path) -> str:
    """A title for a file without one: its name without the ending and a leading track number.

    Like other titles, it has no control characters, and no bytes that are no UTF-8.
    """
    name = " ".join(clean_text(path.stem.replace("_", " ")).split())
    return re.sub(r"^\d{1,3}(?:\s*[-.]\s*|\s+)(?=\S)", "", name) or clean_text(path.name) or printable(path.name)
