"""What the desk looks at, as one narrow seam: the state of the server, its figures and its logs."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from server.audit.entries import LogEntry
from server.audit.store import LogFilter
from server.web.admin.overview import Figures, RunningJob
from server.web.admin.sections import Row


class Room(Protocol):
    """The server as the desk sees it."""

    async def tiles(self, today: date, figures: Figures) -> Sequence[tuple[str, str]]:
        """Names and values of what an operator wants to see first. Raises TwitchAudioError `busy`."""
        ...

    def jobs(self) -> Sequence[RunningJob]:
        """The jobs that this server works on or follows."""
        ...

    async def figures(self) -> tuple[date, Figures]:
        """Today, and the figures of the last days. Raises TwitchAudioError `busy`."""
        ...

    async def logs(self, chosen: LogFilter) -> Sequence[LogEntry]:
        """Log entries, newest first. Raises TwitchAudioError `busy`."""
        ...

    async def recognizers(self) -> Sequence[Row]:
        """The recognizers in their order: name, state, and what is left of each budget."""
        ...
